using AnchorScope.Metrics;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

public sealed class BootstrapTests
{
    [Property]
    public void SameSeed_SameInterval(ulong seed, double[] values)
    {
        double[] finite = [.. values.Select(v => double.IsFinite(v) ? Math.Clamp(v, -1e6, 1e6) : 0)];
        var estimate = Bootstrap.Mean(finite, seed);
        Assert.Equal(estimate, Bootstrap.Mean(finite, seed));
        Assert.Equal(finite.Length, estimate.Count);
        if (finite.Length == 0) Assert.True(double.IsNaN(estimate.Mean));
        else Assert.True(estimate.Low <= estimate.High);
    }

    [Fact]
    public void EqualValues_HaveNoWidth() =>
        Assert.Equal(new Estimate(0.5, 0.5, 0.5, 7), Bootstrap.Mean([.. Enumerable.Repeat(0.5, 7)], 3));

    [Fact]
    public void Width_IsThatOfTheNormalApproximation()
    {
        // 400 coin tosses: 1.96 x sqrt(0.25 / 400) = 0.049 to each side; a resampled percentile scatters by about a tenth of that.
        var estimate = Bootstrap.Mean([.. Enumerable.Range(0, 400).Select(i => i % 2 == 0 ? 1.0 : 0.0)], 1);
        Assert.Equal(0.5, estimate.Mean);
        Assert.InRange(estimate.High - estimate.Mean, 0.040, 0.058);
        Assert.InRange(estimate.Mean - estimate.Low, 0.040, 0.058);
    }

    /// <summary>Of 1,000 sorted means the quantiles are at ranks 24.975 and 974.025, interpolated linearly between neighbours.</summary>
    [Fact]
    public void Ends_AreThePercentilesOfTheResampledMeans()
    {
        double[] values = [.. Enumerable.Range(0, 11).Select(i => Math.Sin(i * i))], sorted = new double[Bootstrap.Resamples];
        var (draws, room) = (new BootstrapDraws(3), new int[values.Length]);
        for (var r = 0; r < sorted.Length; r++) sorted[r] = draws.Of(values.Length, r, room).ToArray().Average(i => values[i]);
        Array.Sort(sorted);
        var found = Bootstrap.Mean(values, draws);
        Assert.Equal(sorted[24] + 0.975 * (sorted[25] - sorted[24]), found.Low, 1e-12);
        Assert.Equal(sorted[974] + 0.025 * (sorted[975] - sorted[974]), found.High, 1e-12);
        Assert.True(sorted[974] < sorted[975] && sorted[24] < sorted[25]);
    }

    [Fact]
    public void RunsOfASample_AreDrawnTogether()
    {
        // One run 1 and one 0 in every sample: whatever samples are drawn, the mean is one half.
        double[] values = [1, 0, 1, 0, 1, 0];
        Assert.Equal(new Estimate(0.5, 0.5, 0.5, 6), Bootstrap.Mean(values, 0, [0, 0, 1, 1, 2, 2]));
        Assert.True(Bootstrap.Mean(values, 0).High > 0.5);
    }

    /// <summary>Whether draws are kept or repeated, a set of any size has the draws of one long sequence.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(5000)]
    public void Draws_AreThoseOfOneGenerator(int count)
    {
        var (random, draws, room) = (new SplitMix(9), new BootstrapDraws(9), new int[count]);
        for (var resample = 0; resample < 40; resample++)
        {
            int[] expected = [.. Enumerable.Range(0, count).Select(_ => random.Below(count))];
            Assert.Equal(expected, draws.Of(count, resample, room).ToArray());
        }
    }

    [Fact]
    public void Generator_IsSplitMix64()
    {
        // First outputs for seed 1234567, as the algorithm's authors list them.
        var random = new SplitMix(1234567);
        ulong[] expected = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        Assert.Equal(expected, new[] { random.Next(), random.Next(), random.Next() });
    }

    [Property]
    public void Draws_AreInRange(ulong seed)
    {
        var random = new SplitMix(seed);
        for (var i = 1; i < 50; i++)
        {
            Assert.InRange(random.Below(i), 0, i - 1);
            var uniform = random.Uniform();
            Assert.True(uniform is >= 0 and < 1);
        }
    }
}
