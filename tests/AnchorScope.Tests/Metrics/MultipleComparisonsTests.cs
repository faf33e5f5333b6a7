using AnchorScope.Metrics;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

public sealed class MultipleComparisonsTests
{
    /// <summary>
    /// The fifteen p-values of Benjamini and Hochberg (1995): four rejected at a false discovery rate of 0.05, three by Holm.
    /// </summary>
    private static readonly double[] Neuhaus = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0000];

    [Fact]
    public void BenjaminiHochberg_AsPublished()
    {
        var q = MultipleComparisons.BenjaminiHochberg(Neuhaus);
        Assert.Equal(4, q.Count(v => v <= 0.05));
        double[] expected = [0.0015, 0.0030, 0.0095, 0.035625, 0.0603, 0.06385714, 0.06385714, 0.0645, 0.0765, 0.486, 0.58118182,
            0.714875, 0.75323077, 0.81321429, 1];
        for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], q[i], 1e-8);
    }

    [Fact]
    public void Holm_RejectsThreeOfThem() =>
        Assert.Equal([true, true, true, false], MultipleComparisons.Holm(Neuhaus).Take(4).Select(p => p <= 0.05));

    /// <summary>The textbook's four.</summary>
    [Fact]
    public void Holm_StepsDown()
    {
        double[] expected = [0.03, 0.06, 0.06, 0.02], found = [.. MultipleComparisons.Holm([0.01, 0.04, 0.03, 0.005])];
        for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], found[i], 1e-12);
    }

    [Fact]
    public void WhatWasNotTested_CountsForNothing()
    {
        Assert.Equal([double.NaN, 0.02, 0.02], MultipleComparisons.BenjaminiHochberg([double.NaN, 0.01, 0.02]));
        Assert.Equal([double.NaN, 0.02, 0.02], MultipleComparisons.Holm([double.NaN, 0.01, 0.02]));
        Assert.Empty(MultipleComparisons.Holm([]));
    }

    /// <summary>A hypothesis that was not worth a test counts with p = 1, not as never tested.</summary>
    [Fact]
    public void AFamily_HoldsWhatWasPassedOver() =>
        Assert.Equal(MultipleComparisons.BenjaminiHochberg([0.001, 0.02, 1, 1, 1, 1]).Take(2),
            MultipleComparisons.BenjaminiHochberg([0.001, 0.02], family: 6));

    [Property]
    public void Adjusted_AreNeverSmaller_AndHolmsNeverBelowBenjaminiHochbergs(byte[] parts)
    {
        double[] p = [.. parts.Select(b => b / 255.0)];
        var (q, holm) = (MultipleComparisons.BenjaminiHochberg(p), MultipleComparisons.Holm(p));
        for (var i = 0; i < p.Length; i++) Assert.True(p[i] <= q[i] + 1e-12 && q[i] <= holm[i] + 1e-12 && holm[i] <= 1,
            $"{p[i]} {q[i]} {holm[i]}");
    }

    [Fact]
    public void Rank_CountsTheObservedAmongTheDraws()
    {
        var rank = PermutationRank.Of(0.8, [0.1, 0.8, 0.9, 0.2]);
        Assert.Equal((2, 4), (rank.AtLeast, rank.Draws));
        Assert.Equal(0.6, rank.P, 1e-12);
        Assert.Equal(0.2, rank.Floor, 1e-12);
        Assert.Equal(0.05, PermutationRank.Of(1, Enumerable.Repeat(0.0, 19)).P, 1e-12);
    }

    /// <summary>As many draws as are said to be enough are enough, and far fewer are not.</summary>
    [Fact]
    public void Needed_IsEnough()
    {
        var needed = PermutationRank.Needed(0.05, family: 3);
        Assert.Equal(60, needed);
        Assert.True(3 * new PermutationRank(0, needed).P < 0.05);
        Assert.True(3 * new PermutationRank(0, needed - 2).P > 0.05);
    }

    /// <summary>Under exchangeability every rank is as likely, so p is at most 0.05 in at most 5 % of cases.</summary>
    [Fact]
    public void Rank_KeepsItsLevel()
    {
        var random = new SplitMix(5);
        var below = Enumerable.Range(0, 4000).Count(_ =>
            PermutationRank.Of(random.Uniform(), [.. Enumerable.Range(0, 39).Select(_ => random.Uniform())]).P <= 0.05);
        Assert.InRange(below / 4000.0, 0.04, 0.06);
    }

    [Theory]
    [InlineData(-0.02, 0.03, true)]
    [InlineData(-0.06, 0.03, false)]
    [InlineData(-0.02, 0.051, false)]
    [InlineData(0.01, 0.04, true)]
    public void Absent_IsWithinTheMargin(double low, double high, bool absent) =>
        Assert.Equal(absent, Decision.IsAbsent(new Estimate((low + high) / 2, low, high, 10), 0.05));

    [Fact]
    public void Needed_IsWhatTheIntervalHasToShrinkTo()
    {
        // 10 +- 20 points: excludes 0 with four times as many.
        Assert.Equal(400, Decision.Needed(new Estimate(0.1, -0.1, 0.3, 200), 100, 0.05));
        // 0 +- 20 points: within 5 with sixteen times as many.
        Assert.Equal(1600, Decision.Needed(new Estimate(0, -0.2, 0.2, 200), 100, 0.05));
        // 1 +- 20 points: (20 / 4)^2 to be within 5, (20 / 1)^2 to exclude 0.
        Assert.Equal(2500, Decision.Needed(new Estimate(0.01, -0.19, 0.21, 200), 100, 0.05));
        Assert.Equal(10, Decision.Needed(new Estimate(1, 0.34, 1, 4), 2, 0.05));
        Assert.Equal(int.MaxValue, Decision.Needed(new Estimate(0, -0.2, 0.2, 200), 100, 0));
    }

    [Fact]
    public void LargestRise_HasTheLayersOfItsResamples()
    {
        // Nine curves rise at layer 1; then as many at layer 0 as at layer 2.
        double[] one = [0, 0, 1, 1];
        var certain = LargestRise.Of([.. Enumerable.Repeat(one, 9)], Clusters.Each(9), new BootstrapDraws(0));
        Assert.Equal(new LargestRise(1, 1, 1, 1), certain);
        double[] early = [0, 1, 1, 1], late = [0, 0, 0, 1];
        var open = LargestRise.Of([.. Enumerable.Range(0, 21).Select(i => i % 2 == 0 ? early : late)], Clusters.Each(21),
            new BootstrapDraws(0));
        Assert.Equal((0, 0, 2), (open.Layer, open.Low, open.High));
        Assert.InRange(open.Share, 0.4, 0.75);
    }
}
