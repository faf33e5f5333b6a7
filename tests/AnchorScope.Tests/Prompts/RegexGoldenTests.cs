using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Regular expressions of tokenizer.json against the splits of tokenizers 0.23.1, which reads them with Oniguruma: written by hand for each
/// construct, and 260 put together at random (tests/fixtures/text/make_regex.py). Cuts count code points.
/// </summary>
public sealed class RegexGoldenTests
{
    /// <summary>What the library takes and is refused here, by the words with which it is refused.</summary>
    private static readonly Dictionary<string, string> Refused = new(StringComparer.Ordinal)
    {
        [@"\X"] = @"\X", [@"\y"] = @"\y", [@"\Y"] = @"\Y", [@"\K"] = @"\K", [@"a\Kb"] = @"\K", [@"\G"] = @"\G", [@"\ga"] = @"\g",
        [@"\M-a"] = @"\M", [@"\C-a"] = @"\C", ["(?~ab)"] = "an absent operator, (?~...)", ["(?{x})"] = "a callout, (?{...})",
        ["(*FAIL)"] = "a callout, (*...)", [@"(?W:\w)"] = "a group that begins with (?W",
        ["(?i:ss)"] = "\"ss\" without regard to case", ["(?i:ß)"] = "\"ss\" without regard to case", ["(?i:st)"] =
            "\"st\" without regard to case",
        ["(?i:fi)"] = "\"fi\" without regard to case", ["(?i:[ß])"] = "brackets without regard to case",
        [@"(?i:(a)\1)"] = "a backreference without regard to case", [@"(?<n>a)(?<n>b)\k<n>"] = "two groups called n",
        [@"\p{InBasicLatin}"] = "the property InBasicLatin", ["a{3,1}"] = "the repetition {3,1}, whose bounds are in the wrong order",
        [@"\x{110000}"] = "an escape with 110000, which is no code point", [@"\uD800"] = "an escape with D800, which is no code point",
    };

    [Fact]
    public void EverySplit_IsTheLibrarys_OrTheExpressionIsRefusedByName()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("text", "regex.json")));
        string[] texts = [.. golden.RootElement.GetProperty("texts").EnumerateArray().Select(text => text.GetString()!)];
        var wrong = new List<string>();
        foreach (var row in golden.RootElement.GetProperty("rows").EnumerateArray())
        {
            var pattern = row.GetProperty("p").GetString()!;
            var expected = row.TryGetProperty("cuts", out var cuts)
                ? [.. cuts.EnumerateArray().Select(list => string.Join(' ', list.EnumerateArray().Select(cut => cut.GetInt32())))]
                : (string[]?)null;
            try
            {
                var tokenizer = Splitting(pattern);
                // Characters beyond U+FFFF cannot be compared by a backreference here: refused where such a text comes.
                string?[] found = [.. texts.Select(text => Backreference().IsMatch(pattern) && text.Any(char.IsSurrogate)
                    ? RefusedText(tokenizer, text) : Cuts(tokenizer, text))];
                if (expected is null) wrong.Add($"{pattern}: taken, and the library says {row.GetProperty("error").GetString()}");
                else if (Refused.ContainsKey(pattern)) wrong.Add($"{pattern}: no longer refused");
                for (var t = 0; t < texts.Length && expected is not null; t++)
                    if (found[t] is { } cut
                        && cut != expected[t])
                        wrong.Add($"{pattern} on {JsonSerializer.Serialize(texts[t])}: {found[t]} and not {expected[t]}");
            }
            catch (InputException e)
            {
                if (expected is null) continue;
                if (!Refused.TryGetValue(pattern, out var words)) wrong.Add($"{pattern}: refused: {e.Message}");
                else if (!e.Message.Contains($"this regular expression is not supported: {words}",
                    StringComparison.Ordinal)) wrong.Add($"{pattern}: refused otherwise: {e.Message}");
            }
        }
        if (wrong.Count > 0) Assert.Fail(string.Join("\n", wrong));
    }

    private static string? RefusedText(Tokenizer tokenizer, string text)
    {
        Assert.Contains("a backreference over characters beyond U+FFFF",
            Assert.Throws<InputException>(() => tokenizer.Encode(text)).Message, StringComparison.Ordinal);
        return null;
    }

    private static System.Text.RegularExpressions.Regex Backreference() =>
        new(@"\\(1(?!\d)|k)", System.Text.RegularExpressions.RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(1));

    private static Tokenizer Splitting(string pattern)
    {
        var split = new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated" };
        return SmallTokenizer.Create(preTokenizer: split.ToJsonString());
    }

    private static string Cuts(Tokenizer tokenizer, string text) => string.Join(' ', tokenizer.Encode(text, addSpecial: false).SkipLast(1)
        .Select(token => text[..token.End].EnumerateRunes().Count().ToString(CultureInfo.InvariantCulture)));
}
