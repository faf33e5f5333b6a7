using System.Text.Json;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>A set of heads has one name in files and one for readers, and no two sets share one.</summary>
public sealed class HeadSetIdTests
{
    [Theory]
    [InlineData(HeadSetKind.Top, 0.05, null, "top5", "top 5 %")]
    [InlineData(HeadSetKind.Top, 0.005, null, "top0.5", "top 0.5 %")]
    [InlineData(HeadSetKind.Top, 0.07, null, "top7", "top 7 %")]
    [InlineData(HeadSetKind.Top, 1.0 / 3, null, "top33.3333333333", "top 33.3333333333 %")]
    [InlineData(HeadSetKind.Text, 0.05, null, "text5", "top 5 % for the text")]
    [InlineData(HeadSetKind.Random, 0.05, 12, "random5/12", "random")]
    [InlineData(HeadSetKind.Layer, 0.1, 0, "layer10/0", "random, same layers")]
    public void WhatIsWrittenIsRead(object kindGiven, double share, int? draw, string text, string shown)
    {
        var kind = (HeadSetKind)kindGiven;
        var id = HeadSetId.Of(kind, share) with { Draw = draw };
        Assert.Equal((text, shown), (id.Text, id.Shown));
        Assert.Equal(id, HeadSetId.Parse(text));
        Assert.Equal($"\"{text}\"", JsonSerializer.Serialize(id));
        Assert.Equal(id, JsonSerializer.Deserialize<HeadSetId>($"\"{text}\""));
    }

    /// <summary>
    /// A random set that contains a head of the tested set would be no control; with two heads drawn from six, one would soon be drawn.
    /// </summary>
    [Fact]
    public void RandomSetsHoldNoneOfTheTestedHeads()
    {
        double[] scores = [1, 2, 3, 4, 5, 6];
        var options = new DiagnosisOptions { Model = "", Data = "", Shares = [0.34], Draws = 10 };
        var plan = new HeadPlan(scores, scores, scores, 2, 3, options);
        var top = HeadSetId.Of(HeadSetKind.Top, 0.34);
        Assert.Equal(2, plan.Heads(top).Count);
        var drawn = plan.Sets.Keys.Where(id => id.IsDrawn && id.Percent == top.Percent).ToList();
        Assert.True(drawn.Count >= 10);
        Assert.All(drawn, id => Assert.Empty(plan.Heads(id).Intersect(plan.Heads(top))));
    }

    [Fact]
    public void FactorsThatAreClose_AreTwoConditions() =>
        Assert.NotEqual(ConditionId.Gain(HeadPlan.Tested, 1.5), ConditionId.Gain(HeadPlan.Tested, 1.5004));

    [Theory]
    [InlineData("top")]
    [InlineData("best5")]
    [InlineData("top5/")]
    [InlineData("top5/-1")]
    [InlineData("random5/x")]
    public void OtherNamesAreRefused(string text) => Assert.Throws<FormatException>(() => HeadSetId.Parse(text));

    /// <summary>The set that sentences refer to does not depend on which shares are requested, nor on how many.</summary>
    [Theory]
    [InlineData(0.1)]
    [InlineData(0.05)]
    [InlineData(0.3333)]
    [InlineData(0.01, 0.02, 0.05, 0.1)]
    public void TheTestedSetIsTheBestFivePercent_WhateverSharesAreAskedFor(params double[] shares)
    {
        double[] scores = [.. Enumerable.Range(0, 64).Select(i => (double)((i * 37) % 64))];
        var plan = new HeadPlan(scores, scores, scores, 8, 8, new DiagnosisOptions { Model = "", Data = "", Shares = shares, Draws = 3 });
        Assert.Equal(plan.Order.Take(3), plan.Arbitration);
        Assert.Equal("top 5 %", HeadPlan.Tested.Shown);
        Assert.Equal(3, plan.Draws(HeadPlan.Random).Count);
        Assert.All(shares, share => Assert.Contains(HeadSetId.Of(HeadSetKind.Top, share), plan.Blocked));
        Assert.Equal(plan.Sets.Count, plan.Sets.Keys.Select(id => ConditionId.Block(id).Text).Distinct().Count());
    }
}
