using System.Globalization;
using System.Text;

namespace AnchorScope.Figures;

/// <summary>
/// Writes elements that are well-formed both as XML and as HTML. Text and attribute values are escaped here and nowhere else.
/// </summary>
internal sealed class MarkupText
{
    private static readonly HashSet<string> Void = ["meta", "link", "img", "input", "br", "hr", "col", "circle", "line", "path", "rect"];

    private readonly StringBuilder _out = new();
    private readonly Stack<string> _open = new();

    public MarkupText Open(string element, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        Start(element, attributes);
        _out.Append('>');
        _open.Push(element);
        return this;
    }

    public MarkupText Close()
    {
        _out.Append("</").Append(_open.Pop()).Append('>');
        return this;
    }

    public MarkupText Close(string element)
    {
        if (_open.Peek() != element) throw new InvalidOperationException($"<{_open.Peek()}> is open where <{element}> should end");
        return Close();
    }

    /// <summary>An element without children.</summary>
    public MarkupText Leaf(string element, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        Start(element, attributes);
        _out.Append(Void.Contains(element) ? "/>" : $"></{element}>");
        return this;
    }

    /// <summary>An element with one text.</summary>
    public MarkupText Text(string element, string text, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        Start(element, attributes);
        _out.Append('>').Append(Escape(text)).Append("</").Append(element).Append('>');
        return this;
    }

    public MarkupText Text(string text)
    {
        _out.Append(Escape(text));
        return this;
    }

    /// <summary>Appends markup written by this class, or our own style sheet; never external text.</summary>
    public MarkupText Raw(string markup)
    {
        _out.Append(markup);
        return this;
    }

    public MarkupText Line()
    {
        _out.Append('\n');
        return this;
    }

    public override string ToString() =>
        _open.Count == 0 ? _out.ToString() : throw new InvalidOperationException($"<{_open.Peek()}> was not closed");

    /// <summary>
    /// Escapes text for element content and quoted attributes. Characters that XML 1.0 does not allow, including lone surrogates, are
    /// dropped.
    /// </summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length + 16);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                escaped.Append(c).Append(text[++i]);
                continue;
            }
            if (char.IsSurrogate(c) || c is '\uFFFE' or '\uFFFF' || (c < ' ' && c is not ('\t' or '\n'))) continue;
            escaped.Append(c switch { '&' => "&amp;", '<' => "&lt;", '>' => "&gt;", '"' => "&quot;", '\'' => "&#39;", _ => null });
            if (c is not ('&' or '<' or '>' or '"' or '\'')) escaped.Append(c);
        }
        return escaped.ToString();
    }

    /// <summary>A coordinate with at most two decimals and a full stop, never with an exponent or as minus zero.</summary>
    public static string Number(double value)
    {
        if (!double.IsFinite(value)) throw new ArgumentOutOfRangeException(nameof(value), value, "a coordinate must be finite");
        return (Math.Round(value, 2) + 0.0).ToString("0.##", CultureInfo.InvariantCulture);
    }

    private void Start(string element, ReadOnlySpan<(string Name, string Value)> attributes)
    {
        _out.Append('<').Append(element);
        foreach (var (name, value) in attributes) _out.Append(' ').Append(name).Append("=\"").Append(Escape(value)).Append('"');
    }
}
