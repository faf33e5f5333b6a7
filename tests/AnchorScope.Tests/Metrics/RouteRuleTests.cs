using AnchorScope.Metrics;

namespace AnchorScope.Tests.Metrics;

public sealed class RouteRuleTests
{
    [Theory]
    [InlineData(true, true, false, Route.Relay)]
    [InlineData(false, true, true, Route.Direct)]
    [InlineData(false, false, true, Route.Direct)]
    [InlineData(false, null, true, Route.Direct)]
    [InlineData(true, true, true, Route.Mixed)]
    [InlineData(false, true, false, Route.Undecided)]
    [InlineData(true, false, false, Route.Undecided)]
    [InlineData(true, false, true, Route.Undecided)]
    [InlineData(null, true, false, Route.Undecided)]
    [InlineData(true, null, false, Route.Undecided)]
    [InlineData(true, true, null, Route.Undecided)]
    public void Verdict(bool? gathers, bool? handsOn, bool? reads, object expected) =>
        Assert.Equal((Route)expected, RouteRule.Of(gathers, handsOn, reads));

    [Theory]
    [InlineData(-0.3, -0.1, true)]
    [InlineData(0.01, 0.2, false)]
    [InlineData(-0.01, 0.2, null)]
    [InlineData(0, 0, null)]
    public void AnEdgeCarries_WhereTheWholeIntervalSaysSo(double low, double high, bool? expected) =>
        Assert.Equal(expected, RouteRule.Carries(new Estimate((low + high) / 2, low, high, 10)));
}
