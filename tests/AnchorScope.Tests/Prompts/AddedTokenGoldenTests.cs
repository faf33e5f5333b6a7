using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Added tokens of tokenizer.json and tokenizer_config.json compared with transformers 5.12.1 (tests/fixtures/text/make_added_tokens.py):
/// their ids, which are special, and which have names.
/// </summary>
public sealed class AddedTokenGoldenTests
{
    private static readonly JsonElement Golden =
        JsonDocument.Parse(File.ReadAllText(Fixtures.Path("text", "added-tokens.json"))).RootElement;

    public static TheoryData<string> Names =>
        [.. Golden.GetProperty("cases").EnumerateArray().Select(row => row.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Ids_AreTheReferences(string name)
    {
        var row = Golden.GetProperty("cases").EnumerateArray().Single(row => row.GetProperty("name").GetString() == name);
        using var folder = new TemporaryFolder();
        var tokenizer = Load(folder, row);
        foreach (var (text, ids) in Golden.GetProperty("texts").EnumerateArray().Zip(row.GetProperty("ids").EnumerateArray()))
            Assert.Equal(Ints(ids), tokenizer.Ids(text.GetString()!));
        Assert.Equal(Ints(row.GetProperty("special")), Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsSpecial));
        Assert.Equal(row.GetProperty("named").EnumerateObject().ToDictionary(m => m.Name, m => m.Value.GetString()!),
            tokenizer.SpecialTokens.ToDictionary());
    }

    [Theory]
    [InlineData("file with a gap",
        "added tokens are numbered on from the end of the vocabulary, as the tokenizers library does: \"XY\" is 6 and not 9")]
    [InlineData("decoder adds with a gap", "\"YX\" is 7 and not 9, \"XY\" is 8 and not 12")]
    [InlineData("decoder with another id", "\"<img>\" is 6 and not 9")]
    public void AnIdThatIsNotTheFiles_IsSaid(string name, string warning)
    {
        using var folder = new TemporaryFolder();
        var row = Golden.GetProperty("cases").EnumerateArray().Single(row => row.GetProperty("name").GetString() == name);
        var said = Assert.Single(Load(folder, row).Warnings);
        Assert.StartsWith(Path.Combine(folder.Name, "tokenizer.json") + ": ", said, StringComparison.Ordinal);
        Assert.EndsWith(warning, said, StringComparison.Ordinal);
    }

    [Fact]
    public void IdsThatAreTheFiles_NeedNoWarning()
    {
        foreach (var name in new[] { "none", "decoder adds", "extra as list", "named" })
        {
            using var folder = new TemporaryFolder();
            Assert.Empty(Load(folder, Golden.GetProperty("cases").EnumerateArray().Single(row =>
                row.GetProperty("name").GetString() == name)).Warnings);
        }
    }

    [Theory]
    [InlineData("""{"added_tokens_decoder": {"x": {"content": "a"}}}""", "added_tokens_decoder.x: expected token ids as keys")]
    [InlineData("""{"added_tokens_decoder": {"7": {"content": 1}}}""", "added_tokens_decoder.7.content: expected a string")]
    [InlineData("""{"added_tokens_decoder": {"7": {"content": "a", "lstrip": 1}}}""",
        "added_tokens_decoder.7.lstrip: expected true or false")]
    [InlineData("""{"extra_special_tokens": [3]}""", "extra_special_tokens[0]: expected an object")]
    [InlineData("""{"additional_special_tokens": 3}""", "additional_special_tokens: expected an array")]
    public void AWrongConfiguration_NamesTheField(string config, string expected)
    {
        using var folder = new TemporaryFolder();
        var row = Golden.GetProperty("cases").EnumerateArray().First();
        Load(folder, row);
        folder.Write("tokenizer_config.json", config);
        var error = Assert.Throws<InputException>(() => Tokenizer.Load(folder.Name)).Message;
        Assert.Contains($"tokenizer_config.json: {expected}", error, StringComparison.Ordinal);
    }

    private static Tokenizer Load(TemporaryFolder folder, JsonElement row)
    {
        var file = row.GetProperty("tokenizer");
        folder.Write("tokenizer.json", $$"""
            {"added_tokens": {{file.GetProperty("added_tokens").GetRawText()}},
             "model": {"type": "BPE", "vocab": {{file.GetProperty("vocab").GetRawText()}}, "merges": ["a b"], "unk_token": "<unk>"} }
            """);
        folder.Write("tokenizer_config.json", row.GetProperty("config").GetRawText());
        if (row.GetProperty("map").ValueKind == JsonValueKind.Object) folder.Write("special_tokens_map.json",
            row.GetProperty("map").GetRawText());
        return Tokenizer.Load(folder.Name);
    }

    private static IEnumerable<int> Ints(JsonElement list) => list.EnumerateArray().Select(id => id.GetInt32());
}
