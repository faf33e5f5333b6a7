using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies.Directions;

/// <summary>Strengths are matched on straight lines between those measured.</summary>
public sealed class StrengthMatchTests
{
    [Theory]
    [InlineData(0.05, 0.5)]
    [InlineData(0.1, 1.0)]
    [InlineData(0.15, 1.25)]
    [InlineData(0.3, 2.0)]
    [InlineData(0.31, null)]
    public void TheFirstStrengthThatReachesTheAim_IsTaken(double aim, double? expected) =>
        Assert.Equal(expected, StrengthMatch.At([1, 2], [0.1, 0.3], aim, none: 0));

    /// <summary>A gain of 1 changes nothing, so half of what 3 does is done by 2.</summary>
    [Fact]
    public void TheLineBegins_WhereNothingChanges() => Assert.Equal(2, StrengthMatch.At([3], [0.2], 0.1, none: 1));
}
