using AnchorScope.Conflicts;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

public sealed class DiagnosisDataTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void ASingleFile_IsSplitIntoSetsWithNamesOfTheirOwn()
    {
        var samples = new[] { "test", "control" }.SelectMany(name => ConflictSet.Load(Path.Combine(Fixtures.Conflicts, name + ".jsonl"), limit: 12).Samples).ToList();
        ConflictSet.Save(_temp.File("mine.jsonl"), samples);
        var data = DiagnosisData.Load(_temp.Path, limit: null, seed: 1);
        Assert.Equal([("rank", 6), ("test", 6), ("control", 12)], data.Sets.Select(s => (s.Name, s.Samples.Count)));
        Assert.Equal(samples.Select(s => s.Id).Order(StringComparer.Ordinal), data.Sets.SelectMany(s => s.Samples).Select(s => s.Id).Order(StringComparer.Ordinal));
        // Names are kept when samples are left out.
        Assert.Equal(["rank", "test", "control"], data.Filter(Tokenizer.Load(Fixtures.Organism)).Sets.Select(s => s.Name));
    }

    public void Dispose() => _temp.Dispose();
}
