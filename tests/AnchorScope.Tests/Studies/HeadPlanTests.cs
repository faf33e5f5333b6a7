using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>Which heads a plan takes for which set.</summary>
public sealed class HeadPlanTests
{
    private static readonly DiagnosisOptions Options = new() { Model = "", Data = "", Shares = [0.05], Draws = 2 };

    private static double[] Best(params int[] heads) => [.. Enumerable.Range(0, 40).Select(i => heads.Contains(i) ? 1.0 : 0)];

    [Fact]
    public void EachSet_HasTheBestHeadsOfItsOwnScores()
    {
        var plan = new HeadPlan(Best(0, 39), Best(3, 4), Best(36, 37), 4, 10, Options);
        Assert.Equal([(0, 0), (3, 9)], plan.Arbitration);
        Assert.Equal([(0, 3), (0, 4)], plan.Vision);
        Assert.Equal([(3, 6), (3, 7)], plan.Text);
        Assert.Equal(plan.Vision, plan.Heads(HeadSetId.Of(HeadSetKind.Vision, HeadPlan.TestedShare)));
        Assert.Equal(plan.Text, plan.Heads(HeadSetId.Of(HeadSetKind.Text, HeadPlan.TestedShare)));
    }

    /// <summary>The deep set is of the upper half of the layers, its first layer included.</summary>
    [Fact]
    public void TheDeepSet_IsOfTheUpperHalf()
    {
        var plan = new HeadPlan(Best(0, 19, 20, 21), Best(0), Best(0), 4, 10, Options);
        Assert.Equal([(2, 0), (2, 1)], plan.Heads(HeadSetId.Of(HeadSetKind.Deep, HeadPlan.TestedShare)));
    }

    [Fact]
    public void RandomSetsFromTheSameLayers_AreFromTheSameLayers()
    {
        var plan = new HeadPlan(Best(5, 25), Best(5), Best(5), 4, 10, Options);
        var draws = plan.Draws(HeadPlan.SameLayers);
        Assert.Equal(2, draws.Count);
        Assert.All(draws, draw => Assert.Equal([0, 2], plan.Heads(draw).Select(h => h.Layer)));
        Assert.All(draws, draw => Assert.Empty(plan.Heads(draw).Intersect(plan.Arbitration)));
    }
}
