using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using Tokenizer = AnchorScope.Prompts.Tokenizer;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Comparison with Microsoft.ML.Tokenizers in addition to the goldens: a second implementation that can tokenize any text. Its
/// SentencePiece reads tokenizer.model, its byte-level BPE reads vocab.json and merges.txt. All differences between the two are listed
/// here.
/// </summary>
public sealed class SecondOracleTests
{
    // Qwen2's expression, which .NET reads as Oniguruma does, within the basic plane.
    private const string QwenSplit =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly string[] Pieces =
    [
        "What", " is", " shown", " in the picture", "?", "it's", "I'LL", " 12", "345", " ", "  ", "\n", "\r\n", "\t", "été", "größer",
            "Ελλάδα", "漢字", "かな", "한글", "العربية",
        "…", "—", "(a)", "{x}", "a_b", "<b>", "1.5e3", "\u00a0", "ﬁ", "€", "Ω", "x", ".", ",", "!", "'", "\"",
    ];

    [Theory]
    [InlineData("llama")]
    [InlineData("internlm2")]
    public void SentencePiece_GivesTheSameIds(string name)
    {
        using var file = File.OpenRead(Fixtures.Path("sentencepiece", name, "tokenizer.model"));
        var oracle = SentencePieceTokenizer.Create(file, addBeginningOfSentence: false, addEndOfSentence: false);
        AssertSame(Tokenizer.Load(Fixtures.Path("sentencepiece", name)), text => oracle.EncodeToIds(text),
            GoldenTexts("sentencepiece", name, "golden.json").Concat(Random(astral: true)));
    }

    [Fact]
    public void ByteLevel_GivesTheSameIds()
    {
        var folder = Fixtures.Path("tokenizers", "qwen2");
        var oracle = BpeTokenizer.Create(new BpeOptions(Path.Combine(folder, "vocab.json"), Path.Combine(folder, "merges.txt"))
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new Regex(QwenSplit, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(10)), null),
        });
        // It knows no added tokens of this file, does not normalise, and its expression sees the halves of characters beyond U+FFFF.
        var texts = GoldenTexts("tokenizers", "qwen2", "golden_tokenizer.json").Where(text => !text.Contains("<|", StringComparison.Ordinal)
            && !text.Any(unit => char.IsSurrogate(unit) || unit == '\u0301'))
            .Concat(Random(astral: false));
        AssertSame(Tokenizer.Load(folder), text => oracle.EncodeToIds(text), texts);
    }

    private static void AssertSame(Tokenizer tokenizer, Func<string, IReadOnlyList<int>> oracle, IEnumerable<string> texts)
    {
        var (wrong, asked) = (new List<string>(), 0);
        foreach (var text in texts.Where(text => text.Length > 0))
        {
            asked++;
            int[] own = [.. tokenizer.Encode(text, addSpecial: false).Select(token => token.Id)];
            var theirs = oracle(text);
            if (!own.SequenceEqual(theirs))
                wrong.Add($"{JsonSerializer.Serialize(text)}: {string.Join(' ', own)} and not {string.Join(' ', theirs)}");
        }
        if (wrong.Count > 0) Assert.Fail(string.Join('\n', wrong));
        Assert.True(asked > 400);
    }

    private static IEnumerable<string> GoldenTexts(params string[] path)
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path(path)));
        return [.. golden.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("text").GetString()!)];
    }

    private static IEnumerable<string> Random(bool astral)
    {
        var random = new Random(20261130);
        string[] pieces = astral ? [.. Pieces, "🙂", "𠀀", "👍🏽"] : Pieces;
        for (var i = 0; i < 500; i++) yield return string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ =>
            pieces[random.Next(pieces.Length)]));
    }
}
