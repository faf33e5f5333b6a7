using System.Text.Json;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Prompts;

/// <summary>vocab.json and merges.txt without tokenizer.json.</summary>
public sealed class VocabularyFilesTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("qwen25vl")]
    [InlineData("qwen2vl")]
    [InlineData("internvl3")]
    [InlineData("internvl3-remote")]
    public void Rows_AreTheReferences(string name)
    {
        Copy(name);
        var tokenizer = Tokenizer.Load(_folder.Path);
        using var golden = JsonDocument.Parse(
            File.ReadAllText(Fixtures.Path(name == "internvl3-remote" ? "internvl3" : name, "golden_tokenizer.json")));
        foreach (var row in golden.RootElement.GetProperty("rows").EnumerateArray())
        {
            var text = row.GetProperty("text").GetString()!;
            int[] ids = [.. row.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(text).Select(t => t.Id));
            Assert.Equal(row.GetProperty("decoded").GetString(), tokenizer.Decode(ids, skipSpecial: false));
            Assert.Equal(row.GetProperty("decoded_skip_special").GetString(), tokenizer.Decode(ids));
        }
    }

    [Theory]
    [InlineData("tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\"}", "tokenizer_class")]
    [InlineData("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2Tokenizer\", \"added_tokens_decoder\": {\"x\": "
        + "{\"content\": \"a\"}}}", "added_tokens_decoder")]
    [InlineData("merges.txt", "#version: 0.2\nh e\nno-merge", "model.merges[1]")]
    [InlineData("merges.txt", "\uFFFE q", "model.merges[0]")]
    [InlineData("vocab.json", "[1]", "model.vocab")]
    public void WrongFiles_AreNamed(string file, string content, string message)
    {
        Copy("qwen25vl");
        _folder.Write(file, content);
        Assert.Contains(message, Assert.Throws<InputException>(() => Tokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    private void Copy(string name)
    {
        foreach (var file in new[] { "vocab.json", "merges.txt", "tokenizer_config.json" })
            File.Copy(Fixtures.Path(name, file), _folder.File(file));
    }

    public void Dispose() => _folder.Dispose();
}
