using System.Security.Cryptography;
using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Ids and texts of the reference library (tokenizers.Tokenizer.from_file), row by row.</summary>
public sealed class TokenizerGoldenTests
{
    public static TheoryData<string> Folders =>
        [.. Directory.EnumerateFiles(Fixtures.Path(), "golden_tokenizer.json", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Fixtures.Path(), Path.GetDirectoryName(file)!)).Order(StringComparer.Ordinal)];

    [Fact]
    public void EveryFamilyHasAGolden() => Assert.True(Folders.Count >= 10, $"{Folders.Count} folders with golden_tokenizer.json");

    [Theory]
    [MemberData(nameof(Folders))]
    public void EveryRow_IsEqual(string folder)
    {
        var tokenizer = Tokenizer.Load(Fixtures.Path(folder));
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path(folder, "golden_tokenizer.json")));
        var rows = golden.RootElement.GetProperty("rows");
        Assert.NotEqual(0, rows.GetArrayLength());
        foreach (var row in rows.EnumerateArray())
        {
            var text = row.GetProperty("text").GetString()!;
            var ids = Ids(row, "ids");
            Assert.Equal(ids, tokenizer.Encode(text).Select(token => token.Id));
            Assert.Equal(Ids(row, "ids_no_special"), tokenizer.Encode(text, addSpecial: false).Select(token => token.Id));
            Assert.Equal(row.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()), ids.Select(tokenizer.TokenText));
            Assert.Equal(ids, ids.Select(id => tokenizer.IdOf(tokenizer.TokenText(id))!.Value));
            Assert.Equal(row.GetProperty("decoded").GetString(), tokenizer.Decode(ids, skipSpecial: false));
            Assert.Equal(row.GetProperty("decoded_skip_special").GetString(), tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void Organism_EncodesItsWords()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Organism);
        Assert.Equal(96, tokenizer.VocabularySize);
        var tokens = tokenizer.Encode("<user> <image> no-such-word <end>");
        Assert.Equal(["<bos>", "<user>", "<image>", "<unk>", "<end>"], tokens.Select(token => tokenizer.TokenText(token.Id)));
        Assert.Equal([new(1, 0, 0), new(5, 0, 6), new(4, 7, 14), new(3, 15, 27), new(6, 28, 33)], tokens);
        Assert.Equal("<user> <end>", tokenizer.Decode([5, 6], skipSpecial: false));
        Assert.Equal("", tokenizer.Decode([5, 6]));
    }

    [Fact]
    public void SpecialTokens_AreNamed()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Path("llava15"));
        Assert.Equal("<s>", tokenizer.SpecialTokens["bos_token"]);
        Assert.Equal("</s>", tokenizer.SpecialTokens["eos_token"]);
        Assert.Equal("<image>", tokenizer.SpecialTokens["image_token"]);
        Assert.DoesNotContain("add_bos_token", tokenizer.SpecialTokens.Keys);
        Assert.True(tokenizer.IsSpecial(tokenizer.IdOf("<image>")!.Value));
        Assert.False(tokenizer.IsSpecial(tokenizer.IdOf("▁What")!.Value));
        Assert.Equal(450, tokenizer.VocabularySize);
    }

    [Fact]
    public void SpecialTokens_OfTheMap_ComeOverTheConfig_WhereThatHasNoDecoderOfAddedTokens()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Fixtures.Path("tokenizers", "qwen2", "tokenizer.json"), Path.Combine(folder.Name, "tokenizer.json"));
        Assert.Empty(Tokenizer.Load(folder.Name).SpecialTokens);
        folder.Write("tokenizer_config.json", """
            {"bos_token": null, "eos_token": {"content": "<e>", "lstrip": false}, "add_eos_token": true, "extra_special_tokens": {"image_token": "<i>"}}
            """);
        folder.Write("special_tokens_map.json", """{"bos_token": "<b>", "eos_token": "<other>"}""");
        Assert.Equal(
            new Dictionary<string, string> { ["bos_token"] = "<b>", ["eos_token"] = "<other>", ["image_token"] = "<i>" },
            Tokenizer.Load(folder.Name).SpecialTokens);
        folder.Write("tokenizer_config.json", """{"eos_token": "<e>", "added_tokens_decoder": {}}""");
        Assert.Equal(new Dictionary<string, string> { ["eos_token"] = "<e>" }, Tokenizer.Load(folder.Name).SpecialTokens);
        folder.Write("tokenizer_config.json", """{"eos_token": {"text": "<e>"}}""");
        var error = Assert.Throws<InputException>(() => Tokenizer.Load(folder.Name));
        Assert.EndsWith("tokenizer_config.json: eos_token.content: expected a value, found nothing", error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Sha256_IsThatOfTheFile()
    {
        var hash = SHA256.HashData(File.ReadAllBytes(Fixtures.Path("llava15", "tokenizer.json")));
        Assert.Equal(Convert.ToHexStringLower(hash), Tokenizer.Load(Fixtures.Path("llava15")).Sha256);
    }

    private static int[] Ids(JsonElement row, string name) => [.. row.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
