using AnchorScope.Metrics;

namespace AnchorScope.Tests.Metrics;

/// <summary>Effective sample sizes and tests of clustered runs, and the coverage of their intervals.</summary>
public sealed class ClustersTests
{
    private const int Simulations = 2000;

    [Fact]
    public void Numbers_FollowTheOrderOfAppearance()
    {
        var clusters = Clusters.By(["b", "a", "b", "c"]);
        Assert.Equal([0, 1, 0, 2], clusters.Of);
        Assert.Equal((3, 4), (clusters.Count, clusters.Values));
    }

    [Fact]
    public void VarianceOfMean_IsTheRatioEstimators()
    {
        // Sums 2, 1, 0 of two each, mean 1/2: residuals 1, 0, -1; 2 x 3/2 / 36.
        Assert.Equal(1 / 12.0, Clusters.By([0, 0, 1, 1, 2, 2]).VarianceOfMean([1, 1, 1, 0, 0, 0]), 1e-12);
        // Alone, s^2 / n.
        Assert.Equal(1.25 * 4 / 3 / 4, Clusters.Each(4).VarianceOfMean([1, 2, 3, 4]), 1e-12);
    }

    [Fact]
    public void Effective_IsNeverMoreThanThereAre_AndCountsClustersWhereNothingVaries()
    {
        var pairs = Clusters.By(Enumerable.Range(0, 200).Select(i => i / 2));
        double[] alike = [.. Enumerable.Range(0, 200).Select(i => i / 2 % 2 == 0 ? 1.0 : 0.0)];
        double[] opposed = [.. Enumerable.Range(0, 200).Select(i => i % 2 == 0 ? 1.0 : 0.0)];
        double[] mixed = [.. Enumerable.Range(0, 200).Select(i => i < 2 ? 1.0 : i % 2 == 0 ? 1.0 : 0.0)];
        // Both runs of a picture always agree: a design effect of 2, and a little for the estimate.
        Assert.InRange(pairs.Effective(alike, 0.25), 96, 100);
        // They always disagree: each cluster has one of two, so nothing varies.
        Assert.Equal(100, pairs.Effective(opposed, 0.25));
        // Nearly always: the data show a design effect far below 1, which is not used.
        Assert.InRange(pairs.Effective(mixed, 0.25), 190, 200);
        Assert.Equal(100, pairs.Effective([.. Enumerable.Repeat(1.0, 200)], 0));
    }

    /// <summary>
    /// Twelve pictures whose two runs agree: residuals 1 or -1, variance of the mean 12 x 12/11 / 24^2, so 11 values; as it is estimated
    /// from twelve, less by the square of 1.960 over 2.201.
    /// </summary>
    [Fact]
    public void Effective_ShrinksWhereClustersAreFew()
    {
        double[] alike = [.. Enumerable.Range(0, 24).Select(i => i / 2 % 2 == 0 ? 1.0 : 0.0)];
        var found = Clusters.By(Enumerable.Range(0, 24).Select(i => i / 2)).Effective(alike, 0.25);
        Assert.Equal(11 * Math.Pow(1.959964 / 2.200985, 2), found, 1e-4);
    }

    /// <summary>Student's t and the normal distribution at the points that textbooks print.</summary>
    [Theory]
    [InlineData(1, 12.706)]
    [InlineData(2, 4.303)]
    [InlineData(5, 2.571)]
    [InlineData(10, 2.228)]
    [InlineData(30, 2.042)]
    [InlineData(120, 1.980)]
    public void Points_AreThoseOfTheTable(double freedom, double point)
    {
        Assert.Equal(point, StudentT.Point95(freedom), 5e-4);
        Assert.Equal(0.05, StudentT.TwoSided(StudentT.Point95(freedom), freedom), 1e-9);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0.5, 0.617075077)]
    [InlineData(1, 0.317310508)]
    [InlineData(1.959963984540054, 0.05)]
    [InlineData(3, 0.002699796)]
    [InlineData(6, 1.973175e-9)]
    public void Normal_IsThatOfTheTable(double z, double p) => Assert.Equal(p, Normal.TwoSided(z), Math.Max(1e-9 * p, 5e-10));

    /// <summary>Student's sleep data (1908), ten patients: t = 4.0621, p = 0.002833.</summary>
    [Fact]
    public void TTest_OfStudentsOwnData() =>
        Assert.Equal(0.002833, Clusters.Each(10).TTest([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]), 5e-7);

    [Fact]
    public void TTest_OfEqualValues_IsTheSignTest()
    {
        Assert.Equal(Math.Pow(2, -4), Clusters.Each(5).TTest([1, 1, 1, 1, 1]));
        Assert.Equal(1, Clusters.Each(5).TTest([0, 0, 0, 0, 0]));
        Assert.True(double.IsNaN(Clusters.Each(1).TTest([1])));
    }

    /// <summary>
    /// Shares: two runs a picture that agree in part of the pictures, so the clusters matter. Over 2,000 draws a coverage of 0.95 scatters
    /// by 0.005; with few clusters and shares near 1 intervals hold more than they must. With the number of all runs Wilson's interval
    /// would hold 0.81 to 0.89 of them, but for the last case.
    /// </summary>
    [Theory]
    [InlineData(24, 0.5, 0.8, 0.935, 0.975)]
    [InlineData(24, 0.9, 0.8, 0.935, 0.995)]
    [InlineData(60, 0.5, 0.5, 0.935, 0.970)]
    [InlineData(60, 0.95, 0.5, 0.935, 0.995)]
    [InlineData(200, 0.9, 1.0, 0.935, 0.970)]
    [InlineData(200, 0.5, 0.0, 0.935, 0.970)]
    public void Shares_HoldTheTruth(int clusters, double share, double agreeing, double least, double most)
    {
        var random = new SplitMix(11);
        var of = Clusters.By(Enumerable.Range(0, 2 * clusters).Select(i => i / 2));
        var held = 0;
        for (var s = 0; s < Simulations; s++)
        {
            var values = new double[2 * clusters];
            for (var c = 0; c < clusters; c++)
            {
                values[2 * c] = random.Uniform() < share ? 1 : 0;
                values[2 * c + 1] = random.Uniform() < agreeing ? values[2 * c] : random.Uniform() < share ? 1 : 0;
            }
            var e = Proportion.Of(values, of);
            if (e.Low <= share && share <= e.High) held++;
        }
        Assert.InRange(held / (double)Simulations, least, most);
    }

    /// <summary>
    /// Paired differences, the same way: a cut loses a run in a share of the pictures, for both runs together in part of them.
    /// </summary>
    [Theory]
    [InlineData(24, 0.10, 0.02, 0.935, 0.995)]
    [InlineData(24, 0.50, 0.10, 0.935, 0.980)]
    [InlineData(100, 0.10, 0.10, 0.935, 0.975)]
    [InlineData(100, 0.30, 0.05, 0.935, 0.975)]
    public void PairedDifferences_HoldTheTruth(int clusters, double lost, double gained, double least, double most)
    {
        var random = new SplitMix(12);
        var of = Clusters.By(Enumerable.Range(0, 2 * clusters).Select(i => i / 2));
        double Draw() => random.Uniform() is var u && u < lost ? 1 : u < lost + gained ? -1 : 0;
        var (held, truth) = (0, lost - gained);
        for (var s = 0; s < Simulations; s++)
        {
            var values = new double[2 * clusters];
            for (var c = 0; c < clusters; c++)
            {
                values[2 * c] = Draw();
                values[2 * c + 1] = random.Uniform() < 0.6 ? values[2 * c] : Draw();
            }
            var (e, _) = PairedDifference.Of(values, of);
            if (e.Low <= truth && truth <= e.High) held++;
        }
        Assert.InRange(held / (double)Simulations, least, most);
    }

    /// <summary>
    /// One set of heads against random ones that differ among themselves: the interval is of the mean over all sets that could be drawn.
    /// </summary>
    [Theory]
    [InlineData(5, 0.05)]
    [InlineData(19, 0.05)]
    [InlineData(19, 0)]
    public void DifferencesFromDraws_HoldTheTruth(int draws, double spread)
    {
        const int Runs = 120;
        var random = new SplitMix(14);
        var of = Clusters.By(Enumerable.Range(0, Runs).Select(i => i / 2));
        double[] Values(double share) => [.. Enumerable.Range(0, Runs).Select(_ => random.Uniform() < share ? 1.0 : 0.0)];
        var held = 0;
        for (var s = 0; s < Simulations; s++)
        {
            var drawn = Enumerable.Range(0, draws).Select(_ => Values(0.6 + spread * Math.Sqrt(12) * (random.Uniform() - 0.5))).ToList();
            var e = PairedDifference.OfDraws(Values(0.8), drawn, of);
            if (e.Low <= 0.2 && 0.2 <= e.High) held++;
        }
        Assert.InRange(held / (double)Simulations, 0.935, 0.985);
    }

    [Fact]
    public void OneDraw_SaysNothing()
    {
        var e = PairedDifference.OfDraws([1, 1, 1, 1], [[0, 0, 0, 0]], Clusters.Each(4));
        Assert.Equal((1, -1, 1), (e.Mean, e.Low, e.High));
    }

    /// <summary>Where there is no effect, 5 % of the tests have a p below 0.05, and not many fewer.</summary>
    [Theory]
    [InlineData(12)]
    [InlineData(40)]
    public void Tests_KeepTheirLevel(int clusters)
    {
        var random = new SplitMix(13);
        var of = Clusters.By(Enumerable.Range(0, 2 * clusters).Select(i => i / 2));
        var below = 0;
        for (var s = 0; s < Simulations; s++)
        {
            var values = new double[2 * clusters];
            for (var i = 0; i < values.Length; i++) values[i] = (i % 2 == 0 ? 0 : values[i - 1]) + random.Uniform() + random.Uniform() - 1;
            if (of.TTest(values) < 0.05) below++;
        }
        Assert.InRange(below / (double)Simulations, 0.035, 0.065);
    }
}
