using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>Every number of a set takes the runs of a picture as one cluster, and a run as following what it is told.</summary>
public sealed class MeasuredSetTests
{
    private const int Pictures = 20;

    /// <summary>Both runs of a picture have one value, so 40 runs say as much as 20.</summary>
    private static readonly MeasuredSet Pairs = HandMade.Set(Enumerable.Range(0, Pictures).SelectMany(i =>
        new[] { HandMade.Run(i, Modality.Vision), HandMade.Run(i, Modality.Text) }));

    private static readonly Clusters ByPicture = Clusters.By(Enumerable.Range(0, 2 * Pictures).Select(i => i / 2));

    private static double Share(MeasuredRun run) => run.Sample % 3 == 0 ? 0 : 1;

    private static double Change(MeasuredRun run) => run.Sample % 3 - 1;

    private static double Logit(MeasuredRun run) => Math.Sin(run.Sample) + 0.3;

    private static double[] Values(Func<MeasuredRun, double> value) => [.. Pairs.Runs.Select(value)];

    [Fact]
    public void RunsOfAPicture_GoTogether_InEveryNumber()
    {
        Assert.Equal(Bootstrap.Mean(Values(Logit), 0, ByPicture.Of), Pairs.Mean(Logit));
        Assert.Equal(Proportion.Of(Values(Share), ByPicture), Pairs.Share(Share));
        Assert.Equal(PairedDifference.Of(Values(Change), ByPicture), Pairs.Difference(Change));
        Assert.Equal(ByPicture.TTest(Values(Logit)), Pairs.P(Logit));
        Assert.Equal(Proportion.P(Values(Share), ByPicture, 0.5), Pairs.ShareP(Share, 0.5));
        double Drawn(MeasuredRun run, string draw) => (run.Sample + draw[0]) % 3 == 0 ? 0 : 1;
        double[][] draws = [Values(r => Drawn(r, "a")), Values(r => Drawn(r, "b"))];
        Assert.Equal(Proportion.OfDraws(draws, ByPicture), Pairs.DrawnShare(["a", "b"], Drawn));
        Assert.Equal(PairedDifference.OfDraws(Values(r => Drawn(r, "c")), draws, ByPicture), Pairs.BeyondDraws("c", ["a", "b"], Drawn));
        // One by one the same values would seem to say more.
        var alone = Clusters.Each(2 * Pictures);
        Assert.True(Pairs.Mean(Logit).High > Bootstrap.Mean(Values(Logit), 0).High);
        Assert.True(Pairs.Share(Share).Low < Proportion.Of(Values(Share), alone).Low);
        Assert.True(Pairs.Difference(Change).Difference.High > PairedDifference.Of(Values(Change), alone).Difference.High);
        Assert.True(Pairs.P(Logit) > alone.TTest(Values(Logit)));
    }

    /// <summary>Sums 4 and 6; residuals of the pictures 1/3 and -1/3, so the standard error is 2/9 of the mean of the second.</summary>
    [Fact]
    public void ARatio_IsOfSums()
    {
        var set = HandMade.Set(HandMade.Run(0, Modality.Vision), HandMade.Run(1, Modality.Vision));
        var found = set.Ratio(r => r.Sample == 0 ? 1 : 3, r => r.Sample == 0 ? 1 : 5);
        Assert.Equal(4 / 6.0, found.Mean, 1e-12);
        Assert.Equal(StudentT.Point95(1) / 9, found.High - found.Mean, 1e-9);
    }

    [Fact]
    public void SamplesOfOnePicture_AreOneCluster_AndThoseWithoutOneStandAlone()
    {
        var shared = HandMade.Set(Enumerable.Range(0, 6).Select(i => HandMade.Run(i, $"{i / 2}.png", Modality.Vision)));
        Assert.Equal([0, 0, 1, 1, 2, 2], shared.Clusters.Of);
        var without = HandMade.Set(Enumerable.Range(0, 6).Select(i => HandMade.Run(i / 2, null, Modality.Text)));
        Assert.Equal([0, 0, 1, 1, 2, 2], without.Clusters.Of);
    }

    [Fact]
    public void ASplit_IsByTheInstructionOfTheRun()
    {
        var split = Pairs.SplitShare(r => r.Run.Instruction == Modality.Vision ? 1 : 0);
        Assert.Equal((0.5, 1, 0), (split.All.Mean, split.Vision.Mean, split.Text.Mean));
        Assert.Equal((2 * Pictures, Pictures, Pictures), (split.All.Count, split.Vision.Count, split.Text.Count));
    }

    [Fact]
    public void JoinedSets_KeepTheirSamplesApart()
    {
        var set = HandMade.Set(Enumerable.Range(0, 3).Select(i => HandMade.Run(i, null, Modality.Text)));
        Assert.Equal(6, MeasuredSet.Join("both", [set, set], new BootstrapDraws(0)).Clusters.Count);
    }
}
