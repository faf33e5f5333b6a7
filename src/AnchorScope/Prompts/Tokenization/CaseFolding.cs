using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>Which characters differ only in case, by Unicode's simple case folding.</summary>
internal static class CaseFolding
{
    // Only sets of two or more characters, under each of their members.
    private static readonly Lazy<Dictionary<int, CodePointSet>> Equal = new(Group);

    /// <summary>The set and all characters that differ from a member only in case.</summary>
    public static CodePointSet Closure(CodePointSet set) => set.Single is { } single
        ? Equal.Value.GetValueOrDefault(single, set)
        : Equal.Value.Where(entry => set.Contains(entry.Key)).Aggregate(set, (closure, entry) => closure.Contains(entry.Value) ? closure
            : closure.Or(entry.Value));

    /// <summary>Whether the folding of a member has several characters, such as "ss" for "ß".</summary>
    public static bool HasLongFolding(CodePointSet set) => UnicodeCasing.LongFoldings.Keys.Any(set.Contains);

    /// <summary>A part of the text that is the folding of one character, or such a character; null if there is none.</summary>
    public static string? FoldsFromOneCharacter(string text)
    {
        if (text.Length == 0) return null;
        foreach (var rune in text.EnumerateRunes())
            if (UnicodeCasing.LongFoldings.TryGetValue(rune.Value, out var folding)) return folding;
        var folded = string.Concat(text.EnumerateRunes().Select(rune => Fold(rune).ToString()));
        return UnicodeCasing.LongFoldings.Values.FirstOrDefault(folding => folded.Contains(folding, StringComparison.Ordinal));
    }

    /// <summary>
    /// The representative of all characters that differ only in case. The long s is a special case, because .NET's invariant upper case
    /// excludes it.
    /// </summary>
    public static Rune Fold(Rune rune)
    {
        if (rune.Value == 0x17F) return new('s');
        var upper = Rune.ToUpperInvariant(rune);
        // Cherokee folds to its upper-case letters, which are the older ones.
        return upper.Value is >= 0x13A0 and <= 0x13F5 ? upper : Rune.ToLowerInvariant(upper);
    }

    private static Dictionary<int, CodePointSet> Group()
    {
        var groups = new Dictionary<int, List<int>>();
        for (var code = 0; code < CodePointSet.End; code++)
        {
            if (!Rune.IsValid(code)) continue;
            var fold = Fold(new Rune(code)).Value;
            if (fold == code) continue;
            if (!groups.TryGetValue(fold, out var members)) groups[fold] = members = [fold];
            members.Add(code);
        }
        var result = new Dictionary<int, CodePointSet>();
        foreach (var members in groups.Values)
        {
            var set = CodePointSet.Of([.. members]);
            foreach (var member in members) result[member] = set;
        }
        return result;
    }
}
