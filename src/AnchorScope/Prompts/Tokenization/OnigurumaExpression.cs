using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// A regular expression in Oniguruma's Ruby syntax, which is what the tokenizers library reads, written as one of .NET that finds the same.
/// Every set of characters is written out as ranges, so nothing depends on what .NET means by a class or a property.
/// </summary>
/// <remarks>
/// Oniguruma works on code points, .NET on UTF-16 units. In what <see cref="Regex"/> is matched against, each character beyond the basic
/// plane is one unit of the surrogate range, the same for all characters that the expression's sets do not tell apart (<see cref="Unit"/>).
/// </remarks>
internal sealed class OnigurumaExpression
{
    private const int FirstAstral = 0x10000, FirstUnit = 0xD800, Units = 0x800;

    // Astral characters from starts[i] on, up to the next start, are unit units[i].
    private readonly int[] starts;
    private readonly char[] units;

    /// <param name="expression">The expression.</param>
    /// <exception cref="FormatException">It is wrong, or has a construct that is not supported; the message names it.</exception>
    public OnigurumaExpression(string expression)
    {
        var parser = new OnigurumaParser(expression);
        var pieces = parser.Parse();
        HasBackreferences = parser.HasBackreferences;
        var sets = pieces.OfType<CodePointSet>().Distinct().ToList();
        starts = [.. sets.SelectMany(set => set.Bounds.ToArray()).Where(bound => bound is > FirstAstral
            and < CodePointSet.End).Append(FirstAstral).Distinct().Order()];
        var known = new Dictionary<string, char>(StringComparer.Ordinal);
        units = new char[starts.Length];
        for (var i = 0; i < starts.Length; i++)
        {
            var signature = string.Concat(sets.Select(set => set.Contains(starts[i]) ? '1' : '0'));
            if (!known.TryGetValue(signature, out var unit))
            {
                if (known.Count == Units) throw new FormatException("it tells too many kinds of characters beyond U+FFFF apart");
                known[signature] = unit = (char)(FirstUnit + known.Count);
            }
            units[i] = unit;
        }
        var text = new StringBuilder();
        foreach (var piece in pieces)
        {
            if (piece is CodePointSet set) Append(text, set);
            else text.Append(piece is CapturingGroup group ? HasBackreferences ? Invariant($"(?<g{group.Number}>") : "(?:" : piece);
        }
        Regex = text.ToString();
    }

    /// <summary>
    /// The expression in .NET's syntax, for a text in which characters beyond U+FFFF are written as <see cref="Unit"/> says.
    /// </summary>
    public string Regex { get; }

    /// <summary>Whether it compares stretches of text, which characters with the same unit would make equal.</summary>
    public bool HasBackreferences { get; }

    /// <summary>The unit that stands for a character beyond U+FFFF.</summary>
    public char Unit(Rune rune)
    {
        var at = Array.BinarySearch(starts, rune.Value);
        return units[at >= 0 ? at : ~at - 1];
    }

    private void Append(StringBuilder text, CodePointSet set)
    {
        if (set.Single is { } single and < FirstUnit)
        {
            text.Append(Invariant($"\\u{single:X4}"));
            return;
        }
        var inside = new StringBuilder();
        foreach (var (first, last) in set.Ranges())
        {
            // The surrogate range is no text. Its units stand for characters beyond the basic plane.
            Range(first, Math.Min(last, FirstUnit - 1));
            Range(Math.Max(first, FirstUnit + Units), Math.Min(last, FirstAstral - 1));
        }
        foreach (var unit in units.Where((_, i) => set.Contains(starts[i])).Distinct().Order()) Range(unit, unit);
        text.Append(inside.Length == 0 ? "(?!)" : $"[{inside}]");

        void Range(int first, int last)
        {
            if (first > last) return;
            inside.Append(Invariant($"\\u{first:X4}"));
            if (last > first) inside.Append(Invariant($"-\\u{last:X4}"));
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The opening parenthesis of a group to which a backreference may point.</summary>
internal sealed record CapturingGroup(int Number);
