using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>A head's score is the effect of blocking it.</summary>
public sealed class RankedRunsTests
{
    [Fact]
    public void AScore_IsWhatBlockingTakes()
    {
        var run = new RunResult("s/vision", HandMade.Own, HandMade.Other);
        run.Outcomes["baseline"] = HandMade.Logits(3, 1, HandMade.Own);
        // Head 5 of a model with three heads a layer.
        run.Outcomes[ConditionId.Head(1, 2)] = HandMade.Logits(2, 1.5f, HandMade.Own);
        run.Curves["dla"] = [0, 0, 0, 0, 0, 0.25f];
        run.Curves[RankedRuns.HeadEstimates] = [0, 0, 0, 0.75f, 0, 9];
        double Score(int head, HeadScoreVariant variant) => RankedRuns.Score(run, head, 3, variant);
        Assert.Equal(1.5, Score(5, HeadScoreVariant.CausalMargin));
        Assert.Equal(-StructuralDivergence.Of(NssdVariant.SignedKl, 2, 0.5), Score(5, HeadScoreVariant.CausalNssd));
        Assert.True(Score(5, HeadScoreVariant.CausalNssd) > 0);
        Assert.Equal(0.25, Score(5, HeadScoreVariant.DirectLogitAttribution));
        // Where a head was not blocked its score is the estimate.
        Assert.Equal(0.75, Score(3, HeadScoreVariant.CausalMargin));
        Assert.True(RankedRuns.IsEstimate(run, 1, 0, HeadScoreVariant.CausalMargin));
        Assert.False(RankedRuns.IsEstimate(run, 1, 2, HeadScoreVariant.CausalMargin));
    }
}
