using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>Named sets of characters, as defined by Oniguruma: general categories, scripts, POSIX brackets, some properties.</summary>
internal static class UnicodeSets
{
    private static readonly Lazy<CodePointSet[]> Categories = new(ByCategory);
    private static readonly Lazy<Dictionary<string, CodePointSet>> Tabled = new(ReadTables);
    private static readonly ConcurrentDictionary<string, CodePointSet?> Named = new(StringComparer.Ordinal);

    /// <summary>Two letters for each general category, in the order of <see cref="UnicodeCategory"/>.</summary>
    private static readonly string[] CategoryNames =
        ["lu", "ll", "lt", "lm", "lo", "mn", "mc", "me", "nd", "nl", "no", "zs", "zl", "zp", "cc", "cf", "cs", "co", "pc", "pd", "ps", "pe",
            "pi", "pf", "po", "sm", "sc", "sk", "so", "cn"];

    private static readonly Dictionary<string, string> LongNames = new(StringComparer.Ordinal)
    {
        ["letter"] = "l", ["mark"] = "m", ["combiningmark"] = "m", ["number"] = "n", ["punctuation"] = "p", ["symbol"] = "s",
            ["separator"] = "z",
        ["other"] = "c", ["uppercaseletter"] = "lu", ["lowercaseletter"] = "ll", ["titlecaseletter"] = "lt", ["casedletter"] = "lc",
        ["modifierletter"] = "lm", ["otherletter"] = "lo", ["nonspacingmark"] = "mn", ["spacingmark"] = "mc", ["enclosingmark"] = "me",
        ["decimalnumber"] = "nd", ["letternumber"] = "nl", ["othernumber"] = "no", ["connectorpunctuation"] = "pc", ["dashpunctuation"] =
            "pd",
        ["openpunctuation"] = "ps", ["closepunctuation"] = "pe", ["initialpunctuation"] = "pi", ["finalpunctuation"] = "pf",
        ["otherpunctuation"] = "po", ["mathsymbol"] = "sm", ["currencysymbol"] = "sc", ["modifiersymbol"] = "sk", ["othersymbol"] = "so",
        ["spaceseparator"] = "zs", ["lineseparator"] = "zl", ["paragraphseparator"] = "zp", ["control"] = "cc", ["format"] = "cf",
        ["surrogate"] = "cs", ["privateuse"] = "co", ["unassigned"] = "cn",
        ["alphabetic"] = "alpha", ["lowercase"] = "lower", ["uppercase"] = "upper", ["whitespace"] = "space",
        ["hani"] = "han", ["hira"] = "hiragana", ["kana"] = "katakana", ["hang"] = "hangul", ["latn"] = "latin", ["cyrl"] = "cyrillic",
        ["grek"] = "greek", ["arab"] = "arabic", ["hebr"] = "hebrew", ["deva"] = "devanagari", ["beng"] = "bengali", ["taml"] = "tamil",
        ["telu"] = "telugu", ["mlym"] = "malayalam", ["knda"] = "kannada", ["gujr"] = "gujarati", ["guru"] = "gurmukhi", ["orya"] = "oriya",
        ["sinh"] = "sinhala", ["laoo"] = "lao", ["tibt"] = "tibetan", ["mymr"] = "myanmar", ["geor"] = "georgian", ["armn"] = "armenian",
        ["ethi"] = "ethiopic", ["khmr"] = "khmer", ["mong"] = "mongolian", ["bopo"] = "bopomofo", ["copt"] = "coptic", ["syrc"] = "syriac",
        ["zyyy"] = "common", ["zinh"] = "inherited", ["qaai"] = "inherited",
    };

    /// <summary>
    /// A word character in bracket expressions and properties: letters and other alphabetic characters, marks, decimal digits, connectors.
    /// </summary>
    public static CodePointSet Word => Find("word")!;

    /// <summary>\w outside bracket expressions, where Oniguruma also includes the superscripts and fractions of Latin-1.</summary>
    public static CodePointSet LooseWord { get; } = Word.Or(CodePointSet.Of(0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE));

    public static CodePointSet Digit => Find("nd")!;

    public static CodePointSet Space => Find("space")!;

    public static CodePointSet HexDigit => Find("xdigit")!;

    /// <summary>The names of POSIX brackets.</summary>
    public static bool IsPosix(string name) =>
        name is "alnum" or "alpha" or "ascii" or "blank" or "cntrl" or "digit" or "graph" or "lower" or "print" or "punct" or "space"
            or "upper" or "word" or "xdigit";

    /// <summary>The set with the name of a property, ignoring case, spaces, hyphens and underscores. Null for an unknown name.</summary>
    public static CodePointSet? Find(string name) => Named.GetOrAdd(
        new string([.. name.Where(character => character is not (' ' or '-' or '_')).Select(char.ToLowerInvariant)]), Make);

    private static CodePointSet? Make(string name)
    {
        if (LongNames.TryGetValue(name, out var other)) return Find(other);
        switch (name)
        {
            case "any": return CodePointSet.All;
            case "assigned": return Find("cn")!.Not();
            case "ascii": return CodePointSet.Range(0, 0x7F);
            case "xdigit": return CodePointSet.Range('0', '9').Or(CodePointSet.Range('A', 'F')).Or(CodePointSet.Range('a', 'f'));
            case "alpha": return Of("l", "nl", "otheralphabetic");
            case "lower": return Of("ll", "otherlowercase");
            case "upper": return Of("lu", "otheruppercase");
            case "alnum": return Of("alpha", "nd");
            case "word": return Of("alpha", "m", "nd", "pc");
            case "digit": return Find("nd");
            case "cntrl": return Find("cc");
            case "punct": return Of("p", "s");
            case "blank": return Find("zs")!.Or(CodePointSet.Of('\t'));
            case "space": return Find("z")!.Or(CodePointSet.Range('\t', '\r')).Or(CodePointSet.Of(0x85));
            case "graph": return Of("z", "cc", "cn", "cs").Not();
            case "print": return Of("graph", "zs");
            case "lc": return Of("lu", "ll", "lt");
            case "l" or "m" or "n" or "p" or "s" or "z" or "c": return Of([.. CategoryNames.Where(category => category[0] == name[0])]);
        }
        var index = Array.IndexOf(CategoryNames, name);
        return index >= 0 ? Categories.Value[index] : Tabled.Value.GetValueOrDefault(name);
    }

    private static CodePointSet Of(params string[] names) => names.Aggregate(CodePointSet.Empty, (set, name) => set.Or(Find(name)!));

    private static CodePointSet[] ByCategory()
    {
        var bounds = CategoryNames.Select(_ => new List<int>()).ToArray();
        var current = -1;
        for (var code = 0; code < CodePointSet.End; code++)
        {
            var category = (int)(code is >= 0xD800 and <= 0xDFFF ? UnicodeCategory.Surrogate : Rune.GetUnicodeCategory(new Rune(code)));
            if (category == current) continue;
            if (current >= 0) bounds[current].Add(code);
            bounds[category].Add(code);
            current = category;
        }
        bounds[current].Add(CodePointSet.End);
        return [.. bounds.Select(CodePointSet.OfBounds)];
    }

    private static Dictionary<string, CodePointSet> ReadTables()
    {
        var sets = new Dictionary<string, CodePointSet>(StringComparer.Ordinal);
        var current = "";
        var ranges = new List<(int First, int Last)>();
        foreach (var word in (PropertyTable.Properties + " " + ScriptTable.Scripts).Split((char[]?)null,
            StringSplitOptions.RemoveEmptyEntries))
        {
            if (word.EndsWith(':'))
            {
                Close();
                current = word[..^1].Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();
                continue;
            }
            var parts = word.Split('-');
            ranges.Add((Code(parts[0]), Code(parts[^1])));
        }
        Close();
        return sets;

        void Close()
        {
            if (current.Length > 0) sets[current] = ranges.Aggregate(CodePointSet.Empty, (set, range) =>
                set.Or(CodePointSet.Range(range.First, range.Last)));
            ranges.Clear();
        }

        static int Code(string hex) => int.Parse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }
}
