using System.Text.Json;

namespace AnchorScope.Tests.Cli;

/// <summary>`ascope tokenize`: the contract of its output.</summary>
public sealed class TokenizeCommandTests
{
    [Theory]
    [InlineData("qwen25vl", false)]
    [InlineData("qwen25vl", true)]
    [InlineData("llava15", true)]
    [InlineData("tokenizers/llama-nonlegacy", true)]
    public void EveryRow_IsTheReferences(string folder, bool special)
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Fixtures.Path(folder, "golden_tokenizer.json")));
        var rows = golden.RootElement.GetProperty("rows").EnumerateArray().ToList();
        var input = JsonSerializer.Serialize(rows.Select(r => r.GetProperty("text").GetString()));
        var (exit, output, error) = Ascope.RunWithInput(Fixtures.Root, input,
            ["tokenize", Fixtures.Path(folder), .. special ? new[] { "--special" } : []]);
        Assert.Equal((0, ""), (exit, error));
        using var found = JsonDocument.Parse(output);
        Assert.Equal(rows.Count, found.RootElement.GetArrayLength());
        foreach (var (row, item) in rows.Zip(found.RootElement.EnumerateArray()))
        {
            Assert.Equal(row.GetProperty("text").GetString(), item.GetProperty("text").GetString());
            Assert.Equal(Ints(row.GetProperty(special ? "ids" : "ids_no_special")), Ints(item.GetProperty("ids")));
            if (special)
                Assert.Equal(row.GetProperty("tokens").EnumerateArray().Select(t => t.GetString()),
                    item.GetProperty("tokens").EnumerateArray().Select(t => t.GetString()));
            Assert.Equal(item.GetProperty("ids").GetArrayLength(), item.GetProperty("offsets").GetArrayLength());
        }
    }

    [Fact]
    public void Offsets_CountCodePoints()
    {
        var (_, output, _) = Ascope.RunWithInput(Fixtures.Root, """["🙂a🙂"]""", "tokenize", Fixtures.Path("qwen25vl"));
        using var found = JsonDocument.Parse(output);
        var offsets = found.RootElement[0].GetProperty("offsets").EnumerateArray()
            .Select(o => (o[0].GetInt32(), o[1].GetInt32())).Distinct();
        Assert.Equal([(0, 1), (1, 2), (2, 3)], offsets);
    }

    [Theory]
    [InlineData("{}", "expected a JSON array of strings, found an object")]
    [InlineData("[1]", "item 0: expected a string, found 1")]
    [InlineData("[", "not valid JSON")]
    [InlineData("[\"\\uD800\"]", "half of a surrogate pair")]
    public void WrongInput_IsOneLine(string input, string message)
    {
        var (exit, output, error) = Ascope.RunWithInput(Fixtures.Root, input, "tokenize", Fixtures.Path("qwen25vl"));
        Assert.Equal((2, ""), (exit, output));
        Assert.Contains(message, Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    private static IEnumerable<int> Ints(JsonElement list) => list.EnumerateArray().Select(i => i.GetInt32());
}
