using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Wired;

/// <summary>Methods that name deciding heads, on a model whose most necessary heads do not arbitrate.</summary>
public sealed class AdjudicationTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void OnTheDecoy_AblationNamesCarriers_AndRolesTheArbiter()
    {
        using var study = new DiagnosisStudy(new DiagnosisOptions
        {
            Model = Path.Combine(Fixtures.Root, "models", "wired-decoy"), Data = Path.Combine(Fixtures.Root, "data", "wired-conflicts"), Limit = 32,
            Windows = [3], Gains = [2],
        });
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var arbiter = new HeadId(2, 0);
        Dictionary<HeadId, string> truth = new()
        {
            [arbiter] = "arbiter", [new(0, 1)] = "carrier_question", [new(1, 2)] = "carrier_question", [new(3, 1)] = "carrier_decision",
        };
        foreach (var layer in Enumerable.Range(0, 4))
        {
            foreach (var head in Enumerable.Range(0, 4)) truth.TryAdd(new HeadId(layer, head), "none");
        }
        var found = new AdjudicationStudy(study, store).Run("wired-decoy", truth);
        MethodResult Of(HeadMethod method) => found.Methods.Single(m => m.Method == Variants.NameOf(method));
        Assert.Equal([arbiter], found.Arbiters);
        Assert.Equal(Enum.GetValues<HeadMethod>().Length, found.Methods.Count);
        Flags(HeadMethod.ZeroAblation, 0.25, 1.0, new HeadId(0, 1), new HeadId(1, 2), arbiter, new HeadId(3, 1));
        Assert.Equal("carrier_question", Of(HeadMethod.ZeroAblation).BestRole);
        Flags(HeadMethod.DirectLogitAttribution, 0.0, 0.0, new HeadId(3, 1));
        Flags(HeadMethod.LastPositionPatching, 0.0, 0.0, new HeadId(3, 1));
        Flags(HeadMethod.OutputInterchange, 0.5, 1.0, arbiter, new HeadId(3, 1));
        Flags(HeadMethod.QueryInterchange, 1.0, 1.0, arbiter);
        Flags(HeadMethod.Roles, 1.0, 1.0, arbiter);
        Assert.Contains("| roles | 2.0 | 1.00 | 1.00 | 1 of 1 | 2.0, arbiter |", AdjudicationFiles.Markdown(found), StringComparison.Ordinal);

        void Flags(HeadMethod method, double precision, double recall, params HeadId[] heads)
        {
            Assert.Equal(heads, Of(method).Flagged);
            Assert.Equal((precision, recall), (Of(method).Precision, Of(method).Recall));
        }
    }

    public void Dispose() => _temp.Dispose();
}
