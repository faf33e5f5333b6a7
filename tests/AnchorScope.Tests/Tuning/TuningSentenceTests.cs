using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Reports;
using AnchorScope.Tuning;

namespace AnchorScope.Tests.Tuning;

/// <summary>What the report of a tuning says of numbers that are given.</summary>
public sealed class TuningSentenceTests
{
    private static readonly Estimate Half = new(0.5, 0.45, 0.55, 400);

    [Fact]
    public void MoreThanRandomHeads_TakesRankAndInterval()
    {
        Says(Status.Good, "more than random heads", Around(0.10, 0.03), Around(0.08, 0.03), new PermutationRank(0, 19));
        Says(Status.Neutral, "not distinguishable from random heads", Around(0.10, 0.03), Around(0.08, 0.03), new PermutationRank(1, 19));
        Says(Status.Neutral, "not distinguishable from random heads", Around(0.10, 0.03), Around(0.08, 0.09), new PermutationRank(0, 19));
    }

    [Fact]
    public void NoFurtherThanRandomHeads_TakesAnIntervalWithinTheMargin() =>
        Says(Status.Neutral, "within 5 points of random heads", Around(0.10, 0.03), Around(0.01, 0.03), new PermutationRank(7, 19));

    [Fact]
    public void TooFewRandomSets_AreSaidToBe()
    {
        var few = Result(Around(0.10, 0.03), Around(0.08, 0.03), new PermutationRank(0, 2));
        Assert.Contains(TuningReport.Findings(few), f => f.Text.Contains("none of 2 random sets follows as much", StringComparison.Ordinal)
            && f.Text.Contains("too few to say that these heads do more: that takes 19", StringComparison.Ordinal));
        var enough = Result(Around(0.10, 0.03), Around(0.08, 0.03), new PermutationRank(0, 19));
        Assert.DoesNotContain(TuningReport.Findings(enough), f => f.Text.Contains("too few", StringComparison.Ordinal));
    }

    [Fact]
    public void WithoutRandomSets_NothingIsCompared()
    {
        Says(Status.Neutral, "no random heads were tuned", Around(0.10, 0.03), null, null);
        Says(Status.Bad, "no random heads were tuned", Around(-0.10, 0.03), null, null);
        Says(Status.Neutral, "within 5 points of none", Around(0, 0.03), null, null);
    }

    /// <summary>Heads that both rankings hold: none, one, some, all, and rankings of one head.</summary>
    [Theory]
    [InlineData(3, 0, "Of the 3 best heads none is still among the 3 best of the tuned model")]
    [InlineData(3, 1, "Of the 3 best heads 1 is still among")]
    [InlineData(3, 2, "Of the 3 best heads 2 are still among")]
    [InlineData(3, 3, "Of the 3 best heads 3 are still among")]
    [InlineData(1, 1, "The best head is still the best of the tuned model")]
    [InlineData(1, 0, "The best head is no longer the best of the tuned model")]
    public void HeadsOfBothRankings(int best, int shared, string text) =>
        Assert.Contains(text, TuningReport.Findings(TuningSample.Of([new HeadId(0, 0)], best, shared)).Last().Text,
            StringComparison.Ordinal);

    private static Estimate Around(double mean, double half) => new(mean, mean - half, mean + half, 400);

    private static void Says(Status status, string text, Estimate change, Estimate? beyond, PermutationRank? rank)
    {
        var first = TuningReport.Findings(Result(change, beyond, rank)).First();
        Assert.Equal(status, first.Status);
        Assert.Contains(text, first.Text, StringComparison.Ordinal);
    }

    private static TuningResult Result(Estimate change, Estimate? beyond, PermutationRank? rank)
    {
        static ByInstruction All(Estimate e) => new(e, e, e);
        TuningArm Arm(string name, int best) => new()
        {
            Name = name, Heads = [], Learnt = 3, Rate = 0.05, Steps = 20, BestStep = best,
            Validation = new TuningLoss(1, 0, 1, 0.5), Gains = [],
            Curve = [],
        };
        TuningRate Rate(string name, Estimate changed) => new(name, All(Half), All(changed), All(Half), null) { TunedMinus = null };
        return new TuningResult
        {
            Tool = "AnchorScope", Model = new ModelFacts("m", "f", "", "", 8, 8, null), HeadSet = "heads.json",
            HeadSetSha256 = "", Heads = [],
            Variants = new Dictionary<string, string>(StringComparer.Ordinal), Options = new TuningOptions { Kind = TuningKind.Gain },
            Data = new Dictionary<string, IReadOnlyList<SetFacts>>(StringComparer.Ordinal),
            Arms = [Arm("baseline", 0), Arm("tuned", 20)], RandomRank = rank,
            Sets = [new TuningSet("test", true, 400, [Rate("baseline", Around(0, 0)), Rate("tuned", change)])
            {
                TunedMinusRandom = beyond is { } e ? All(e) : null,
            }],
        };
    }
}
