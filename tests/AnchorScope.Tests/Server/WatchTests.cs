using System.Globalization;
using AnchorScope.Server.Monitoring;
using Xunit.Abstractions;

namespace AnchorScope.Tests.Server;

/// <summary>
/// The error rates of the sequential test, measured: how often streams like the profile raise an alert, and how soon shifted ones do.
/// docs/recipes/monitor.md has the figures.
/// </summary>
public sealed class WatchTests(ITestOutputHelper output)
{
    private const int Window = 500;

    private static readonly Quantity Any = new("margin", "margin");

    /// <summary>Kinds of numbers: smooth, heavy-tailed, two humps, few values with many ties, nearly constant.</summary>
    public static TheoryData<string> Kinds => ["normal", "heavy", "humps", "ties", "constant"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void StreamsLikeTheProfile_RaiseNoMoreAlertsThanStated(string kind)
    {
        const int Streams = 1000;
        foreach (var (size, alpha) in new[] { (1000, 0.05), (50, 0.05), (1000, 0.5), (8, 0.5) })
        {
            var raised = 0;
            for (var stream = 0; stream < Streams; stream++)
            {
                var random = new SplitMix((ulong)(stream * 7919 + size));
                var watch = new Watch(Any, Profile(random, kind, size), 1 / alpha, Window);
                var any = false;
                for (var i = 0; i < Window && !any; i++) any = watch.Add(Draw(random, kind)) == WatchEvent.Raised;
                if (any) raised++;
            }
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{kind}, profile of {size}, alpha {alpha}: {raised} of {Streams} streams of {Window} raised an alert"));
            // More than three standard deviations above what is stated would happen once in a thousand runs of an exact test.
            Assert.True(raised <= alpha * Streams + 3 * Math.Sqrt(alpha * (1 - alpha) * Streams), $"{kind} {size} {alpha}: {raised}");
        }
    }

    /// <summary>All quantities of a server together, independent of each other and not.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AFamily_RaisesNoMoreAlertsThanStated(bool independent)
    {
        const int Streams = 300, Quantities = 25;
        const double Alpha = 0.05;
        var raised = 0;
        for (var stream = 0; stream < Streams; stream++)
        {
            var random = new SplitMix((ulong)stream + 100_000);
            var sketches = Enumerable.Range(0, Quantities).Select(_ => new QuantileSketch(0.001)).ToList();
            double[] Request()
            {
                var shared = Draw(random, "normal");
                return [.. sketches.Select(_ => independent ? Draw(random, "normal") : shared + 0.2 * Draw(random, "normal"))];
            }
            for (var i = 0; i < 400; i++)
            {
                foreach (var (value, sketch) in Request().Zip(sketches)) sketch.Add(value);
            }
            var watches = sketches.Select(sketch => new Watch(Any, sketch, Quantities / Alpha, Window)).ToList();
            var any = false;
            for (var i = 0; i < Window && !any; i++)
            {
                foreach (var (value, watch) in Request().Zip(watches)) any |= watch.Add(value) == WatchEvent.Raised;
            }
            if (any) raised++;
        }
        output.WriteLine($"{(independent ? "independent" : "correlated")}: {raised} of {Streams} streams of {Window} raised an alert");
        Assert.True(raised <= Alpha * Streams + 3 * Math.Sqrt(Alpha * (1 - Alpha) * Streams), $"{raised}");
    }

    /// <summary>Shifts of so many standard deviations are found within so many requests, in all but a few streams.</summary>
    [Theory]
    [InlineData(0.5, 0, 320)]
    [InlineData(1.0, 0, 65)]
    [InlineData(2.0, 0, 20)]
    [InlineData(-1.0, 0, 65)]
    // The change comes late: the test has seen many requests that were normal, and begins anew after a window at the latest.
    [InlineData(1.0, 250, 200)]
    [InlineData(1.0, 2600, 200)]
    public void AShift_IsFoundWithin(double shift, int before, int within)
    {
        const int Streams = 200;
        // The threshold of a server with 25 quantities and alpha 0.01.
        var delays = new List<int>();
        for (var stream = 0; stream < Streams; stream++)
        {
            var random = new SplitMix((ulong)stream + 200_000);
            var watch = new Watch(Any, Profile(random, "normal", 1000), 25 / 0.01, Window);
            for (var i = 0; i < before; i++) watch.Add(Draw(random, "normal"));
            if (watch.IsRaised) continue;
            var delay = 1;
            while (delay <= 2000 && watch.Add(shift + Draw(random, "normal")) != WatchEvent.Raised) delay++;
            delays.Add(delay);
        }
        delays.Sort();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"shift {shift} after {before}: median {delays[delays.Count / 2]}, 95 % within {delays[(int)(0.95 * delays.Count)]}, ")
            + string.Create(CultureInfo.InvariantCulture, $"all within {delays[^1]}"));
        Assert.InRange(delays[(int)(0.95 * delays.Count)], 1, within);
    }

    [Fact]
    public void AnAlert_IsClearedWhenTheShiftEnds_AndNotBefore()
    {
        var (stayed, cleared) = (0, new List<int>());
        for (var stream = 0; stream < 100; stream++)
        {
            var random = new SplitMix((ulong)stream + 300_000);
            var watch = new Watch(Any, Profile(random, "normal", 1000), 2500, Window);
            for (var i = 0; i < 1000; i++) watch.Add(1 + Draw(random, "normal"));
            if (watch.IsRaised) stayed++;
            var after = 0;
            while (watch.IsRaised && after < 2000)
            {
                watch.Add(Draw(random, "normal"));
                after++;
            }
            cleared.Add(after);
        }
        cleared.Sort();
        output.WriteLine(
            $"raised after 1000 shifted requests: {stayed} of 100; cleared after {cleared[50]} (median), {cleared[^1]} (most)");
        Assert.InRange(stayed, 98, 100);
        Assert.InRange(cleared[^1], 1, 1000);
    }

    [Fact]
    public void ManyRequests_TakeNoMoreMemory()
    {
        var random = new SplitMix(5);
        var watch = new Watch(Any, Profile(random, "normal", 1000), 2500, Window);
        var sketch = new QuantileSketch();
        void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var value = Draw(random, "heavy");
                watch.Add(value);
                sketch.Add(value);
            }
        }
        Run(100_000);
        // The watch has arrays of fixed lengths; what could grow is the sketch.
        var kept = sketch.Kept;
        Run(1_000_000);
        Assert.InRange(sketch.Kept, 1, 2 * kept);
    }

    private static QuantileSketch Profile(SplitMix random, string kind, int size)
    {
        var sketch = new QuantileSketch(0.001);
        for (var i = 0; i < size; i++) sketch.Add(Draw(random, kind));
        return sketch;
    }

    private static double Draw(SplitMix random, string kind) => kind switch
    {
        "heavy" => Math.Tan(Math.PI * (random.Uniform() - 0.5)),
        "humps" => (random.Below(2) == 0 ? -6 : 6) + Normal(random),
        "ties" => random.Below(4),
        "constant" => random.Below(20) == 0 ? 1 : 0,
        _ => Normal(random),
    };

    private static double Normal(SplitMix random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.Uniform())) * Math.Cos(2 * Math.PI * random.Uniform());
}
