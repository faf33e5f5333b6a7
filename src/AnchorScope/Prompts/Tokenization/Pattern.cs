using System.Text;
using System.Text.RegularExpressions;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// The pattern of Replace and Split: <c>{"String": ...}</c> or <c>{"Regex": ...}</c>, an expression in Oniguruma's Ruby syntax, as in the
/// tokenizers library.
/// </summary>
internal sealed class Pattern
{
    private static readonly TimeSpan LongestMatch = TimeSpan.FromSeconds(10);

    private readonly JsonField source;
    private readonly string? literal;
    private readonly OnigurumaExpression? expression;
    private readonly Regex? regex;

    public Pattern(JsonField field)
    {
        source = field;
        if (field.Find("String") is { } text)
            literal = text.Text();
        else if (field.Find("Regex") is { } given)
            (expression, regex) = Compile(given);
        else
            throw field.Unsupported("patterns {\"String\": ...}, {\"Regex\": ...}");
    }

    /// <summary>A fixed expression of the library itself.</summary>
    public Pattern(string expression)
    {
        this.expression = new(expression);
        regex = new(this.expression.Regex, RegexOptions.CultureInvariant, LongestMatch);
    }

    /// <summary>Non-overlapping matches from left to right. An empty match, for instance of a lookahead, is a place to split.</summary>
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

        var (plain, origins) = AsUnits(text);
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

    private static (OnigurumaExpression, Regex) Compile(JsonField given)
    {
        try
        {
            var translated = new OnigurumaExpression(given.Text());
            return (translated, new(translated.Regex, RegexOptions.CultureInvariant, LongestMatch));
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            throw new InputException($"{given.File}: {given.Path}: this regular expression is not supported: {Quoted.Line(e.Message)}; " +
                $"found {given.Found}", e);
        }
    }

    // origins[i] is the index in the given text of character i of the plain text; null if both are the same.
    private (string Plain, int[]? Origins) AsUnits(string text)
    {
        if (!text.Any(char.IsSurrogate)) return (text, null);
        if (expression!.HasBackreferences)
            throw new InputException($"{source.File}: {source.Path}: a backreference over characters beyond U+FFFF, " +
                "which are in the text, is not supported");
        var plain = new StringBuilder(text.Length);
        var origins = new List<int>(text.Length + 1);
        for (int i = 0, length; i < text.Length; i += length)
        {
            var rune = Rune.GetRuneAt(text, i);
            length = rune.Utf16SequenceLength;
            origins.Add(i);
            plain.Append(length == 1 ? text[i] : expression.Unit(rune));
        }
        origins.Add(text.Length);
        return (plain.ToString(), [.. origins]);
    }
}
