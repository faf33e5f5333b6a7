using AnchorScope.Metrics;
using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>One mark with its interval per row.</summary>
/// <param name="Name">Name in the legend.</param>
/// <param name="Values">One per row; values that are not finite have no mark.</param>
internal sealed record IntervalSeries(string Name, IReadOnlyList<Estimate> Values);

/// <summary>Estimates with intervals along a horizontal axis, one named row each (forest plot).</summary>
/// <param name="Name">Description of the figure.</param>
/// <param name="Rows">Names of the rows, from the top.</param>
internal sealed record IntervalFigure(string Name, IReadOnlyList<string> Rows, IReadOnlyList<IntervalSeries> Series) : Figure(Name)
{
    private const double PlotWidth = 400;
    private const double Top = 12;
    private const double Right = 16;
    private const double Pitch = 12;
    private const double Padding = 5;

    /// <summary>Label below the horizontal axis.</summary>
    public string XLabel { get; init; } = "";

    /// <summary>Ends of the horizontal axis.</summary>
    public (double Low, double High) XRange { get; init; } = (0, 1);

    private protected override Drawing Draw()
    {
        foreach (var series in Series)
        {
            if (series.Values.Count != Rows.Count)
                throw new ArgumentException($"series {series.Name}: {Rows.Count} rows need as many values");
        }
        var axis = Axis.Within(XRange.Low, XRange.High, 5);
        var left = 14 + Rows.Select(row => TextWidth.Of(row, FigureStyle.LabelSize)).DefaultIfEmpty(0).Max();
        var height = Pitch * Math.Max(1, Series.Count) + 2 * Padding;
        var bottom = Top + height * Rows.Count;
        double X(double value) => left + axis.Share(Math.Clamp(value, axis.Low, axis.High)) * PlotWidth;
        var svg = new MarkupText();
        foreach (var tick in axis.Ticks)
        {
            var x = Number(X(tick));
            svg.Leaf("line", ("class", "grid"), ("x1", x), ("x2", x), ("y1", Number(Top)), ("y2", Number(bottom)));
            svg.Text("text", axis.Label(tick), ("class", "tick mid"), ("x", x), ("y", Number(bottom + 17))).Line();
        }
        // The axis is drawn before the marks, because a mark at the end of the axis overlaps it.
        svg.Leaf("path", ("class", "axis"), ("d", $"M{Number(left)} {Number(Top)}V{Number(bottom)}H{Number(left + PlotWidth)}")).Line();
        for (var row = 0; row < Rows.Count; row++)
        {
            var top = Top + row * height;
            var end = Number(top + height);
            svg.Text("text", Rows[row], ("class", "end"), ("x", Number(left - 8)), ("y", Number(top + height / 2 + 4)));
            if (row + 1 < Rows.Count)
            {
                var (x1, x2) = (Number(left), Number(left + PlotWidth));
                svg.Leaf("line", ("class", "grid"), ("x1", x1), ("x2", x2), ("y1", end), ("y2", end));
            }
            for (var s = 0; s < Series.Count; s++) Mark(svg, s, Rows[row], Series[s].Values[row], X, top + Padding + Pitch * (s + 0.5));
            svg.Line();
        }
        var (middle, below) = (Number(left + PlotWidth / 2), Number(bottom + 36));
        if (XLabel.Length > 0) Label.Write(svg, XLabel, PlotWidth, ("class", "mid"), ("x", middle), ("y", below));
        var description = $"{string.Join(", ", Series.Select(s => s.Name))} of {string.Join(", ", Rows)}";
        var foot = XLabel.Length > 0 ? 42 : 24;
        return new([new Panel(description, left + PlotWidth + Right, bottom + foot, svg.ToString(), [])], [.. Series.Select(Key)]);
    }

    private void Mark(MarkupText svg, int series, string row, Estimate value, Func<double, double> x, double y)
    {
        if (!Axis.IsDrawable(value.Mean)) return;
        var slot = FigureStyle.Suffix(series);
        var interval = $"[{Axis.Show(value.Low)}, {Axis.Show(value.High)}]";
        svg.Open("g").Text("title", $"{Series[series].Name}\n{row}: {Axis.Show(value.Mean)} {interval}");
        if (Axis.IsDrawable(value.Low) && Axis.IsDrawable(value.High))
        {
            var (low, high) = (x(value.Low), x(value.High));
            var caps = $"M{Number(low)} {Number(y - 3)}v6M{Number(high)} {Number(y - 3)}v6";
            svg.Leaf("path", ("class", $"curve s{slot}"), ("d", $"M{Number(low)} {Number(y)}H{Number(high)}{caps}"));
        }
        svg.Leaf("path", ("class", $"f{slot} rim"), ("d", Marker.Path(series, x(value.Mean), y, 4.2))).Close("g");
    }

    private static LegendKey Key(IntervalSeries series, int slot) => new(series.Name, 26, new MarkupText()
        .Leaf("path", ("class", $"curve s{FigureStyle.Suffix(slot)}"), ("d", "M1 7H25M1 4v6M25 4v6"))
        .Leaf("path", ("class", $"f{FigureStyle.Suffix(slot)} rim"), ("d", Marker.Path(slot, 13, 7, 4.2))).ToString());
}
