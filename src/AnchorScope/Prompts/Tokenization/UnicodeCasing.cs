using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Upper, lower and title case by the full mappings of Unicode 16.0, as in Python's strings: one character may become several.
/// </summary>
internal static class UnicodeCasing
{
    /// <summary>Upper-case forms with several characters, and those of dotless i and long s.</summary>
    private const string Uppers = """
        DF=53+53 131=49 17F=53 149=2BC+4E 1F0=4A+30C 390=399+308+301 3B0=3A5+308+301 587=535+552 1E96=48+331 1E97=54+308 1E98=57+30A
        1E99=59+30A 1E9A=41+2BE 1F50=3A5+313 1F52=3A5+313+300 1F54=3A5+313+301 1F56=3A5+313+342 1F80=1F08+399 1F81=1F09+399
        1F82=1F0A+399 1F83=1F0B+399 1F84=1F0C+399 1F85=1F0D+399 1F86=1F0E+399 1F87=1F0F+399 1F88=1F08+399 1F89=1F09+399 1F8A=1F0A+399
        1F8B=1F0B+399 1F8C=1F0C+399 1F8D=1F0D+399 1F8E=1F0E+399 1F8F=1F0F+399 1F90=1F28+399 1F91=1F29+399 1F92=1F2A+399 1F93=1F2B+399
        1F94=1F2C+399 1F95=1F2D+399 1F96=1F2E+399 1F97=1F2F+399 1F98=1F28+399 1F99=1F29+399 1F9A=1F2A+399 1F9B=1F2B+399 1F9C=1F2C+399
        1F9D=1F2D+399 1F9E=1F2E+399 1F9F=1F2F+399 1FA0=1F68+399 1FA1=1F69+399 1FA2=1F6A+399 1FA3=1F6B+399 1FA4=1F6C+399 1FA5=1F6D+399
        1FA6=1F6E+399 1FA7=1F6F+399 1FA8=1F68+399 1FA9=1F69+399 1FAA=1F6A+399 1FAB=1F6B+399 1FAC=1F6C+399 1FAD=1F6D+399 1FAE=1F6E+399
        1FAF=1F6F+399 1FB2=1FBA+399 1FB3=391+399 1FB4=386+399 1FB6=391+342 1FB7=391+342+399 1FBC=391+399 1FC2=1FCA+399 1FC3=397+399
        1FC4=389+399 1FC6=397+342 1FC7=397+342+399 1FCC=397+399 1FD2=399+308+300 1FD3=399+308+301 1FD6=399+342 1FD7=399+308+342
        1FE2=3A5+308+300 1FE3=3A5+308+301 1FE4=3A1+313 1FE6=3A5+342 1FE7=3A5+308+342 1FF2=1FFA+399 1FF3=3A9+399 1FF4=38F+399
        1FF6=3A9+342 1FF7=3A9+342+399 1FFC=3A9+399 FB00=46+46 FB01=46+49 FB02=46+4C FB03=46+46+49 FB04=46+46+4C FB05=53+54 FB06=53+54
        FB13=544+546 FB14=544+535 FB15=544+53B FB16=54E+546 FB17=544+53D
        """;

    /// <summary>Title-case forms that differ from the upper-case form.</summary>
    private const string Titles = """
        DF=53+73 1C4=1C5 1C5=1C5 1C6=1C5 1C7=1C8 1C8=1C8 1C9=1C8 1CA=1CB 1CB=1CB 1CC=1CB 1F1=1F2 1F2=1F2 1F3=1F2 587=535+582 10D0=10D0
        10D1=10D1 10D2=10D2 10D3=10D3 10D4=10D4 10D5=10D5 10D6=10D6 10D7=10D7 10D8=10D8 10D9=10D9 10DA=10DA 10DB=10DB 10DC=10DC
        10DD=10DD 10DE=10DE 10DF=10DF 10E0=10E0 10E1=10E1 10E2=10E2 10E3=10E3 10E4=10E4 10E5=10E5 10E6=10E6 10E7=10E7 10E8=10E8
        10E9=10E9 10EA=10EA 10EB=10EB 10EC=10EC 10ED=10ED 10EE=10EE 10EF=10EF 10F0=10F0 10F1=10F1 10F2=10F2 10F3=10F3 10F4=10F4
        10F5=10F5 10F6=10F6 10F7=10F7 10F8=10F8 10F9=10F9 10FA=10FA 10FD=10FD 10FE=10FE 10FF=10FF 1F80=1F88 1F81=1F89 1F82=1F8A
        1F83=1F8B 1F84=1F8C 1F85=1F8D 1F86=1F8E 1F87=1F8F 1F88=1F88 1F89=1F89 1F8A=1F8A 1F8B=1F8B 1F8C=1F8C 1F8D=1F8D 1F8E=1F8E
        1F8F=1F8F 1F90=1F98 1F91=1F99 1F92=1F9A 1F93=1F9B 1F94=1F9C 1F95=1F9D 1F96=1F9E 1F97=1F9F 1F98=1F98 1F99=1F99 1F9A=1F9A
        1F9B=1F9B 1F9C=1F9C 1F9D=1F9D 1F9E=1F9E 1F9F=1F9F 1FA0=1FA8 1FA1=1FA9 1FA2=1FAA 1FA3=1FAB 1FA4=1FAC 1FA5=1FAD 1FA6=1FAE
        1FA7=1FAF 1FA8=1FA8 1FA9=1FA9 1FAA=1FAA 1FAB=1FAB 1FAC=1FAC 1FAD=1FAD 1FAE=1FAE 1FAF=1FAF 1FB2=1FBA+345 1FB3=1FBC 1FB4=386+345
        1FB7=391+342+345 1FBC=1FBC 1FC2=1FCA+345 1FC3=1FCC 1FC4=389+345 1FC7=397+342+345 1FCC=1FCC 1FF2=1FFA+345 1FF3=1FFC 1FF4=38F+345
        1FF7=3A9+342+345 1FFC=1FFC FB00=46+66 FB01=46+69 FB02=46+6C FB03=46+66+69 FB04=46+66+6C FB05=53+74 FB06=53+74 FB13=544+576
        FB14=544+565 FB15=544+56B FB16=54E+576 FB17=544+56D
        """;

    /// <summary>Case foldings with several characters.</summary>
    private const string Foldings = """
        DF=73+73 130=69+307 149=2BC+6E 1F0=6A+30C 390=3B9+308+301 3B0=3C5+308+301 587=565+582 1E96=68+331 1E97=74+308 1E98=77+30A
        1E99=79+30A 1E9A=61+2BE 1E9E=73+73 1F50=3C5+313 1F52=3C5+313+300 1F54=3C5+313+301 1F56=3C5+313+342 1F80=1F00+3B9 1F81=1F01+3B9
        1F82=1F02+3B9 1F83=1F03+3B9 1F84=1F04+3B9 1F85=1F05+3B9 1F86=1F06+3B9 1F87=1F07+3B9 1F88=1F00+3B9 1F89=1F01+3B9 1F8A=1F02+3B9
        1F8B=1F03+3B9 1F8C=1F04+3B9 1F8D=1F05+3B9 1F8E=1F06+3B9 1F8F=1F07+3B9 1F90=1F20+3B9 1F91=1F21+3B9 1F92=1F22+3B9 1F93=1F23+3B9
        1F94=1F24+3B9 1F95=1F25+3B9 1F96=1F26+3B9 1F97=1F27+3B9 1F98=1F20+3B9 1F99=1F21+3B9 1F9A=1F22+3B9 1F9B=1F23+3B9 1F9C=1F24+3B9
        1F9D=1F25+3B9 1F9E=1F26+3B9 1F9F=1F27+3B9 1FA0=1F60+3B9 1FA1=1F61+3B9 1FA2=1F62+3B9 1FA3=1F63+3B9 1FA4=1F64+3B9 1FA5=1F65+3B9
        1FA6=1F66+3B9 1FA7=1F67+3B9 1FA8=1F60+3B9 1FA9=1F61+3B9 1FAA=1F62+3B9 1FAB=1F63+3B9 1FAC=1F64+3B9 1FAD=1F65+3B9 1FAE=1F66+3B9
        1FAF=1F67+3B9 1FB2=1F70+3B9 1FB3=3B1+3B9 1FB4=3AC+3B9 1FB6=3B1+342 1FB7=3B1+342+3B9 1FBC=3B1+3B9 1FC2=1F74+3B9 1FC3=3B7+3B9
        1FC4=3AE+3B9 1FC6=3B7+342 1FC7=3B7+342+3B9 1FCC=3B7+3B9 1FD2=3B9+308+300 1FD3=3B9+308+301 1FD6=3B9+342 1FD7=3B9+308+342
        1FE2=3C5+308+300 1FE3=3C5+308+301 1FE4=3C1+313 1FE6=3C5+342 1FE7=3C5+308+342 1FF2=1F7C+3B9 1FF3=3C9+3B9 1FF4=3CE+3B9
        1FF6=3C9+342 1FF7=3C9+342+3B9 1FFC=3C9+3B9 FB00=66+66 FB01=66+69 FB02=66+6C FB03=66+66+69 FB04=66+66+6C FB05=73+74 FB06=73+74
        FB13=574+576 FB14=574+565 FB15=574+56B FB16=57E+576 FB17=574+56D
        """;

    private static readonly Dictionary<int, string> UpperOf = Read(Uppers);
    private static readonly Dictionary<int, string> TitleOf = Read(Titles);

    // Characters that occur inside words and have no case: apostrophes, dots and colons.
    private static readonly Lazy<CodePointSet> Ignorable = new(() => new[] { "mn", "me", "cf", "lm", "sk" }
        .Aggregate(CodePointSet.Of(0x27, 0x2E, 0x3A, 0xB7, 0x387, 0x55F, 0x5F4, 0x2018, 0x2019, 0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55,
            0xFF07, 0xFF0E, 0xFF1A),
            (set, name) => set.Or(UnicodeSets.Find(name)!)));

    private static readonly Lazy<CodePointSet> Cased =
        new(() => UnicodeSets.Find("lower")!.Or(UnicodeSets.Find("upper")!).Or(UnicodeSets.Find("lt")!));

    /// <summary>Characters whose case folding has several characters, with that folding.</summary>
    public static IReadOnlyDictionary<int, string> LongFoldings { get; } = Read(Foldings);

    /// <summary>str.upper.</summary>
    public static string Upper(string text) => Map(text, (_, rune) => Upper(rune));

    /// <summary>str.lower, which writes a capital sigma at the end of a word as a final sigma.</summary>
    public static string Lower(string text) => Map(text, (at, rune) => Lower(text, at, rune));

    /// <summary>str.capitalize: the first character in title case, the others in lower case.</summary>
    public static string Capitalize(string text) => Map(text, (at, rune) => at == 0 ? Title(rune) : Lower(text, at, rune));

    /// <summary>str.title: a character after a cased one in lower case, any other in title case.</summary>
    public static string Title(string text)
    {
        var afterCased = false;
        return Map(text, (at, rune) =>
        {
            var written = afterCased ? Lower(text, at, rune) : Title(rune);
            afterCased = Cased.Value.Contains(rune.Value);
            return written;
        });
    }

    /// <summary>str.swapcase.</summary>
    public static string Swap(string text) =>
        Map(text, (at, rune) => IsUpper(rune) switch { true => Lower(text, at, rune), false => Upper(rune), _ => rune.ToString() });

    /// <summary>str.casefold.</summary>
    public static string Fold(string text) =>
        Map(text, (_, rune) => LongFoldings.TryGetValue(rune.Value, out var several) ? several : CaseFolding.Fold(rune).ToString());

    /// <summary>Whether any character has a case.</summary>
    public static bool HasCase(string text) => text.EnumerateRunes().Any(rune => Cased.Value.Contains(rune.Value));

    /// <summary>Whether a character is upper case (true), lower case (false), or neither.</summary>
    public static bool? IsUpper(Rune rune) => UnicodeSets.Find("upper")!.Contains(rune.Value) ? true : Cased.Value.Contains(rune.Value)
        && !UnicodeSets.Find("lt")!.Contains(rune.Value) ? false : null;

    private static string Map(string text, Func<int, Rune, string> written)
    {
        var result = new StringBuilder(text.Length);
        for (int i = 0, length; i < text.Length; i += length)
        {
            // Half of a surrogate pair has no case.
            if (!Rune.TryGetRuneAt(text, i, out var rune))
            {
                result.Append(text[i]);
                length = 1;
                continue;
            }
            length = rune.Utf16SequenceLength;
            result.Append(written(i, rune));
        }
        return result.ToString();
    }

    private static string Upper(Rune rune) => UpperOf.TryGetValue(rune.Value, out var several) ? several
        : Rune.ToUpperInvariant(rune).ToString();

    private static string Title(Rune rune) => TitleOf.TryGetValue(rune.Value, out var title) ? title : Upper(rune);

    private static string Lower(string text, int at, Rune rune) => rune.Value switch
    {
        0x130 => "i\u0307",
        0x3A3 => EndsWord(text, at) ? "\u03C2" : "\u03C3",
        _ => Rune.ToLowerInvariant(rune).ToString(),
    };

    /// <summary>Whether a cased character is before it and none after it, skipping ignorable characters.</summary>
    private static bool EndsWord(string text, int at)
    {
        var before = text[..at].EnumerateRunes().Reverse().SkipWhile(rune => Ignorable.Value.Contains(rune.Value)).ToList();
        if (before.Count == 0 || !Cased.Value.Contains(before[0].Value)) return false;
        foreach (var rune in text[(at + 1)..].EnumerateRunes())
            if (!Ignorable.Value.Contains(rune.Value)) return !Cased.Value.Contains(rune.Value);
        return true;
    }

    private static Dictionary<int, string> Read(string table) => table.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
        .Select(entry => entry.Split('=')).ToDictionary(entry => Code(entry[0]), entry =>
            string.Concat(entry[1].Split('+').Select(code => new Rune(Code(code)))));

    private static int Code(string hex) => int.Parse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
