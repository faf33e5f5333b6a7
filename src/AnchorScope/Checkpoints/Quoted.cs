using System.Globalization;
using System.Text;

namespace AnchorScope.Checkpoints;

/// <summary>Formats text from a file for a one-line message: quoted, shortened, without unprintable characters.</summary>
internal static class Quoted
{
    private const int Longest = 120;

    public static string Of(string text) => $"'{Line(text)}'";

    /// <summary>The same without quotes.</summary>
    public static string Line(string text)
    {
        var line = new StringBuilder();
        foreach (char c in text.AsSpan(0, Math.Min(text.Length, Longest)))
        {
            bool unprintable = char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate;
            if (unprintable)
                line.Append($"\\u{(int)c:x4}");
            else
                line.Append(c);
        }
        return text.Length > Longest ? $"{line}... ({text.Length} characters)" : line.ToString();
    }
}
