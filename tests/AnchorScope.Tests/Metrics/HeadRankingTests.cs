using AnchorScope.Metrics;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Metrics;

public sealed class HeadRankingTests
{
    [Fact]
    public void Order_FallsAndTiesGoByLayerAndHead() =>
        Assert.Equal([(1, 1), (0, 1), (1, 0), (0, 0)], HeadRanking.Order([-1, 0.5, 0.5, 2], 2));

    [Theory]
    [InlineData(0.05, 1024, TopRounding.Floor, 51)]
    [InlineData(0.05, 1024, TopRounding.Ceiling, 52)]
    [InlineData(0.05, 784, TopRounding.Floor, 39)]
    [InlineData(0.05, 784, TopRounding.Ceiling, 40)]
    [InlineData(0.05, 64, TopRounding.Round, 3)]
    [InlineData(0.01, 64, TopRounding.Floor, 1)]
    [InlineData(0.5, 5, TopRounding.Round, 3)]
    public void Count_IsTheShareRounded(double share, int heads, TopRounding rounding, int expected) =>
        Assert.Equal(expected, HeadRanking.Count(share, heads, rounding));

    [Property]
    public void Random_AreDistinctAndNoneExcluded(ulong seed, int some)
    {
        var excluded = Enumerable.Range(0, 6).Select(i => (i % 4, (i * 5 + (some & 7)) % 8)).ToHashSet();
        var drawn = HeadRanking.Random(10, 4, 8, excluded, new SplitMix(seed));
        Assert.Equal(10, drawn.Distinct().Count());
        Assert.DoesNotContain(drawn, excluded.Contains);
        Assert.All(drawn, h => Assert.True(h.Layer is >= 0 and < 4 && h.Head is >= 0 and < 8));
    }

    [Property]
    public void LayerMatched_HasAsManyInEachLayer(ulong seed)
    {
        (int, int)[] like = [(0, 1), (2, 3), (2, 5), (3, 0)];
        var drawn = HeadRanking.LayerMatched(like, 8, like.ToHashSet(), new SplitMix(seed));
        Assert.Equal(like.Select(h => h.Item1), drawn.Select(h => h.Layer).Order());
        Assert.Empty(drawn.Intersect(like));
    }

    [Fact]
    public void LayerMatched_TakesWhatALayerHasLeft() =>
        Assert.Equal([(0, 2)], HeadRanking.LayerMatched([(0, 0), (0, 1)], 3, new HashSet<(int, int)> { (0, 0), (0, 1) }, new SplitMix(0)));

    [Fact]
    public void Spearman_SharesRanksOfTies()
    {
        Assert.Equal(1, HeadRanking.Spearman([1, 2, 3], [10, 20, 40]), 1e-12);
        Assert.Equal(-1, HeadRanking.Spearman([1, 2, 3], [3, 2, 1]), 1e-12);
        // Ranks 0.5 0.5 2 3 against 0 1 2 3: covariance 4.5, variances 4.5 and 5.
        Assert.Equal(4.5 / Math.Sqrt(4.5 * 5), HeadRanking.Spearman([1, 1, 2, 3], [1, 2, 3, 4]), 1e-12);
        Assert.True(double.IsNaN(HeadRanking.Spearman([1, 1], [1, 2])));
    }

    [Fact]
    public void ShareOfPositive_LeavesNegativeScoresOut()
    {
        Assert.Equal(0.75, HeadRanking.ShareOfPositive([3, -5, 1], 1));
        Assert.Equal(0, HeadRanking.ShareOfPositive([-1, -2], 1));
    }

    [Theory]
    [InlineData(3, 3, "2 3 4")]
    [InlineData(0, 3, "0 1")]
    [InlineData(7, 3, "6 7")]
    [InlineData(3, 1, "3")]
    [InlineData(0, 5, "0 1 2")]
    [InlineData(4, 4, "2 3 4 5")]
    [InlineData(3, 99, "0 1 2 3 4 5 6 7")]
    public void Window_IsCentredAndClipped(int layer, int size, string expected) =>
        Assert.Equal(expected, string.Join(' ', LayerWindow.Centred(layer, size, 8)));

    [Fact]
    public void AnEstimate_StandsBehindWhatWasSeenToHelp_AndBeforeWhatWasSeenToHarm() =>
        Assert.Equal([(0, 1), (1, 1), (1, 0), (0, 0)], HeadRanking.Order([-1, 0.5, 0, 2], 2, new HashSet<(int, int)> { (1, 1), (1, 0) }));

    [Fact]
    public void Strongest_LooksAtEveryDirectionAndSign() =>
        Assert.Equal(
            [(0, 1), (1, 0), (1, 2)], HeadRanking.Strongest(3, 3, [0, 0, 0.1, -3, 0, 0.1], [0, 2, 0.1, -3, 0, 0], [0, -2, 0.1, -3, 0, 1]));

    [Fact]
    public void Precision_IsTheShareOfTheTopThatIsRight()
    {
        Assert.Equal(1, HeadRanking.Precision([3, 2, 1, 0], [9, 10, 0, 0], 2));
        Assert.Equal(0.5, HeadRanking.Precision([3, 0, 1, 2], [9, 10, 0, 0], 2));
        Assert.Equal(0, HeadRanking.Precision([0, 0, 3, 2], [9, 10, 0, 0], 2));
    }
}
