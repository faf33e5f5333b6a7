using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>Counts of an adjudication over several models, and their intervals.</summary>
public sealed class AdjudicationSummaryTests
{
    private static readonly HeadId Arbiter = new(1, 0);

    [Fact]
    public void Counts_AreThoseOfAllModels_AndModelsAreTheUnits()
    {
        // Every model has an arbiter, 1.0, and flags it with one of three other heads.
        var found = AdjudicationSummary.Of([.. Enumerable.Range(0, 6).Select(i => Model($"m{i}", "planted", Arbiter, Arbiter, new(0, 1)))]);
        var summary = Assert.Single(found);
        var method = Assert.Single(summary.Methods);
        Assert.Equal((12, 6, 6, 6), (method.Flagged, method.Hits, method.Arbiters, method.First));
        // All models say the same, so the heads show no variation between models: the interval is that of six values and not of twelve.
        Assert.Equal(Proportion.Wilson(0.5, 6), (method.Precision.Low, method.Precision.High));
        Assert.Equal(Proportion.Wilson(1, 6), (method.Recall.Low, method.Recall.High));
        Assert.Equal([new("arbiter", 6, 6), new("carrier_question", 6, 6), new("none", 0, 12)], method.Roles);
        var table = AdjudicationFiles.Markdown(summary);
        Assert.Contains("| zero ablation | 6 of 12 (0.19 to 0.81) | 6 of 6 (0.61 to 1.00) | 6 of 6 | 9 |", table, StringComparison.Ordinal);
        Assert.Contains("| zero ablation | 6 of 6 | 6 of 6 | 0 of 12 |", table, StringComparison.Ordinal);
    }

    [Fact]
    public void PlantedAndDiagnosed_AreCountedApart_AndModelsWithoutArbitersHaveNoRecall()
    {
        var found = AdjudicationSummary.Of(
            [Model("a", "planted", Arbiter, Arbiter), Model("b", "planted", null, new HeadId(0, 1)), Model("c", "diagnosed", Arbiter)]);
        Assert.Equal(["planted", "diagnosed"], found.Select(f => f.Truth));
        Assert.Equal((2, 1), (found[0].Models.Count, found[0].WithArbiters));
        var planted = found[0].Methods[0];
        Assert.Equal((2, 1, 1, 1), (planted.Flagged, planted.Hits, planted.Arbiters, planted.First));
        Assert.Equal((0, 1), (found[1].Methods[0].Flagged, found[1].Methods[0].Arbiters));
        Assert.True(double.IsNaN(found[1].Methods[0].Precision.Mean));
        Assert.Contains("| zero ablation | none | 0 of 1 (", AdjudicationFiles.Markdown(found[1]), StringComparison.Ordinal);
    }

    /// <summary>Two layers of two heads: 0.1 carries the question, 1.0 may arbitrate.</summary>
    private static Adjudication Model(string name, string truth, HeadId? arbiter, params HeadId[] flagged)
    {
        string Role(HeadId head) => head == arbiter ? "arbiter" : head == new HeadId(0, 1) ? "carrier_question" : "none";
        HeadId[] heads = [new(0, 0), new(0, 1), new(1, 0), new(1, 1)];
        bool? first = arbiter is null ? null : flagged.Length > 0;
        return new Adjudication(
            name, truth, [.. heads.Select(head => new KnownHead(head.Layer, head.Head, Role(head)))], 0.05,
            [ new MethodResult
            {
                Method = "zero_ablation",
                Flagged = flagged,
                Best = Arbiter,
                BestRole = Role(Arbiter),
                First = first,
                Hits = null,
                Precision = double.NaN,
                Recall = double.NaN,
                Runs = 9,
            }]);
    }
}
