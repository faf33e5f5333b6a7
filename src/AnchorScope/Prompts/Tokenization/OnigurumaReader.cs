using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>An expression and the position of the reader in it.</summary>
internal sealed class OnigurumaReader(string expression)
{
    public int At { get; set; }

    public bool AtEnd => At >= expression.Length;

    /// <summary>The code point at this position; -1 at the end.</summary>
    public int Peek() => AtEnd ? -1 : Rune.TryGetRuneAt(expression, At, out var rune) ? rune.Value
        : throw new FormatException("half of a surrogate pair");

    public int Next()
    {
        var code = AtEnd ? throw new FormatException("it ends too early") : Peek();
        At += code > 0xFFFF ? 2 : 1;
        return code;
    }

    public bool Is(string text) => string.CompareOrdinal(expression, At, text, 0, text.Length) == 0;

    public bool Skip(string text)
    {
        if (!Is(text)) return false;
        At += text.Length;
        return true;
    }

    /// <summary>The text before the next <paramref name="close"/>, which is read too.</summary>
    public string Until(char close)
    {
        var end = expression.IndexOf(close, At);
        if (end < 0) throw new FormatException($"a {close} is missing");
        var text = expression[At..end];
        At = end + 1;
        return text;
    }
}
