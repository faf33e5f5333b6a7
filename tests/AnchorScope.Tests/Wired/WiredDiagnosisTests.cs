using System.Text.Json;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Wired;

/// <summary>
/// Truth by construction: a diagnosis returns the planted role of every head, the planted route, and an MLP that decides.
/// </summary>
public sealed class WiredDiagnosisTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string> Models => new(
        Directory.GetDirectories(Path.Combine(Fixtures.Root, "models")).Where(d => File.Exists(Path.Combine(d, "truth.json")))
            .Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Models))]
    public void ADiagnosis_ReturnsWhatWasPlanted(string name)
    {
        var folder = Path.Combine(Fixtures.Root, "models", name);
        using var truth = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "truth.json")));
        using var study = new DiagnosisStudy(new DiagnosisOptions
        {
            Model = folder, Data = Path.Combine(Fixtures.Root, "data", "wired-conflicts"), Limit = 48, Windows = [3], Gains = [2],
        });
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var found = study.Reduce(store, study.Run(store));
        var planted = truth.RootElement.GetProperty("heads").EnumerateArray()
            .Select(h => (Layer: h.GetProperty("layer").GetInt32(), Head: h.GetProperty("head").GetInt32(),
                Role: h.GetProperty("role").GetString()!)).Order().ToList();
        Assert.Equal(planted, found.Interchange.Heads.Select(h => (h.Layer, h.Head, h.Role)).Order());
        Assert.Equal(truth.RootElement.GetProperty("route").GetString(), EnumName.Of(found.Route.Verdict));
        var mlp = truth.RootElement.GetProperty("mlp_decides");
        Assert.Equal(mlp.ValueKind == JsonValueKind.Null ? null : mlp.GetProperty("layer").GetInt32(), found.Interchange.MlpDecides);
        // The searched set is the planted arbiters, all of them and no other head.
        var arbiters = planted.Where(h => h.Role == EnumName.Of(HeadRole.Arbiter)).Select(h => (h.Layer, h.Head)).ToList();
        var set = found.Interchange.Set("arbiters");
        Assert.Equal(arbiters.Count > 0, set.Found);
        Assert.Equal(arbiters, set.Heads.Select(h => (h.Layer, h.Head)).Order());
        Assert.Equal(arbiters.Count > 0 ? FindingStatus.Present : FindingStatus.Absent, found.Findings[1].Status);
    }

    public void Dispose() => _temp.Dispose();
}
