using System.Globalization;
using System.Text;

namespace AnchorScope.Figures;

/// <summary>
/// Estimated widths of text in a sans-serif face. No font is read: the figures are drawn with whatever face the reader's machine has, so
/// estimates lean to the wide side, that of DejaVu Sans.
/// </summary>
internal static class TextWidth
{
    /// <summary>How much wider bold text is.</summary>
    public const double Bold = 1.13;

    /// <summary>Width in the units of <paramref name="size"/>, the font size.</summary>
    public static double Of(string text, double size) => size * text.EnumerateRunes().Sum(Em);

    /// <summary><paramref name="text"/>, cut with an ellipsis where it is wider than <paramref name="width"/>.</summary>
    public static string Fit(string text, double width, double size)
    {
        if (Of(text, size) <= width) return text;
        var kept = new StringBuilder();
        var used = size * Em(new Rune('…'));
        var elements = StringInfo.GetTextElementEnumerator(text);
        while (elements.MoveNext())
        {
            var element = elements.GetTextElement();
            used += Of(element, size);
            if (used > width) break;
            kept.Append(element);
        }
        return kept.ToString().TrimEnd() + "…";
    }

    /// <summary><paramref name="text"/> in lines that are no wider than <paramref name="width"/>, broken at spaces.</summary>
    public static IReadOnlyList<string> Wrap(string text, double width, double size)
    {
        var lines = new List<string>();
        foreach (var word in text.Split(' '))
        {
            if (lines.Count > 0 && Of($"{lines[^1]} {word}", size) <= width) lines[^1] += " " + word;
            else lines.Add(Fit(word, width, size));
        }
        return lines;
    }

    private static double Em(Rune rune) => rune.Value switch
    {
        ' ' or '\u00A0' or '.' or ',' or ':' or ';' or '\'' or '!' or '|' or 'i' or 'j' or 'l' or 'I'
            or '(' or ')' or '[' or ']' or 'f' or 't' or 'r' => 0.36,
        'm' or 'w' or 'M' or 'W' or '%' or '@' => 0.88,
        '…' or '→' or '←' or '↛' => 1.0,
        >= 'A' and <= 'Z' => 0.7,
        '\u2212' => 0.84,
        < 0x80 => 0.63,
        < 0x2E80 => 0.65,
        _ => 1.05,
    };
}
