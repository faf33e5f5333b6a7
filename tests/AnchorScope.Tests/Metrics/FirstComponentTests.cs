using AnchorScope.Metrics;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

/// <summary>Deviations along the first principal component.</summary>
public sealed class FirstComponentTests
{
    /// <summary>One point away from fifteen others: the root of n - 1 standard deviations, whatever the direction and the scale.</summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(0.003, 0.001)]
    [InlineData(1, -0.5)]
    [InlineData(0, 1000)]
    public void OneOutlier_IsAsFarOutAsOneCanBe(double x, double y)
    {
        var found = FirstComponent.Deviations([.. Enumerable.Range(0, 16).Select(i => i == 5 ? (x, y) : (0, 0))]);
        Assert.Equal(Math.Sqrt(15), found[5], 1e-9);
        Assert.All(found.Where((_, i) => i != 5), d => Assert.Equal(-1 / Math.Sqrt(15), d, 1e-9));
    }

    [Fact]
    public void TheComponent_PointsToWhereTheSumGrows()
    {
        var found = FirstComponent.Deviations([(0, 0), (-3, 1), (0, 0), (3, -1), (1, 1)]);
        // The axis is about (3, -1), whose sum is above 0.
        Assert.True(found[3] > 1 && found[1] < -1);
    }

    [Fact]
    public void PointsThatDoNotVary_AreAllZero()
    {
        Assert.Empty(FirstComponent.Deviations([]));
        Assert.Equal([0, 0, 0], FirstComponent.Deviations([(0.1, 0.7), (0.1, 0.7), (0.1, 0.7)]));
    }

    /// <summary>No direction has a larger variance, and the deviations have mean 0 and variance 1.</summary>
    [Property(MaxTest = 100)]
    public void NoOtherDirection_VariesMore(int seed)
    {
        var random = new Random(seed);
        (double X, double Y)[] points =
            [.. Enumerable.Range(0, 3 + random.Next(30)).Select(_ => (random.NextDouble(), 3 * random.NextDouble() - random.NextDouble()))];
        var found = FirstComponent.Deviations(points);
        Assert.Equal(0, found.Average(), 1e-9);
        Assert.Equal(1, found.Average(d => d * d), 1e-9);
        double Variance(double angle)
        {
            double[] along = [.. points.Select(p => p.X * Math.Cos(angle) + p.Y * Math.Sin(angle))];
            return along.Average(a => a * a) - along.Average() * along.Average();
        }
        var (best, largest) = Enumerable.Range(0, 20000).Select(i => Math.PI * i / 20000).Select(a => (a, Variance(a))).MaxBy(v => v.Item2);
        var mean = (X: points.Average(p => p.X), Y: points.Average(p => p.Y));
        var sign = Math.Cos(best) + Math.Sin(best) < 0 ? -1 : 1;
        Assert.All(points.Zip(found), p => Assert.Equal(
            sign * ((p.First.X - mean.X) * Math.Cos(best) + (p.First.Y - mean.Y) * Math.Sin(best)) / Math.Sqrt(largest), p.Second, 0.01));
    }
}
