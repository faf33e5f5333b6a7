using AnchorScope.World;

namespace AnchorScope.Tests.World;

public sealed class WorldRandomTests
{
    [Fact]
    public void StreamsFollowFromSeedSplitAndIndex()
    {
        var first = WorldRandom.Of(7, "test", 12).Bits();
        Assert.Equal(first, WorldRandom.Of(7, "test", 12).Bits());
        Assert.NotEqual(first, WorldRandom.Of(8, "test", 12).Bits());
        Assert.NotEqual(first, WorldRandom.Of(7, "rank", 12).Bits());
        Assert.NotEqual(first, WorldRandom.Of(7, "test", 13).Bits());
    }

    [Fact]
    public void Weighted_IsInProportionAndNeverTakesWeightZero()
    {
        const int Draws = 20_000;
        double[] weights = [0, 3, 0, 1, 0];
        var random = WorldRandom.Of(1, "weights", 0);
        var drawn = Enumerable.Range(0, Draws).Select(_ => random.Weighted(weights)).ToList();
        Assert.All(drawn, i => Assert.True(weights[i] > 0));
        Frequency.Is("weight 3 of 4", 0.75, drawn.Count(i => i == 1), Draws);
    }
}
