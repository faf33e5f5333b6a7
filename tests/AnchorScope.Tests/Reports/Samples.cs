using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Reports;

/// <summary>Random figures with everything that data can hold: gaps, infinities, huge and tiny values, no value at all.</summary>
internal static class Samples
{
    private static readonly string[] Names =
    [
        "image -> last", "<b>&\"'", "a\u0000b\u001Fc\uFFFEd", "\uD800 lone", "", "頭 🖼",
        "a name that is much longer than any legend can hold in one of its rows, however wide",
    ];

    public static Figure Figure(int seed)
    {
        var random = new Random(seed);
        var panels = random.Next(4);
        var columns = 1 + random.Next(3);
        var same = random.Next(2) == 0;
        return random.Next(6) switch
        {
            0 => new LineFigure(Name(random), Many(panels, LinePanel)) { Columns = columns, SameScale = same },
            1 => new BarFigure(Name(random), Many(panels, BarPanel)) { Columns = columns, SameScale = same },
            4 => IntervalFigure(random, columns),
            5 => ShareTable(random, columns),
            2 => new OverlayFigure(Name(random), Many(panels, OverlayPanel)) { Columns = columns, ScaleLabel = Name(random) },
            _ => new HeatMapFigure(Name(random), Many(panels, HeatMapPanel)) { Columns = columns, ScaleLabel = Name(random) },
        };

        T[] Many<T>(int count, Func<Random, T> draw) => [.. Enumerable.Range(0, count).Select(_ => draw(random))];
    }

    private static IntervalFigure IntervalFigure(Random random, int columns)
    {
        var rows = random.Next(5);
        IReadOnlyList<Estimate> Estimates() =>
        [
            .. Values(random, rows).Zip(Values(random, rows), Values(random, rows))
                .Select(v => new Estimate(v.First, v.Second, v.Third, 1)),
        ];
        return new(Name(random), [.. Enumerable.Range(0, rows).Select(_ => Name(random))],
            [.. Enumerable.Range(0, random.Next(4)).Select(_ => new IntervalSeries(Name(random), Estimates()))])
        {
            Columns = columns, XLabel = Name(random),
        };
    }

    private static ShareTableFigure ShareTable(Random random, int columns)
    {
        var (rows, across) = (random.Next(5), random.Next(5));
        string[] Names(int count) => [.. Enumerable.Range(0, count).Select(_ => Name(random))];
        CountOf Cell() => random.Next(3) is var of ? new CountOf(random.Next(of + 1), of) : default;
        List<CountOf> Row() => [.. Enumerable.Range(0, across).Select(_ => Cell())];
        return new(Name(random), Names(rows), Names(across), [.. Enumerable.Range(0, rows).Select(_ => Row())])
        {
            Columns = columns,
        };
    }

    private static OverlayPanel OverlayPanel(Random random)
    {
        var (width, height, count) = (1 + random.Next(300), 1 + random.Next(300), random.Next(30));
        var rgb = new byte[3 * width * height];
        random.NextBytes(rgb);
        PixelBox? Box() => random.Next(5) == 0
            ? null : new PixelBox(random.Next(-9, width), random.Next(-9, height), random.Next(1, width + 9), random.Next(1, height + 9));
        return new(Name(random), Name(random), new Picture(width, height, rgb), [.. Enumerable.Range(0, count).Select(_ => Box())],
            [.. Enumerable.Range(0, count).Select(_ => (double)random.Next(3))]);
    }

    private static string Name(Random random) => Names[random.Next(Names.Length)];

    private static double[] Values(Random random, int count)
    {
        var scale = random.Next(6) switch { 0 => 1e300, 1 => 1e-300, 2 => 1e8, 3 => 0, _ => 1.0 };
        var shift = random.Next(3) == 0 ? 1000 * scale : 0;
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(9) switch
        {
            0 => double.NaN,
            1 => random.Next(4) == 0 ? double.PositiveInfinity : double.NegativeInfinity,
            2 => 0,
            _ => shift + scale * (2 * random.NextDouble() - 1),
        })];
    }

    private static LinePanel LinePanel(Random random) => new(Name(random),
        [.. Enumerable.Range(0, random.Next(4)).Select(_ => Line(random))])
    {
        XLabel = Name(random),
        YLabel = Name(random),
        ZeroLine = random.Next(2) == 0,
        Reference = random.Next(2) == 0 ? 0.5 : null,
        YRange = random.Next(3) == 0 ? (-0.25, 0.5) : null,
        XTicks = random.Next(3) == 0 ? Values(random, 5) : null,
    };

    private static LineSeries Line(Random random)
    {
        var count = random.Next(40);
        double[] x = random.Next(3) == 0 ? Values(random, count) : [.. Enumerable.Range(0, count).Select(i => (double)i)];
        var band = random.Next(2) == 0;
        return new(Name(random), x, Values(random, count))
        {
            Low = band ? Values(random, count) : null,
            High = band ? Values(random, count) : null,
            Stroke = (Stroke)random.Next(3),
            Colour = random.Next(3) == 0 ? random.Next(-1, 8) : null,
        };
    }

    private static BarPanel BarPanel(Random random)
    {
        var categories = random.Next(12);
        return new(Name(random), [.. Enumerable.Range(0, categories).Select(_ => Name(random))],
            [.. Enumerable.Range(0, random.Next(4)).Select(_ =>
        {
            var whiskers = random.Next(2) == 0;
            return new BarSeries(Name(random), Values(random, categories))
            {
                Low = whiskers ? Values(random, categories) : null,
                High = whiskers ? Values(random, categories) : null,
            };
        })]) { YLabel = Name(random), YRange = random.Next(3) == 0 ? (0.1, 0.5) : null };
    }

    private static HeatMapPanel HeatMapPanel(Random random)
    {
        var (layers, heads) = (random.Next(12), random.Next(12));
        var values = new double[layers, heads];
        var drawn = Values(random, layers * heads);
        for (var i = 0; i < drawn.Length; i++) values[i / heads, i % heads] = drawn[i];
        var kinds = layers * heads == 0 ? 0 : random.Next(4);
        return new(Name(random), values)
        {
            Kinds = [.. Enumerable.Range(0, kinds).Select(_ => new HeadKind(Name(random), [(random.Next(layers), random.Next(heads))]))],
        };
    }
}
