using AnchorScope.Figures;
using FsCheck;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Reports;

public sealed class AxisTests
{
    [Property(MaxTest = 500)]
    public void Covering_HoldsAllValuesBetweenNiceTicks(int seed)
    {
        var random = new System.Random(seed);
        var scale = Math.Pow(10, random.Next(-250, 250));
        double[] values = [.. Enumerable.Range(0, 1 + random.Next(6)).Select(_ => scale * (2 * random.NextDouble() - 1))];
        var axis = Axis.Covering(values, 6);
        Assert.All(values, value => Assert.InRange(value, axis.Low, axis.High));
        CheckTicks(axis);
        Assert.InRange(axis.Ticks.Count, 3, 12);
        Assert.InRange(axis.Ticks[0], axis.Low - 1e-9 * axis.Step, axis.Low + 1e-5 * axis.Step);
        Assert.InRange(axis.Ticks[^1], axis.High - 1e-5 * axis.Step, axis.High + 1e-9 * axis.Step);
        Assert.Equal(axis.Ticks.Count, axis.Ticks.Select(axis.Label).Distinct(StringComparer.Ordinal).Count());
    }

    [Property(MaxTest = 300)]
    public void Within_KeepsTheEndsAndFillsThem(NormalFloat from, NormalFloat length)
    {
        var low = Math.Clamp(from.Get, -1e200, 1e200);
        var high = low + Math.Max(Math.Abs(low) * 1e-6, Math.Min(Math.Abs(length.Get), 1e200)) + 1e-9;
        var axis = Axis.Within(low, high, 7);
        Assert.Equal((low, high), (axis.Low, axis.High));
        CheckTicks(axis);
        Assert.True(axis.Ticks[0] - axis.Step < low && axis.Ticks[^1] + axis.Step > high);
    }

    [Theory]
    [InlineData(0, 27, "0 5 10 15 20 25")]
    [InlineData(0, 7, "0 1 2 3 4 5 6 7")]
    [InlineData(0, 2, "0 1 2")]
    public void Integers_HaveNoTickBetween(double low, double high, string ticks)
    {
        var axis = Axis.Within(low, high, 7, integers: true);
        Assert.Equal(ticks, string.Join(' ', axis.Ticks.Select(axis.Label)));
    }

    [Theory]
    [InlineData(-0.92, 0.3, "\u22121.0 \u22120.8 \u22120.6 \u22120.4 \u22120.2 0 0.2 0.4")]
    [InlineData(0, 1, "0 0.2 0.4 0.6 0.8 1.0")]
    [InlineData(0, 1e6, "0 2e5 4e5 6e5 8e5 1e6")]
    [InlineData(0, 1e-6, "0 2e\u22127 4e\u22127 6e\u22127 8e\u22127 1e\u22126")]
    [InlineData(123456, 123468, "123456 123458 123460 123462 123464 123466 123468")]
    [InlineData(1234560, 1234572, "1.23456e6 1.234562e6 1.234564e6 1.234566e6 1.234568e6 1.23457e6 1.234572e6")]
    public void Labels_AreShort(double low, double high, string labels)
    {
        var axis = Axis.Covering([low, high], 6);
        Assert.Equal(labels, string.Join(' ', axis.Ticks.Select(axis.Label)));
    }

    [Theory]
    [InlineData(0.6, 31, "0.5 1 2 5 10 20 50")]
    [InlineData(2, 2, "2 5")]
    [InlineData(1e5, 3e6, "100000 200000 500000 1e6 2e6 5e6")]
    [InlineData(0.0004, 0.002, "2e\u22124 5e\u22124 0.001 0.002")]
    public void Ratios_AreEquallyFarApart(double low, double high, string labels)
    {
        var axis = Axis.Ratios([low, high]);
        Assert.Equal(labels, string.Join(' ', axis.Ticks.Select(axis.Label)));
        Assert.Equal(axis.Share(4 * axis.Low) - axis.Share(2 * axis.Low), axis.Share(2 * axis.Low), 1e-12);
        Assert.Equal((0, 1), (axis.Share(axis.Low), axis.Share(axis.High)));
    }

    [Fact]
    public void NoRange_IsWidened()
    {
        Assert.Equal((0, 1), Axis.Range([]));
        Assert.Equal((0, 1), Axis.Range([double.NaN, double.PositiveInfinity]));
        Assert.Equal((-1, 1), Axis.Range([0, 0]));
        var (low, high) = Axis.Range([5, 5]);
        Assert.True(low < 5 && high > 5);
    }

    [Theory]
    [InlineData(0.3, 1)]
    [InlineData(1.2, 2)]
    [InlineData(2.1, 5)]
    [InlineData(6, 10)]
    [InlineData(11, 20)]
    [InlineData(60, 100)]
    public void Every_IsTheNextRoundNumber(double needed, int every) => Assert.Equal(every, Axis.Every(needed));

    /// <summary>Ticks lie within the axis, one step apart, at multiples of a step that is 1, 2 or 5 times a power of ten.</summary>
    private static void CheckTicks(Axis axis)
    {
        var lead = axis.Step / Math.Pow(10, Math.Floor(Math.Log10(axis.Step) + 1e-9));
        Assert.Contains(Math.Round(lead, 6), new[] { 1.0, 2, 5 });
        var slack = 1e-5 * axis.Step;
        Assert.All(axis.Ticks, tick => Assert.InRange(tick, axis.Low - slack, axis.High + slack));
        Assert.All(axis.Ticks, tick =>
            Assert.Equal(tick / axis.Step, Math.Round(tick / axis.Step), 1e-6 * (1 + Math.Abs(tick / axis.Step))));
        Assert.All(axis.Ticks.Zip(axis.Ticks.Skip(1)), pair => Assert.InRange((pair.Second - pair.First) / axis.Step, 0.99, 1.01));
    }
}
