using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>
/// The first organism diagnosed once with the reference's settings (window 3, no random draws of our own), and what the reference
/// library measured on the same files.
/// </summary>
public sealed class OrganismRun : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly JsonDocument _json = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("organism", "reference", "reference.json")));

    public OrganismRun()
    {
        Study = new DiagnosisStudy(new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Windows = [3], Draws = 0 });
        Store = ResultStore.Open(Path.Combine(_folder.Path, "results.jsonl"), resume: false);
        Plan = Study.Run(Store);
        Found = Study.Reduce(Store, Plan);
        Arrays = SafetensorsFile.Open(Fixtures.Path("organism", "reference", "reference.safetensors"));
    }

    internal DiagnosisStudy Study { get; }

    internal ResultStore Store { get; }

    internal HeadPlan Plan { get; }

    internal Diagnosis Found { get; }

    internal SafetensorsFile Arrays { get; }

    internal JsonElement Reference => _json.RootElement;

    /// <summary>The runs of a set in the reference's order: samples of the file, vision before text.</summary>
    internal IReadOnlyList<RunResult> Runs(string set) =>
        [.. Study.Data.Sets.First(s => s.Name == set).Samples.SelectMany(s => Store.Find(set, s.Id)!)];

    public void Dispose()
    {
        Study.Dispose();
        Store.Dispose();
        Arrays.Dispose();
        _json.Dispose();
        _folder.Dispose();
    }
}
