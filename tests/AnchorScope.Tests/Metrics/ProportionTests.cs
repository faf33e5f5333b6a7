using AnchorScope.Metrics;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

/// <summary>Score intervals against published examples.</summary>
public sealed class ProportionTests
{
    /// <summary>Point of a 90 % interval.</summary>
    private const double Z90 = 1.6448536269514722;

    /// <summary>
    /// Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I, method 3.
    /// </summary>
    [Theory]
    [InlineData(81, 263, 0.2553, 0.3662)]
    [InlineData(15, 148, 0.0624, 0.1605)]
    [InlineData(0, 20, 0.0000, 0.1611)]
    [InlineData(1, 29, 0.0061, 0.1718)]
    public void Wilson_AsPublished(double successes, double n, double low, double high)
    {
        var found = Proportion.Wilson(successes / n, n);
        Assert.Equal((low, high), (Math.Round(found.Low, 4), Math.Round(found.High, 4)));
    }

    /// <summary>Units are few and hold values that are alike: no more of them count than there are, and fewer where they differ.</summary>
    [Fact]
    public void Units_AreTheMostThatCount()
    {
        double[] alike = [1, 0, 0, 1, 0, 0, 1, 0, 0], apart = [1, 1, 1, 0, 0, 0, 0, 0, 0];
        var units = new Clusters([0, 0, 0, 1, 1, 1, 2, 2, 2]);
        var (same, differ) = (Proportion.OfUnits(alike, units), Proportion.OfUnits(apart, units));
        Assert.Equal(Proportion.Wilson(1 / 3.0, 3), (same.Low, same.High));
        Assert.Equal((same.Mean, same.Count), (differ.Mean, differ.Count));
        Assert.True(differ.High - differ.Low > same.High - same.Low);
        // In clusters of runs the same values would count as nine.
        Assert.True(Proportion.Of([1, 0, 0, 0, 1, 0, 1, 0, 1], units).High <= Proportion.OfUnits([1, 0, 0, 0, 1, 0, 1, 0, 1], units).High);
        Assert.True(double.IsNaN(Proportion.OfUnits([], units).Mean));
    }

    /// <summary>Newcombe, "Interval estimation for the difference between independent proportions", ibid., table II, method 10.</summary>
    [Theory]
    [InlineData(56, 70, 48, 80, 0.0524, 0.3339)]
    [InlineData(9, 10, 3, 10, 0.1705, 0.8090)]
    [InlineData(6, 7, 2, 7, 0.0582, 0.8062)]
    [InlineData(5, 56, 0, 29, -0.0381, 0.1926)]
    [InlineData(0, 10, 0, 20, -0.1611, 0.2775)]
    [InlineData(0, 10, 0, 10, -0.2775, 0.2775)]
    [InlineData(10, 10, 0, 20, 0.6791, 1.0000)]
    [InlineData(10, 10, 0, 10, 0.6075, 1.0000)]
    public void DifferenceOfIndependentShares_AsPublished(double x1, double n1, double x2, double n2, double low, double high)
    {
        var found = ProportionDifference.Independent(x1, n1, x2, n2);
        Assert.Equal((low, high), (Math.Round(found.Low, 4), Math.Round(found.High, 4)));
    }

    /// <summary>
    /// Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data", ibid., method 10: 20
    /// both, 12 and 2 one, 16 neither.
    /// </summary>
    [Fact]
    public void SquareAndAdd_OfPairs_AsPublished()
    {
        double[] first = [.. Pairs(1, 1, 0, 0)], second = [.. Pairs(1, 0, 1, 0)];
        IEnumerable<double> Pairs(double both, double one, double other, double neither) =>
            [.. Enumerable.Repeat(both, 20), .. Enumerable.Repeat(one, 12), .. Enumerable.Repeat(other, 2),
                .. Enumerable.Repeat(neither, 16)];
        Estimate Share(double[] values) => Simple(values.Average(), 50);
        var found = ProportionDifference.SquareAndAdd(Share(first), Share(second), 1, ProportionDifference.Correlation(first, second));
        Assert.Equal((0.0562, 0.3292), (Math.Round(found.Low, 4), Math.Round(found.High, 4)));
    }

    private static Estimate Simple(double share, int n)
    {
        var (low, high) = Proportion.Wilson(share, n);
        return new Estimate(share, low, high, n);
    }

    /// <summary>
    /// With weight 1 less of what is lost: a cut that leaves all has 1/4 above the threshold, one that leaves nothing 3/4 below it.
    /// </summary>
    [Fact]
    public void SquareAndAdd_Weighs()
    {
        Assert.Equal(0.25, ProportionDifference.SquareAndAdd(Simple(1, 400), Simple(1, 400), 0.75).Mean);
        Assert.Equal(-0.75, ProportionDifference.SquareAndAdd(Simple(0, 400), Simple(1, 400), 0.75).Mean);
        var narrow = ProportionDifference.SquareAndAdd(Simple(0.5, 100), Simple(0.5, 100), 0.75, 0.8);
        var wide = ProportionDifference.SquareAndAdd(Simple(0.5, 100), Simple(0.5, 100), 0.75);
        Assert.True(wide.Low < narrow.Low && narrow.High < wide.High);
    }

    /// <summary>
    /// Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design", Statistics in
    /// Medicine 17 (1998): the crossover trial of lens disinfection, 43 pairs alike and one not, with its 90 % interval; Agresti and Min
    /// (2005) and Fagerland and others (2014).
    /// </summary>
    [Theory]
    [InlineData(0, 1, 44, Z90, -0.096, 0.037)]
    [InlineData(9, 3, 32, Normal.Z95, -0.027, 0.390)]
    [InlineData(16, 8, 86, Normal.Z95, -0.020, 0.207)]
    [InlineData(1, 7, 21, Normal.Z95, -0.517, -0.026)]
    [InlineData(25, 2, 102, Normal.Z95, 0.139, 0.321)]
    public void Tango_AsPublished(double gained, double lost, double n, double z, double low, double high)
    {
        var found = PairedDifference.Tango(gained, lost, n, z);
        Assert.Equal((low, high), (Math.Round(found.Low, 3), Math.Round(found.High, 3)));
        // What is first and what is second changes the sign alone.
        var other = PairedDifference.Tango(lost, gained, n, z);
        Assert.Equal(found.Low, -other.High, 1e-12);
        Assert.Equal(found.High, -other.Low, 1e-12);
    }

    [Fact]
    public void Tango_NeverCollapses()
    {
        // Nothing differs: z^2 / (n + z^2) to each side. Everything differs: as far from 1.
        var most = Normal.Z95 * Normal.Z95 / (24 + Normal.Z95 * Normal.Z95);
        Assert.Equal(most, PairedDifference.Tango(0, 0, 24).High, 1e-9);
        Assert.Equal(-most, PairedDifference.Tango(0, 0, 24).Low, 1e-9);
        Assert.Equal(1, PairedDifference.Tango(24, 0, 24).High, 1e-9);
        Assert.InRange(PairedDifference.Tango(24, 0, 24).Low, 0.7, 0.75);
    }

    /// <summary>McNemar (1947) as textbooks have it: 9 and 1 discordant pairs, chi square 6.4.</summary>
    [Fact]
    public void PairedP_IsMcNemars()
    {
        double[] differences = [.. Enumerable.Repeat(1.0, 9), -1, .. Enumerable.Repeat(0.0, 990)];
        var (_, p) = PairedDifference.Of(differences, Clusters.Each(1000));
        Assert.Equal(0.0114, p, 5e-4);
        Assert.Equal(1, PairedDifference.Of([0, 0, 0], Clusters.Each(3)).P);
    }

    [Property]
    public void Intervals_HoldTheirShare_AndHaveAWidth(bool[] follows, int size)
    {
        if (follows.Length == 0) return;
        double[] values = [.. follows.Select(f => f ? 1.0 : 0.0)];
        var clusters = Clusters.By(Enumerable.Range(0, values.Length).Select(i => i / (1 + (size & 3))));
        var share = Proportion.Of(values, clusters);
        Assert.InRange(share.Mean, share.Low, share.High);
        Assert.True(share.High - share.Low > 1.0 / (values.Length + 4), $"{share}");
        var (difference, p) = PairedDifference.Of([.. values.Select((v, i) => v - i % 2)], clusters);
        Assert.InRange(difference.Mean, difference.Low - 1e-9, difference.High + 1e-9);
        Assert.True(difference.High > difference.Low, $"{difference}");
        Assert.InRange(p, 0, 1);
    }

    [Fact]
    public void TwoSamples_SayNearlyNothing()
    {
        // Four runs that all follow, two a picture.
        var share = Proportion.Of([1, 1, 1, 1], Clusters.By([0, 0, 1, 1]));
        Assert.Equal(0.3424, share.Low, 1e-4);
        Assert.Equal(1, share.High);
    }

    [Fact]
    public void OfDraws_HoldsTheVariationBetweenDraws()
    {
        double[] Draw(int follow) => [.. Enumerable.Range(0, 100).Select(i => i < follow ? 1.0 : 0.0)];
        var each = Clusters.Each(100);
        var alike = Proportion.OfDraws([Draw(90), Draw(90), Draw(90), Draw(90)], each);
        var apart = Proportion.OfDraws([Draw(100), Draw(100), Draw(100), Draw(60)], each);
        Assert.Equal(0.9, alike.Mean, 1e-12);
        Assert.Equal(0.9, apart.Mean, 1e-12);
        Assert.True(apart.High - apart.Low > 2 * (alike.High - alike.Low), $"{alike} {apart}");
        Assert.Equal((0, 1), (Proportion.OfDraws([Draw(90)], each).Low, Proportion.OfDraws([Draw(90)], each).High));
    }
}
