using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Byte-pair encoding compared with its definition, at every length for which the model uses a different algorithm.</summary>
public sealed class BytePairTests
{
    [Theory]
    [InlineData("llama-legacy", "▁")]
    [InlineData("qwen2", "")]
    public void AnyLength_IsTheDefinition(string name, string prefix)
    {
        var tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", name));
        using var file = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("tokenizers", name, "tokenizer.json")));
        var model = file.RootElement.GetProperty("model");
        var ids = model.GetProperty("vocab").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetInt32(), StringComparer.Ordinal);
        var ranks = model.GetProperty("merges").EnumerateArray()
            .Select(
                (merge, rank) => (Parts: merge.ValueKind == JsonValueKind.String
                    ? merge.GetString()!.Split(' ') : [.. merge.EnumerateArray().Select(p => p.GetString()!)], rank))
            .ToDictionary(m => (m.Parts[0], m.Parts[1]), m => m.rank);
        var random = new Random(5);
        // Letters that merge with each other, so that nothing cuts the piece.
        foreach (var length in new[] { 1, 2, 3, 7, 20, 39, 40, 41, 42, 100, 999, 5_000, 19_999, 20_000, 30_000 })
        {
            var text = string.Concat(Enumerable.Range(0, length).Select(_ => "etaoinshr"[random.Next(9)]));
            var symbols = (prefix + text).Select(c => c.ToString()).ToList();
            Merge(symbols, ranks);
            Assert.Equal(symbols.Select(s => ids[s]), tokenizer.Ids(text));
        }
    }

    /// <summary>
    /// Merges the lowest rank first, leftmost first, until no pair is left. A round may merge all pairs of a rank if its merges create only
    /// pairs of later ranks.
    /// </summary>
    private static void Merge(List<string> symbols, Dictionary<(string, string), int> ranks)
    {
        while (true)
        {
            var best = int.MaxValue;
            for (var i = 0; i + 1 < symbols.Count; i++)
                best = Math.Min(best, ranks.GetValueOrDefault((symbols[i], symbols[i + 1]), int.MaxValue));
            if (best == int.MaxValue) return;
            var merged = new List<string>(symbols.Count);
            foreach (var symbol in symbols)
            {
                if (merged.Count > 0 && ranks.GetValueOrDefault((merged[^1], symbol), int.MaxValue) == best) merged[^1] += symbol;
                else merged.Add(symbol);
            }
            symbols.Clear();
            symbols.AddRange(merged);
        }
    }
}
