using AnchorScope.Engines;
using AnchorScope.Figures;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>How the time of a head sweep grows with its sizes, compared with the prediction of its cost model.</summary>
internal static class ScalingBench
{
    private const int Layers = 4;
    private const int Heads = 12;
    private const int ImageTokens = 576;

    /// <summary>Seconds: sweeps whose round takes longer run fewer rounds.</summary>
    private const double Long = 10;

    private const int RoundsOfLong = 3;

    public static Results Run()
    {
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        using var subject = new Subject(Layers, Heads);
        using var heads = new Subjects([4, 8, 16, 24], count => new Subject(Layers, count));
        using var layers = new Subjects([8, 12, 24], count => new Subject(count, Heads));
        Point Of(int x, Subject model, int imageTokens = ImageTokens, int samples = 1) =>
            new(x, model.Model.Decoder, [.. Enumerable.Range(0, samples).Select(seed => Subject.Of(model.Model, imageTokens, seed))]);
        Series[] series =
        [
            new("heads per layer, d_model 768", Heads, [.. heads.Each.Select(one => Of(one.Key, one.Value)), Of(Heads, subject)]),
            new("layers", Layers, [.. layers.Each.Select(one => Of(one.Key, one.Value)), Of(Layers, subject)]),
            new("image tokens", ImageTokens,
                [.. new[] { 256, ImageTokens, 1280, 2880 }.Select(count => Of(count, subject, imageTokens: count))]),
            new("samples", 1, [.. new[] { 1, 2, 4, 8, 16 }.Select(count => Of(count, subject, samples: count))]),
        ];
        Point[] all = [.. series.SelectMany(one => one.Points)];
        // A first run compiles code and fills caches.
        all[0].Time(compute);
        for (var round = 0; round < Contest.Rounds; round++)
        {
            foreach (var point in all.Where(p => round < RoundsOfLong || p.Measured <= Long)) point.Keep(point.Time(compute));
        }
        // The base point belongs to every series and is measured in each.
        Point[] bases = [.. series.Select(one => one.Points.Single(p => p.X == one.Base))];
        var rate = bases[0].Operations / Contest.Median([.. bases.SelectMany(p => p.Seconds)]);
        Draw(series, rate);
        var lines = series.SelectMany(
            one =>
                one.Points.Select(p => new Line($"{one.Name}: {p.X}", $"{p.Measured:0.00}", $"{p.Operations / rate:0.00}",
                    p.Operations / rate / p.Measured, null))).ToList();
        return new Results("scaling", "How a head sweep grows, beside its cost model", Method(rate), ["measured, s", "predicted, s"], lines,
            [Deviation(series, rate), FewerRounds(series)]) { Figure = $"images/{FigureFile}" };
    }

    private static string Method(double rate) =>
        $"The sweep of every head blocked at {HeadSweep.Instruction} instruction positions that end "
            + $"{HeadSweep.Behind} before the last, its recorded run included, one thread. The base is a decoder of the shape of `forward` "
            + $"but {Layers} layers ({Heads} heads, d 768, d_mlp 2048, float32, "
            + $"{ImageTokens} image and {Subject.TextTokens} text tokens, one sample); each series changes one size of it and holds the "
            + "others: more heads are smaller ones, as d_model stays 768; samples are prompts of the same length, swept one after the "
            + $"other. Measured: medians of {Contest.Rounds} rounds, in each of which every point has its turn. Predicted: "
            + "the operations that the cost model counts (`SweepCost`, as `ascope sweep --explain` prints them) at "
            + $"{rate / 1e9:0.0} GFLOP/s, the one rate at which the base ran in these rounds; nothing is fitted to the other points. "
            + "A ratio above 1 is faster than predicted.";

    private const string FigureFile = "scaling.svg";

    private static void Draw(Series[] series, double rate)
    {
        LinePanel Panel(Series one)
        {
            double[] x = [.. one.Points.Select(p => p.X)];
            return new LinePanel("", [
                new LineSeries("cost model, calibrated at the base", x, [.. one.Points.Select(p => p.Operations / rate)])
                    { Marks = SeriesMarks.Curve },
                new LineSeries("measured", x, [.. one.Points.Select(p => p.Measured)]) { Marks = SeriesMarks.Markers },
            ]) { XLabel = one.Name, YLabel = "time of the sweep, s", XTicks = x, Logarithmic = true };
        }
        var figure = new LineFigure("Time of a head sweep, measured and as its cost model predicts it",
            [.. series.Select(Panel)]) { SameScale = true };
        var folder = Directory.CreateDirectory(Path.Combine(Repository.Root, "docs", "images"));
        File.WriteAllText(Path.Combine(folder.FullName, FigureFile), figure.ToSvg(standalone: true));
    }

    private static string Deviation(Series[] series, double rate)
    {
        var (name, x, above) = series.SelectMany(
            one => one.Points.Select(p => (one.Name, p.X, Above: p.Measured * rate / p.Operations - 1)))
            .MaxBy(point => Math.Abs(point.Above));
        return "The largest deviation of a measured time from its prediction is "
            + $"{Math.Abs(above) * 100:0.0} % {(above > 0 ? "above" : "below")} it, at {name}: {x}. Sizes span {Span(series)}.";
    }

    private static string Span(Series[] series)
    {
        var times = series.SelectMany(one => one.Points).Select(p => p.Measured).ToList();
        return $"a factor of {times.Max() / times.Min():0} in time";
    }

    private static string FewerRounds(Series[] series)
    {
        var few = series.SelectMany(one => one.Points.Where(p => p.Seconds.Count < Contest.Rounds).Select(p => $"{one.Name}: {p.X}"))
            .ToList();
        return few.Count == 0 ? $"Every point has {Contest.Rounds} rounds."
            : $"Where a round takes more than {Long:0} s there are {RoundsOfLong} of them: {string.Join("; ", few)}.";
    }

    /// <summary>Points that differ in one size, in ascending order.</summary>
    /// <param name="Base">The sizes shared by all series.</param>
    private sealed record Series(string Name, int Base, IReadOnlyList<Point> Unordered)
    {
        public IReadOnlyList<Point> Points { get; } = [.. Unordered.OrderBy(p => p.X)];
    }

    /// <summary>A sweep of one or more samples.</summary>
    private sealed class Point
    {
        private readonly Decoder _decoder;
        private readonly IReadOnlyList<(Prompt Prompt, List<Intervention> Heads)> _sweeps;
        private readonly List<double> _seconds = [];

        public Point(int x, Decoder decoder, IReadOnlyList<Prompt> prompts)
        {
            (X, _decoder) = (x, decoder);
            _sweeps = [.. prompts.Select(prompt => (prompt, HeadSweep.EachHeadAtInstruction(decoder.Shape, prompt)))];
            Operations = _sweeps.Select(sweep => SweepCost.Of(new CpuEngine(decoder), sweep.Prompt, sweep.Heads))
                .Sum(cost => cost.BaselineOperations + cost.Operations);
        }

        public int X { get; }

        /// <summary>As counted by the cost model, including the recorded runs.</summary>
        public double Operations { get; }

        public IReadOnlyList<double> Seconds => _seconds;

        /// <summary>Median of the rounds so far.</summary>
        public double Measured => Contest.Median([.. _seconds]);

        public double Time(Compute compute) => Contest.Ours(() =>
        {
            foreach (var (prompt, heads) in _sweeps) HeadSweep.Run(_decoder, prompt, heads, HeadSweep.InstructionIn(prompt).First, compute);
        })(1);

        public void Keep(double seconds) => _seconds.Add(seconds);
    }

    /// <summary>One model for each size.</summary>
    private sealed class Subjects(int[] sizes, Func<int, Subject> open) : IDisposable
    {
        public IReadOnlyDictionary<int, Subject> Each { get; } = sizes.ToDictionary(size => size, open);

        public void Dispose()
        {
            foreach (var subject in Each.Values) subject.Dispose();
        }
    }
}
