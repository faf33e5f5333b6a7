using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>The published vocabularies against the reference tokenizer.</summary>
public sealed class RealVocabularyTests
{
    [PublishedTheory(PublishedFiles.Vocabularies)]
    [InlineData("llama2", "llama2", 32000)]
    [InlineData("qwen2.5", "qwen", 151665)]
    public void Rows_AreTheReferences(string name, string folder, int size)
    {
        var tokenizer = Tokenizer.Load(Path.Combine(PublishedFiles.Path(PublishedFiles.Vocabularies), folder));
        Assert.Equal(size, tokenizer.VocabularySize);
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("tokenizers-real", "golden.json")));
        var rows = golden.RootElement.GetProperty(name).EnumerateArray().ToList();
        Assert.Equal(25, rows.Count);
        foreach (var row in rows)
        {
            var text = row.GetProperty("text").GetString()!;
            int[] ids = Ids(row, "ids");
            Assert.Equal(ids, tokenizer.Encode(text, addSpecial: false).Select(t => t.Id));
            Assert.Equal(Ids(row, "ids_with_special"), tokenizer.Encode(text).Select(t => t.Id));
            Assert.Equal(row.GetProperty("decoded").GetString(), tokenizer.Decode(ids, skipSpecial: false));
            var stream = tokenizer.Stream(skipSpecial: false);
            string[] pieces = [.. ids.Select(stream.Next), stream.End()];
            Assert.Equal(row.GetProperty("decoded").GetString(), string.Concat(pieces));
        }

        static int[] Ids(JsonElement row, string field) => [.. row.GetProperty(field).EnumerateArray().Select(i => i.GetInt32())];
    }
}
