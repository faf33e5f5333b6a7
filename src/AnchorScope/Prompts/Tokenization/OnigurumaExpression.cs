using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Translates a regular expression in Oniguruma's Ruby syntax, which the tokenizers library uses, to an equivalent .NET one. Every set of
/// characters is written as ranges, so that nothing depends on .NET's definition of a class or property.
/// </summary>
/// <remarks>
/// Oniguruma works on code points, .NET on UTF-16 units. In the text that <see cref="Regex"/> is matched against, each character beyond the
/// basic plane is one unit of the surrogate range, which is the same for all characters that the expression's sets do not distinguish
/// (<see cref="Unit"/>).
/// </remarks>
internal sealed class OnigurumaExpression
{
    private const int FirstAstral = 0x10000, FirstUnit = 0xD800, Units = 0x800;

    // Astral characters from starts[i] on, up to the next start, are represented by units[i].
    private readonly int[] starts;
    private readonly char[] units;

    /// <param name="expression">The expression.</param>
    /// <exception cref="FormatException">The expression is invalid, or has a construct that is not supported; the message names
    /// it.</exception>
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
    /// The expression in .NET's syntax, for a text in which characters beyond U+FFFF are replaced by their <see cref="Unit"/>.
    /// </summary>
    public string Regex { get; }

    /// <summary>Whether it has backreferences, for which characters with the same unit would wrongly be equal.</summary>
    public bool HasBackreferences { get; }

    /// <summary>The unit that represents a character beyond U+FFFF.</summary>
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
            // The surrogate range does not occur in text. Its units represent characters beyond the basic plane.
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
