using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// One component of tokenizer.json at a time; expected values from the reference library's documentation where it has them.
/// </summary>
public sealed class TokenizerTests
{
    [Theory]
    [InlineData("Removed", "the|final|countdown")]
    [InlineData("Isolated", "the|-|final|-|-|countdown")]
    [InlineData("MergedWithPrevious", "the-|final-|-|countdown")]
    [InlineData("MergedWithNext", "the|-final|-|-countdown")]
    [InlineData("Contiguous", "the|-|final|--|countdown")]
    public void Split_TreatsDelimitersAsItsBehaviourSays(string behaviour, string expected)
    {
        var byText = $$"""{"type": "Split", "pattern": {"String": "-"}, "behavior": "{{behaviour}}", "invert": false}""";
        Assert.Equal(expected.Split('|'), SmallTokenizer.Create(preTokenizer: byText).Cut("the-final--countdown"));
    }

    [Theory]
    [InlineData("""{"type": "WhitespaceSplit"}""", "Hello there!  You\u00A0too\n", "Hello|there!|You|too")]
    [InlineData("""{"type": "Whitespace"}""", "Hello there! x_1 ½…", "Hello|there|!|x_1|½…")]
    [InlineData("""{"type": "Digits", "individual_digits": true}""", "Call 123 please", "Call |1|2|3| please")]
    [InlineData("""{"type": "Digits", "individual_digits": false}""", "Call 123 please", "Call |123| please")]
    [InlineData("""{"type": "Punctuation"}""", "a$b, c…!", "a|$|b|,| c|…|!")]
    [InlineData("""{"type": "Split", "pattern": {"Regex": "(?=[A-Z])"}, "behavior": "Isolated"}""", "CamelCaseWord", "Camel|Case|Word")]
    [InlineData("""{"type": "Split", "pattern": {"Regex": "[a-z]+"}, "behavior": "Removed", "invert": true}""", "ab-c", "ab|c")]
    [InlineData("""{"type": "Split", "pattern": {"Regex": "\\p{L}+"}, "behavior": "Isolated"}""", "a𝒜b🙂𠀀", "a𝒜b|🙂|𠀀")]
    [InlineData("""{"type": "Split", "pattern": {"Regex": "\\p{N}"}, "behavior": "Removed"}""", "a𝟙b", "a|b")]
    [InlineData("""{"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation"}]}""", "a. b", "a|.|b")]
    [InlineData("""{"type": "ByteLevel", "add_prefix_space": false}""", "It's 12 é!\n\n x", "It|'s| 12| é|!|\n\n| x")]
    public void PreTokenizer_CutsAndKeepsPlaces(string preTokenizer, string text, string expected) =>
        Assert.Equal(expected.Split('|'), SmallTokenizer.Create(preTokenizer: preTokenizer).Cut(text));

    [Theory]
    [InlineData("always", true, "a b", "a| b")]
    [InlineData("always", false, "a b", "a b")]
    [InlineData("never", true, "a b", "a| b")]
    public void Metaspace_CutsBeforeSpaces(string scheme, bool split, string text, string expected)
    {
        var json =
            $$"""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "{{scheme}}", "split": {{(split ? "true" : "false")}} }""";
        Assert.Equal(expected.Split('|'), SmallTokenizer.Create(preTokenizer: json).Cut(text));
    }

    [Theory]
    [InlineData("always", "▁ab|<x>|▁ab")]
    [InlineData("first", "▁ab|<x>|ab")]
    [InlineData("never", "ab|<x>|ab")]
    public void Metaspace_PrependsByItsScheme(string scheme, string expected)
    {
        var tokenizer = SmallTokenizer.Create(
            """{"type": "WordLevel", "vocab": {"<unk>": 0, "▁ab": 1, "ab": 2}, "unk_token": "<unk>"}""",
            preTokenizer: $$"""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "{{scheme}}"}""",
            added: """[{"id": 3, "content": "<x>", "special": true}]""");
        Assert.Equal(expected.Split('|'), tokenizer.Ids("ab<x>ab").Select(tokenizer.TokenText));
    }

    [Theory]
    [InlineData("""{"type": "Lowercase"}""", "HELLO", 1)]
    [InlineData("""{"type": "Strip", "strip_left": true, "strip_right": true}""", " \thello\n", 1)]
    [InlineData("""{"type": "Replace", "pattern": {"String": "xx"}, "content": "ll"}""", "hexxo", 1)]
    [InlineData("""{"type": "Replace", "pattern": {"Regex": "[0-9]+"}, "content": ""}""", "he12ll3o", 1)]
    [InlineData("""{"type": "NFKC"}""", "ｈｅｌｌｏ", 1)]
    [InlineData("""{"type": "NFKD"}""", "ﬁ", 2)]
    [InlineData("""{"type": "NFD"}""", "\u1E9B\u0323", 3)]
    [InlineData("""{"type": "NFC"}""", "가\u1100\u1161\u11A8q\u0323\u0307", 4)]
    [InlineData("""{"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Prepend", "prepend": "h"}]}""", "ELLO", 1)]
    public void Normalizer_RewritesTheWord(string normalizer, string text, int expected)
    {
        var tokenizer = SmallTokenizer.Create(
            """{"type": "WordLevel", "vocab": {"<unk>": 0, "hello": 1, "fi": 2, "ſ\u0323\u0307": 3, "가각q\u0323\u0307": 4}, "unk_token": "<unk>"}""",
            normalizer);
        Assert.Equal([expected], tokenizer.Ids(text));
    }

    // SHA-256 of the UTF-8 text that Python 3.11's unicodedata.normalize gives (Unicode 14.0).
    [Theory]
    [InlineData("NFC", "8a94ca756cd6a6d925d02f9d9357fc6efe648f20eb71ab67ffd8ef2443700aea")]
    [InlineData("NFD", "fd0ede218cad39f764c5b086d78f67f7cec308a69b64c7b72af45cafbe639fd0")]
    [InlineData("NFKC", "25ecc6b9696782949fe96a4af0675916aa5dede098855492ed623e7b9f7e4854")]
    [InlineData("NFKD", "cef1c3085d45e1cf783e686928ef47d7c7173cdbb79b07fc2117230f3f12ac89")]
    public void Normalization_OfEveryCharacterWithMarks_IsUnicodes(string form, string sha256)
    {
        var root = JsonNode.Parse(File.ReadAllText(Fixtures.Path("tokenizers", "qwen2", "tokenizer.json")))!;
        root["normalizer"] = new JsonObject { ["type"] = form };
        var tokenizer = SmallTokenizer.FromText(root.ToJsonString());
        int[] characters = [.. Enumerable.Range(0, 0xD800), .. Enumerable.Range(0xE000, 0x1F000 - 0xE000),
            .. Enumerable.Range(0x2F800, 0x220)];
        var text = string.Join('\n', characters.Select(code => char.ConvertFromUtf32(code) + "\u0307\u0323"));
        var normalized = tokenizer.Decode(tokenizer.Ids(text));
        Assert.Equal(sha256, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(normalized))));
    }

    [Fact]
    public void Offsets_PointIntoTheTextAsWritten()
    {
        var tokenizer = SmallTokenizer.Create(
            normalizer: """{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}, {"type": "Strip"}]}""",
            preTokenizer: """{"type": "WhitespaceSplit"}""");
        // The second word begins with a decomposed letter, the third is a dotted capital I whose lower case is longer.
        Assert.Equal([new(1, 2, 7), new(0, 8, 12), new(0, 13, 15)], tokenizer.Encode("  HELLO e\u0301te \u0130x "));
    }

    [Fact]
    public void Bpe_ReadsBothFormsOfMerges()
    {
        const string vocab = """ "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3} """;
        var strings = SmallTokenizer.Create($$"""{"type": "BPE", {{vocab}}, "merges": ["a b", "ab b"]}""");
        var pairs = SmallTokenizer.Create($$"""{"type": "BPE", {{vocab}}, "merges": [["a", "b"], ["ab", "b"]]}""");
        Assert.Equal([0, 3, 2], strings.Ids("aabbab"));
        Assert.Equal(strings.Encode("aabbab"), pairs.Encode("aabbab"));
    }

    [Fact]
    public void Bpe_MergesByRank_TiesFromTheLeft()
    {
        var tokenizer = SmallTokenizer.Create(
            """{"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4, "aa": 5}, "merges": ["b c", "a b", "a a"]}""");
        Assert.Equal([0, 3], tokenizer.Ids("abc"));
        Assert.Equal([5, 5, 0], tokenizer.Ids("aaaaa"));
    }

    [Theory]
    [InlineData("true", new[] { 0, 3, 1 })]
    [InlineData("false", new[] { 0, 3, 3, 1 })]
    public void Bpe_UnknownCharacters_FuseOrNot(string fuse, int[] expected)
    {
        var tokenizer = SmallTokenizer.Create(
            $$"""{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "?": 3}, "merges": ["a b"], "unk_token": "?", "fuse_unk": {{fuse}} }""");
        Assert.Equal(expected, tokenizer.Ids("ax🙂b"));
        Assert.Equal([new(0, 0, 1), new(3, 1, 2), new(1, 2, 3)], tokenizer.Encode("axb"));
    }

    [Fact]
    public void Bpe_WithoutUnknownToken_DropsWhatItDoesNotKnow() =>
        Assert.Equal(
            [new(0, 0, 1), new(0, 2, 3)], SmallTokenizer.Create("""{"type": "BPE", "vocab": {"a": 0}, "merges": []}""").Encode("axa"));

    [Theory]
    [InlineData("true", new[] { 3 })]
    [InlineData("false", new[] { 0, 1 })]
    public void Bpe_IgnoreMerges_TakesWholeWordsFirst(string ignore, int[] expected) =>
        Assert.Equal(expected, SmallTokenizer.Create(
            $$"""{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 3}, "merges": [], "ignore_merges": {{ignore}} }""").Ids("ab"));

    [Fact]
    public void ByteFallback_CoversTheWholeCharacter()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", "llama-nonlegacy"));
        var cat = tokenizer.Encode("a🐈b", addSpecial: false)
            .Where(token => tokenizer.TokenText(token.Id).StartsWith("<0x", StringComparison.Ordinal));
        Assert.Equal(["<0xF0>", "<0x9F>", "<0x90>", "<0x88>"], cat.Select(token => tokenizer.TokenText(token.Id)));
        Assert.All(cat, token => Assert.Equal((1, 3), (token.Start, token.End)));
        Assert.Equal("\uFFFD\uFFFD", tokenizer.Decode([tokenizer.IdOf("<0xF0>")!.Value, tokenizer.IdOf("<0x9F>")!.Value]));
    }

    [Theory]
    [InlineData("plain", "x<t>y", "x|<t>|y")]
    [InlineData("lstrip", "x <t> y", "x| <t>| y")]
    [InlineData("rstrip", "x <t> y", "x |<t> |y")]
    [InlineData("single_word", "x<t>y <t> <t>", "x<t>y |<t>| |<t>")]
    public void AddedToken_TakesWhatItsFlagsSay(string flag, string text, string expected)
    {
        var tokenizer = SmallTokenizer.Create(added: $$"""[{"id": 3, "content": "<t>", "special": true, "{{flag}}": true}]""");
        Assert.Equal(expected.Split('|'), tokenizer.Cut(text));
        Assert.Contains(3, tokenizer.Ids(text));
    }

    [Theory]
    [InlineData("  ab", "_ab")]
    [InlineData(" ab", "▁_ab")]
    public void Metaspace_First_TakesNoPieceThatBeginsWithTwoReplacedCharacters(string text, string expected)
    {
        // The library aligns what replaces them to the second one, and so the piece does not begin where the text does.
        var tokenizer = SmallTokenizer.Create(
            """{"type": "BPE", "vocab": {"_": 0, "a": 1, "b": 2, "▁": 3}, "merges": []}""",
            """{"type": "Replace", "pattern": {"Regex": " +"}, "content": "_"}""",
            """{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}""");
        Assert.Equal(expected, string.Concat(tokenizer.Ids(text).Select(tokenizer.TokenText)));
    }

    [Theory]
    [InlineData(true, "aéÅb", "a <0xC3> <0xA9> ? b")]
    [InlineData(true, "Åéx", "<0xC3> <0xA9> ?")]
    [InlineData(false, "Åéxa", "<0xC3> <0xA9> ? ? a")]
    public void ByteFallback_WritesAWaitingUnknownTokenBehindTheBytes(bool fuse, string text, string expected)
    {
        var tokenizer = SmallTokenizer.Create($$"""
            {"type": "BPE", "vocab": {"a": 0, "b": 1, "?": 2, "<0xC3>": 3, "<0xA9>": 4}, "merges": [], "unk_token": "?", "byte_fallback": true,
             "fuse_unk": {{(fuse ? "true" : "false")}} }
            """);
        Assert.Equal(expected, string.Join(' ', tokenizer.Ids(text).Select(tokenizer.TokenText)));
    }

    [Fact]
    public void AddedTokens_LeftmostLongest() =>
        Assert.Equal([4, 3, 5], SmallTokenizer.Create(added: """
            [{"id": 3, "content": "<a>", "special": true}, {"id": 4, "content": "<a><b>", "special": true}, {"id": 5, "content": "a", "special": true}]
            """).Ids("<a><b><a>a"));

    [Fact]
    public void AddedToken_Normalized_IsMatchedAfterNormalisation()
    {
        const string lower = """{"type": "Lowercase"}""";
        Assert.Equal(
            [3], SmallTokenizer.Create(normalizer: lower, added: """[{"id": 3, "content": "New", "normalized": true}]""").Ids("nEW"));
        Assert.Equal(
            [0], SmallTokenizer.Create(normalizer: lower, added: """[{"id": 3, "content": "New", "normalized": false}]""").Ids("nEW"));
    }

    [Fact]
    public void Template_PutsTokensAround()
    {
        var tokenizer = SmallTokenizer.Create(postProcessor: """
            {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
             "single": [{"SpecialToken": {"id": "B"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "E"}}],
             "special_tokens": {"B": {"id": "B", "ids": [3, 4]}, "E": {"id": "E", "ids": [5]}}}]}
            """, added: """[{"id": 3, "content": "<3>"}, {"id": 4, "content": "<4>"}, {"id": 5, "content": "<5>"}]""");
        Assert.Equal([new(3, 0, 0), new(4, 0, 0), new(1, 0, 5), new(5, 5, 5)], tokenizer.Encode("hello"));
        Assert.Equal([new(1, 0, 5)], tokenizer.Encode("hello", addSpecial: false));
    }

    [Fact]
    public void Decoder_Metaspace_DropsOnlyTheFirstSpace()
    {
        var tokenizer = SmallTokenizer.Create(
            """{"type": "WordLevel", "vocab": {"<unk>": 0, "▁a": 1, "b▁": 2}, "unk_token": "<unk>"}""",
            decoder: """{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true}""");
        Assert.Equal("a ab ", tokenizer.Decode([1, 1, 2]));
    }

    [Fact]
    public void Ids_WithoutToken_GiveNoText()
    {
        var tokenizer = SmallTokenizer.Create(
            """{"type": "WordLevel", "vocab": {"<unk>": 0, "hello": 1, "far": 9}, "unk_token": "<unk>"}""",
            added: """[{"id": 3, "content": "<t>", "special": true}]""");
        Assert.Equal(10, tokenizer.VocabularySize);
        Assert.False(tokenizer.HasToken(5));
        Assert.Equal("hello", tokenizer.Decode([1, 5, 3, 1000, -1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.TokenText(5));
        Assert.Null(tokenizer.IdOf("nothing"));
    }

    [Fact]
    public void OneMegabyteAsOneWord_TakesSeconds()
    {
        // A scan for the best pair per merge would need 10^11 steps here.
        var tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", "llama-nonlegacy"));
        var text = string.Concat(Enumerable.Repeat("What is shown in the picture? ", 35_000));
        var clock = Stopwatch.StartNew();
        Assert.Equal(text.Length, tokenizer.Encode(text)[^1].End);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 10);
    }
}
