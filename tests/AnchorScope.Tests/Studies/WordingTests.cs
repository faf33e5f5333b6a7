using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies;

/// <summary>One and many, gains and losses.</summary>
public sealed class WordingTests
{
    [Theory]
    [InlineData(0.01, "+1 point (95 % interval -1 to +3)")]
    [InlineData(-0.01, "-1 point (95 % interval -3 to +1)")]
    [InlineData(0.001, "0 points (95 % interval -2 to +2)")]
    [InlineData(-0.024, "-2 points (95 % interval -4 to 0)")]
    public void Changes(double mean, string expected) =>
        Assert.Equal(expected, Wording.Change(new Estimate(mean, mean - 0.02, mean + 0.02, 10)));

    [Fact]
    public void ADropHasTheOtherSign() =>
        Assert.Equal("-5 points (95 % interval -9 to -1)", Wording.Dropped(new Estimate(0.05, 0.01, 0.09, 10)));

    [Theory]
    [InlineData(0, 1, "none of 1 random set takes as much (p = 0.500; the least that 1 draw can give is 0.500)")]
    [InlineData(1, 79, "1 of 79 random sets takes as much (p = 0.025; the least that 79 draws can give is 0.013)")]
    [InlineData(4, 39, "4 of 39 random sets take as much (p = 0.125; the least that 39 draws can give is 0.025)")]
    public void Ranks(int atLeast, int draws, string expected) =>
        Assert.Equal(expected, Wording.Rank(new PermutationRank(atLeast, draws), "take"));

    [Fact]
    public void Counts() => Assert.Equal(("1 sample", "2 samples", "1 draw is", "2 draws are"),
        (Wording.Count(1, "sample"), Wording.Count(2, "sample"), Wording.Count(1, "draw", "is", "are"),
            Wording.Count(2, "draw", "is", "are")));

    [Theory]
    [InlineData(1, 8, "the top head of 8")]
    [InlineData(3, 64, "the top 3 of 64 heads")]
    [InlineData(1, 1, "the top head of 1")]
    public void Tops(int count, int of, string expected) => Assert.Equal(expected, Wording.Top(count, of));

    [Theory]
    [InlineData(0.05, "5 points")]
    [InlineData(0.01, "1 point")]
    [InlineData(0.025, "2.5 points")]
    public void Margins(double margin, string expected) => Assert.Equal(expected, Wording.Margin(margin));
}
