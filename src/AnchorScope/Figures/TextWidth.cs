using System.Globalization;
using System.Text;

namespace AnchorScope.Figures;

/// <summary>
/// Estimated widths of text in a sans-serif font. No font is read. Figures are drawn with the font of the reader's machine, so estimates
/// are those of a wide font, DejaVu Sans.
/// </summary>
internal static class TextWidth
{
    /// <summary>Ratio of the widths of bold and regular text.</summary>
    public const double Bold = 1.13;

    /// <summary>Width in the units of the font size <paramref name="size"/>.</summary>
    public static double Of(string text, double size) => size * text.EnumerateRunes().Sum(Em);

    /// <summary><paramref name="text"/>, truncated with an ellipsis if it is wider than <paramref name="width"/>.</summary>
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

    /// <summary><paramref name="text"/> split at spaces into lines no wider than <paramref name="width"/>.</summary>
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
