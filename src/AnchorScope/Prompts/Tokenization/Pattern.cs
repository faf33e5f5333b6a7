using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>What Replace and Split look for: <c>{"String": ...}</c> or <c>{"Regex": ...}</c>.</summary>
internal sealed class Pattern
{
    // For the regular expression engine a character outside the basic plane is two surrogates, which are neither letters nor
    // digits nor symbols. Before matching, each is replaced by one character of its own general category, so that \p{L} and
    // its kin see what the reference sees.
    private static readonly Dictionary<UnicodeCategory, char> StandIns = new()
    {
        [UnicodeCategory.UppercaseLetter] = '\u2C60', [UnicodeCategory.LowercaseLetter] = '\u2C61',
        [UnicodeCategory.TitlecaseLetter] = '\u1F88', [UnicodeCategory.ModifierLetter] = '\u02B0',
        [UnicodeCategory.OtherLetter] = '\uA015', [UnicodeCategory.NonSpacingMark] = '\u1DC0',
        [UnicodeCategory.SpacingCombiningMark] = '\u1B04', [UnicodeCategory.EnclosingMark] = '\u20DD',
        [UnicodeCategory.DecimalDigitNumber] = '\uA620', [UnicodeCategory.LetterNumber] = '\uA6E6',
        [UnicodeCategory.OtherNumber] = '\uA830', [UnicodeCategory.ConnectorPunctuation] = '\uFE33',
        [UnicodeCategory.DashPunctuation] = '\uFE58', [UnicodeCategory.OpenPunctuation] = '\u2E28',
        [UnicodeCategory.ClosePunctuation] = '\u2E29', [UnicodeCategory.InitialQuotePunctuation] = '\u2E02',
        [UnicodeCategory.FinalQuotePunctuation] = '\u2E03', [UnicodeCategory.OtherPunctuation] = '\uA60D',
        [UnicodeCategory.MathSymbol] = '\u2A00', [UnicodeCategory.CurrencySymbol] = '\uA838',
        [UnicodeCategory.ModifierSymbol] = '\uA700', [UnicodeCategory.OtherSymbol] = '\uA490',
        [UnicodeCategory.Format] = '\u2061', [UnicodeCategory.PrivateUse] = '\uE000',
    };

    private static readonly TimeSpan LongestMatch = TimeSpan.FromSeconds(10);

    private readonly JsonField source;
    private readonly string? literal;
    private readonly Regex? regex;

    public Pattern(JsonField field)
    {
        source = field;
        if (field.Find("String") is { } text)
            literal = text.Text();
        else if (field.Find("Regex") is { } expression)
            regex = Compile(expression);
        else
            throw field.Unsupported("patterns {\"String\": ...}, {\"Regex\": ...}");
    }

    /// <summary>A fixed expression of the library itself.</summary>
    public Pattern(string expression) => regex = new(expression, RegexOptions.CultureInvariant, LongestMatch);

    /// <summary>Non-overlapping matches from the left to the right. An empty one, of a lookahead say, is a place to cut.</summary>
    public IEnumerable<(int Start, int Length)> Matches(string text)
    {
        if (literal is not null)
        {
            if (literal.Length == 0) yield break;
            for (var at = text.IndexOf(literal, StringComparison.Ordinal); at >= 0;
                 at = text.IndexOf(literal, at + literal.Length, StringComparison.Ordinal))
                yield return (at, literal.Length);
            yield break;
        }

        var (plain, origins) = WithStandIns(text);
        var (from, end) = (0, -1);
        while (from <= plain.Length && MatchAt(plain, from) is { } match)
        {
            if (match.Length > 0 || match.Index != end)
                yield return origins is null
                    ? (match.Index, match.Length)
                    : (origins[match.Index], origins[match.Index + match.Length] - origins[match.Index]);
            end = match.Index + match.Length;
            from = Math.Max(end, match.Index + 1);
        }
    }

    public string Replace(string text, string content)
    {
        var result = new StringBuilder(text.Length);
        var from = 0;
        foreach (var (start, length) in Matches(text))
        {
            if (length == 0) continue;
            result.Append(text, from, start - from).Append(content);
            from = start + length;
        }
        return result.Append(text, from, text.Length - from).ToString();
    }

    private Match? MatchAt(string text, int from)
    {
        try
        {
            var match = regex!.Match(text, from);
            return match.Success ? match : null;
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException($"{source.File}: {source.Path}: one match took more than {LongestMatch.TotalSeconds} s", e);
        }
    }

    private static Regex Compile(JsonField expression)
    {
        var text = expression.Text();
        if (text.Any(char.IsSurrogate)) throw expression.Unsupported("expressions: those within the basic multilingual plane");
        try
        {
            return new(text, RegexOptions.CultureInvariant, LongestMatch);
        }
        catch (ArgumentException e)
        {
            throw new InputException($"{expression.File}: {expression.Path}: this regular expression is not supported: {e.Message}", e);
        }
    }

    // origins[i] is where character i of the plain text begins in the given one; null where both are the same.
    private static (string Plain, int[]? Origins) WithStandIns(string text)
    {
        if (!text.Any(char.IsSurrogate)) return (text, null);
        var plain = new StringBuilder(text.Length);
        var origins = new List<int>(text.Length + 1);
        for (int i = 0, length; i < text.Length; i += length)
        {
            var rune = Rune.GetRuneAt(text, i);
            length = rune.Utf16SequenceLength;
            origins.Add(i);
            plain.Append(length == 1 ? text[i] : StandIns.GetValueOrDefault(Rune.GetUnicodeCategory(rune), '\u0378')); // unassigned
        }
        origins.Add(text.Length);
        return (plain.ToString(), [.. origins]);
    }
}
