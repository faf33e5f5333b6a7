using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>The effects of cuts, computed on rows written by hand.</summary>
public sealed class RouteReaderTests
{
    private const int Samples = 40;

    /// <summary>All runs follow; under each cut the first of so many give the other answer.</summary>
    private static MeasuredSet Cut(int gathers, int handsOn, int reads) => HandMade.Set(Enumerable.Range(0, Samples).Select(i =>
    {
        Outcome Under(int lost) => i < lost ? HandMade.Logits(0, 1, HandMade.Other) : HandMade.Logits(1, 0, HandMade.Own);
        return HandMade.Run(i, Modality.Vision,
            (ConditionId.Baseline.Text, Under(0)), (ConditionId.KnockoutAll("context->instruction"), Under(gathers)),
            (ConditionId.KnockoutAll("instruction->suffix"), Under(handsOn)), (ConditionId.KnockoutAll("context->last"), Under(reads)));
    }));

    /// <summary>
    /// By arg-max, a cut that switches half of the runs has an effect of one half; relative to the share above chance its effect is 1.
    /// </summary>
    [Theory]
    [InlineData(RouteMeasure.Argmax, 0.5)]
    [InlineData(RouteMeasure.Larger, 1)]
    public void WhatACutTakes_IsOfWhatLiesAboveChance(RouteMeasure measure, double lost)
    {
        var found = RouteReader.Read(Cut(Samples / 2, Samples / 2, 0), measure);
        Assert.Equal([lost, lost, 0], found.Cuts.Select(c => c.Lost));
        Assert.Equal(["context->instruction", "instruction->suffix", "context->last"], found.Cuts.Select(c => c.Edge));
        Assert.Equal(Route.Relay, found.Verdict);
    }

    [Fact]
    public void TheCutOfTheContextThatHurts_SaysWhichRoute()
    {
        Assert.Equal(Route.Direct, RouteReader.Read(Cut(0, Samples, Samples), RouteMeasure.Argmax).Verdict);
        Assert.Equal(Route.Mixed, RouteReader.Read(Cut(Samples, Samples, Samples), RouteMeasure.Argmax).Verdict);
        Assert.Equal(Route.Undecided, RouteReader.Read(Cut(0, 0, 0), RouteMeasure.Argmax).Verdict);
    }

    /// <summary>14 of 40 switched runs are .35 of all, which may be a quarter, and .7 of the share above chance, which is more.</summary>
    [Fact]
    public void TheThreshold_IsOfWhatLiesAboveChance()
    {
        Assert.Null(RouteReader.Read(Cut(6, 0, 0), RouteMeasure.Larger).Cuts[0].Carries);
        Assert.False(RouteReader.Read(Cut(2, 0, 0), RouteMeasure.Argmax).Cuts[0].Carries);
        Assert.True(RouteReader.Read(Cut(14, 0, 0), RouteMeasure.Larger).Cuts[0].Carries);
        Assert.Null(RouteReader.Read(Cut(14, 0, 0), RouteMeasure.Argmax).Cuts[0].Carries);
    }
}
