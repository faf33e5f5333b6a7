using System.Text;
using AnchorScope.Prompts;
using AnchorScope.Prompts.Tokenization;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Prompts;

/// <summary>What holds for every text.</summary>
public sealed class TokenizerLawTests
{
    private static readonly Tokenizer Legacy = Tokenizer.Load(Fixtures.Path("tokenizers", "llama-legacy"));
    private static readonly Tokenizer NonLegacy = Tokenizer.Load(Fixtures.Path("tokenizers", "llama-nonlegacy"));
    private static readonly Tokenizer ByteLevel = Tokenizer.Load(Fixtures.Path("tokenizers", "qwen2"));
    private static readonly Tokenizer Words = Tokenizer.Load(Fixtures.Organism);

    private static readonly Tokenizer[] SentencePieces = [
        .. new[] { "llama", "internlm2" }.Select(name => Tokenizer.Load(Fixtures.Path("sentencepiece", name)))];

    private static readonly string[] Plain =
        ["a", "e", "What", "is", "the", " ", "  ", "\n", "\r\n", "\t", "0", "12", "'s", "é", "日本", "🙂", "👩\u200D👧", "𝒜", "½", "ﬁ", "\0",
            "\u00A0", "<", ">", "<0x41>"];

    // Halves of surrogate pairs, combining marks, jamo, the tokenizers' own marks and tokens.
    private static readonly string[] Hard =
        [.. Plain, "\uD83D", "\uDE42", "\u0301", "\u0323", "\u1100", "\u1161", "\u11A8", "각", "▁", "Ġ", "<image>", "<s>", "<unk>",
            "<|im_start|>", "<end>"];

    public static class Texts
    {
        public static Arbitrary<string> Hard() => From(TokenizerLawTests.Hard);

        public static Arbitrary<string> From(string[] alphabet) =>
            Gen.OneOf(Gen.Elements(alphabet).ArrayOf().Select(string.Concat),
                Gen.Choose(1, 0xFFFF).Select(c => (char)c).ArrayOf().Select(c => new string(c)))
                .ToArbitrary();
    }

    [Property(Arbitrary = [typeof(Texts)], MaxTest = 200)]
    public void Ranges_AreOrderedAndInsideTheText(string text)
    {
        foreach (var tokenizer in (Tokenizer[])[Legacy, NonLegacy, ByteLevel, Words])
        {
            var tokens = tokenizer.Encode(text);
            Assert.All(tokens, token =>
            {
                Assert.True(tokenizer.HasToken(token.Id));
                Assert.InRange(token.Start, 0, token.End);
                Assert.InRange(token.End, token.Start, text.Length);
            });
            Assert.Equal(tokens.Select(token => token.Start).Order(), tokens.Select(token => token.Start));
            Assert.Equal(tokens.Select(token => token.End).Order(), tokens.Select(token => token.End));
        }
    }

    [Property(Arbitrary = [typeof(Texts)], MaxTest = 200)]
    public void Ranges_CoverAllThatIsNotDropped(string text)
    {
        foreach (var tokenizer in (Tokenizer[])[Legacy, NonLegacy, ByteLevel]) Assert.Equal("", Uncovered(tokenizer, text));
        Assert.Equal(string.Concat(text.Where(char.IsWhiteSpace)), Uncovered(Words, text));
    }

    [Property(MaxTest = 200)]
    public Property Ranges_OverlapOnlyInBytesOfOneCharacter() => Prop.ForAll(Texts.From(Plain), text =>
    {
        text = Readable(text);
        foreach (var tokenizer in (Tokenizer[])[Legacy, NonLegacy])
            foreach (var (first, second) in Pairs(tokenizer.Encode(text)))
                if (second.Start < first.End)
                    Assert.Single(text[second.Start..first.End].EnumerateRunes());
    });

    [Property(MaxTest = 200)]
    public Property TokenTexts_AreTheTextTheyCover() => Prop.ForAll(Texts.From(Plain), text =>
    {
        text = Readable(text);
        foreach (var token in Legacy.Encode(text, addSpecial: false))
        {
            var written = Legacy.TokenText(token.Id).Replace('▁', ' ');
            if (IsByte(written)) continue;
            var covered = text[token.Start..token.End].Replace('▁', ' ');
            Assert.Equal(covered, token.Start == 0 && written.Length == covered.Length + 1 ? written[1..] : written);
        }
    });

    [Property(MaxTest = 200)]
    public Property Decode_OfEncode_IsTheText() => Prop.ForAll(Texts.From(Plain), text =>
    {
        text = Readable(text);
        Assert.Equal(text.Replace('▁', ' '), Legacy.Decode(Legacy.Ids(text)));
        if (!text.StartsWith(' ') && !text.StartsWith('▁')) Assert.Equal(text.Replace('▁', ' '), NonLegacy.Decode(NonLegacy.Ids(text)));
        if (text.All(unit => unit < '\u0300' || Plain.Any(piece => piece.Contains(unit))))
            Assert.Equal(text, ByteLevel.Decode(ByteLevel.Ids(text)));
    });

    /// <summary>
    /// Any tokens in any order: the pieces are Decode's text, each of whole characters, and what the steps would make of all tokens at
    /// once.
    /// </summary>
    [Property(MaxTest = 300)]
    public void Stream_IsDecode(int[] numbers, bool skipSpecial)
    {
        foreach (var tokenizer in (Tokenizer[])[Legacy, NonLegacy, ByteLevel, Words, .. SentencePieces])
        {
            // Many of the first 260 tokens are bytes.
            int[] ids = [.. numbers.Select((n, i) => (int)((uint)n % (i % 2 == 0 ? 260 : tokenizer.VocabularySize)))];
            var stream = tokenizer.Stream(skipSpecial);
            string[] pieces = [.. ids.Select(stream.Next), stream.End()];
            Assert.Equal(tokenizer.Decode(ids, skipSpecial), string.Concat(pieces));
            Assert.All(pieces, piece => Assert.Equal(piece, Readable(piece)));
            string[] kept = [.. ids.Where(id => tokenizer.HasToken(id) && !(skipSpecial && tokenizer.IsSpecial(id)))
                .Select(tokenizer.TokenText)];
            if (tokenizer == Words) Assert.Equal(string.Join(' ', kept), string.Concat(pieces));
            else if (tokenizer == ByteLevel)
                Assert.Equal(Encoding.UTF8.GetString([.. kept.SelectMany(ByteAlphabet.Read)]), string.Concat(pieces));
            else Assert.Equal(Llama(kept, strips: tokenizer != SentencePieces[1]), string.Concat(pieces));
        }
    }

    /// <summary>Replace, ByteFallback, Fuse and, with a dummy prefix, Strip written out for a whole list.</summary>
    private static string Llama(string[] tokens, bool strips)
    {
        var (text, run) = (new StringBuilder(), new List<byte>());
        foreach (var token in tokens.Append(""))
        {
            if (IsByte(token)) run.Add(Convert.ToByte(token[3..5], 16));
            if (IsByte(token) || (token.Length == 0 && tokens.Length > 0 && run.Count == 0)) continue;
            var read = Encoding.UTF8.GetString([.. run]);
            text.Append(Encoding.UTF8.GetBytes(read).SequenceEqual(run) ? read : new string('\uFFFD', run.Count))
                .Append(token.Replace('▁', ' '));
            run.Clear();
        }
        return strips && text.Length > 0 && text[0] == ' ' ? text.ToString(1, text.Length - 1) : text.ToString();
    }

    [Fact]
    public void Stream_HoldsBackWhatIsNotCertain()
    {
        var bytes = ByteLevel.Ids("é");
        Assert.Equal(2, bytes.Length);
        var stream = ByteLevel.Stream();
        Assert.Equal(["", "é", ""], new[] { stream.Next(bytes[0]), stream.Next(bytes[1]), stream.End() });
        stream = ByteLevel.Stream();
        Assert.Equal(["", "\uFFFD"], new[] { stream.Next(bytes[0]), stream.End() });
        // A text comes as it is decided, not at the end.
        int[] ids = ByteLevel.Ids("What is the colour of it ?");
        stream = ByteLevel.Stream();
        Assert.All(ids, id => Assert.NotEmpty(stream.Next(id)));
        Assert.Empty(stream.End());
    }

    [Property(MaxTest = 200)]
    public Property AddedTokens_CutTheTextIntoIndependentPieces() => Prop.ForAll(Texts.From(Plain), Texts.From(Plain), (left, right) =>
    {
        var (image, start) = (Legacy.IdOf("<image>")!.Value, ByteLevel.IdOf("<|im_start|>")!.Value);
        Assert.Equal([.. Legacy.Ids(left), image, .. Legacy.Ids(right)], Legacy.Ids(left + "<image>" + right));
        Assert.Equal([.. ByteLevel.Ids(left), start, .. ByteLevel.Ids(right)], ByteLevel.Ids(left + "<|im_start|>" + right));
    });

    [Fact]
    public void HalfASurrogatePair_IsTheReplacementCharacter()
    {
        Assert.Equal(Legacy.Encode("a\uFFFDb\uFFFD"), Legacy.Encode("a\uD83Db\uDE42"));
        Assert.Equal("a\uFFFDb", ByteLevel.Decode(ByteLevel.Ids("a\uDE42b")));
    }

    private static string Readable(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    private static bool IsByte(string token) => token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal);

    private static IEnumerable<(Token First, Token Second)> Pairs(IReadOnlyList<Token> tokens) => tokens.Zip(tokens.Skip(1));

    private static string Uncovered(Tokenizer tokenizer, string text)
    {
        var covered = new bool[text.Length];
        foreach (var token in tokenizer.Encode(text)) Array.Fill(covered, true, token.Start, token.End - token.Start);
        return string.Concat(text.Where((_, i) => !covered[i]));
    }
}
