using System.Text;
using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>Draws one panel of curves: bands first, then curves, then markers, with greys below colours.</summary>
internal sealed class LinePanelDrawing
{
    private const double Inset = 10;

    private readonly LinePanel _panel;
    private readonly Axis _vertical;
    private readonly Axis _horizontal;
    private readonly Frame _frame;
    private readonly IReadOnlyDictionary<string, (int Slot, int Shape)> _looks;
    private readonly IReadOnlyList<LineGroup> _groups;

    /// <summary>Whether all values have the same horizontal position; they are then drawn next to each other.</summary>
    private readonly bool _isOnePlace;

    public LinePanelDrawing(
        LinePanel panel, Axis vertical, double width, double left, IReadOnlyDictionary<string, (int Slot, int Shape)> looks)
    {
        _panel = panel;
        _vertical = vertical;
        _looks = looks;
        var places = panel.Series.SelectMany(series => series.X).Concat(panel.XTicks ?? []);
        _isOnePlace = places.Where(Axis.IsDrawable).Distinct().Take(2).Count() == 1;
        _groups = _isOnePlace ? [.. panel.Series.Select(series => new LineGroup(series, [series.Name], 0))]
            : LineGroup.Of(panel.Series, vertical);
        _frame = new Frame(vertical, width, left, panel.Title, panel.XLabel, panel.YLabel);
        double[] values = [.. panel.Series.SelectMany(series => series.X).Concat(panel.XTicks ?? []).Where(Axis.IsDrawable)];
        if (panel.Logarithmic)
        {
            _horizontal = LogarithmicBetween(values);
            return;
        }
        var integers = values.All(value => value == Math.Round(value));
        var (low, high) = integers && values.Distinct().Count() == 1 ? (values[0] - 1, values[0] + 1) : Axis.Range(values);
        _horizontal = Axis.Within(low, high, 7, integers);
    }

    public Panel Draw(bool withLegend)
    {
        _frame.DrawBackground();
        if (_panel.ZeroLine) _frame.DrawLevel(0, "zero");
        if (_panel.Reference is { } reference) _frame.DrawLevel(reference, "reference");
        LineGroup[] groups = [.. _groups.OrderBy(g => _looks[g.Drawn.Name].Slot >= 0)];
        OpenClip();
        foreach (var group in groups) DrawBand(group.Drawn);
        foreach (var group in groups) DrawCurve(group.Drawn);
        _frame.Svg.Close("svg").Line();
        _frame.DrawHorizontalAxis([.. Ticks().Select(tick => (X(tick), _horizontal.Label(tick)))], words: false);
        foreach (var group in groups) DrawMarkers(group);
        foreach (var group in _groups.Where(g => g.Names.Count > 1)) _frame.WriteBelow(group.Note(_vertical));
        if (!groups.Any(g => Runs(g.Drawn, Drawable).Any())) _frame.DrawEmpty(_panel.Empty);
        var names = string.Join(", ", _panel.Series.Select(s => s.Name));
        var what = string.Join(" by ", new[] { _panel.YLabel, _panel.XLabel }.Where(label => label.Length > 0).Select(Label.Plain));
        return _frame.Finish($"{_panel.Title}; {what}; {names}", withLegend ? [.. _panel.Series.Select(s => Key(s, _looks[s.Name]))] : []);
    }

    public static LegendKey Key(LineSeries series, (int Slot, int Shape) look)
    {
        var svg = new MarkupText();
        if (series.Low is not null) svg.Leaf("rect", ("class", $"band f{Suffix(look)}"), ("y", "1"), ("width", "28"), ("height", "12"));
        if (series.Marks != SeriesMarks.Markers) svg.Leaf("path", ("class", CurveStyle(series, look)), ("d", "M1 7H27"));
        if (series.Marks != SeriesMarks.Curve)
            svg.Leaf("path", ("class", $"rim f{Suffix(look)}"), ("d", Marker.Path(look.Shape, 14, 7, 4)));
        return new(series.Name, 28, svg.ToString());
    }

    private static string Suffix((int Slot, int Shape) look) => FigureStyle.Suffix(look.Slot);

    private static string CurveStyle(LineSeries series, (int Slot, int Shape) look) =>
        $"curve s{Suffix(look)}" + series.Stroke switch { Stroke.Dashed => " dashed", Stroke.Dotted => " dotted", _ => "" };

    /// <summary>
    /// An axis that begins and ends at the data, with labels at the measured values of the varied quantity, because nothing is known
    /// between and beyond them.
    /// </summary>
    private static Axis LogarithmicBetween(double[] values)
    {
        var axis = Axis.Ratios(values);
        if (values.Length == 0) return axis;
        var (low, high) = Axis.Range(values);
        return axis with { Low = low, High = high, Ticks = [.. axis.Ticks.Where(tick => tick >= low && tick <= high)] };
    }

    private double X(double value) => _frame.Left + Inset + _horizontal.Share(value) * (_frame.PlotWidth - 2 * Inset);

    private double Beside(LineSeries series)
    {
        const double step = 14;
        return _isOnePlace ? (_panel.Series.TakeWhile(s => s != series).Count() - (_panel.Series.Count - 1) / 2.0) * step : 0;
    }

    private IReadOnlyList<double> Ticks()
    {
        if (_panel.XTicks is { } ticks) return [.. ticks.Where(Axis.IsDrawable).Order()];
        // Positions next to the only one were not measured.
        return _isOnePlace ? [_panel.Series.SelectMany(series => series.X).First(Axis.IsDrawable)] : _horizontal.Ticks;
    }

    private static bool Drawable(LineSeries series, int i) => Axis.IsDrawable(series.X[i]) && Axis.IsDrawable(series.Y[i]);

    private static bool DrawableBand(LineSeries series, int i) =>
        Axis.IsDrawable(series.X[i]) && Axis.IsDrawable(series.Low![i]) && Axis.IsDrawable(series.High![i]);

    /// <summary>Clips what is outside the axes by an inner svg element, which needs no id that could occur twice in a page.</summary>
    private void OpenClip()
    {
        // Wider by half a line, so that a curve along the edge keeps its width.
        const double edge = 1.2;
        var (x, y) = (Number(_frame.Left - edge), Number(_frame.Top - edge));
        var (width, height) = (Number(_frame.PlotWidth + 2 * edge), Number(_frame.Bottom - _frame.Top + 2 * edge));
        _frame.Svg.Open("svg", ("x", x), ("y", y), ("width", width), ("height", height), ("viewBox", $"{x} {y} {width} {height}"),
            ("overflow", "hidden")).Line();
    }

    private void DrawBand(LineSeries series)
    {
        if (series.Low is null) return;
        foreach (var (first, last) in Runs(series, DrawableBand))
        {
            if (first == last)
            {
                DrawWhisker(series, first);
                continue;
            }
            var path = new StringBuilder();
            for (var i = first; i <= last; i++) Append(path, series.X[i], series.High![i]);
            for (var i = last; i >= first; i--) Append(path, series.X[i], series.Low[i]);
            _frame.Svg.Leaf("path", ("class", $"band f{Suffix(_looks[series.Name])}"), ("d", path.Append('Z').ToString())).Line();
        }
    }

    /// <summary>Draws the interval of a point without neighbours, for which a band would have no width.</summary>
    private void DrawWhisker(LineSeries series, int i)
    {
        const double cap = 4;
        var (x, low, high) = (X(series.X[i]) + Beside(series), Number(Height(series.Low![i])), Number(Height(series.High![i])));
        var path = $"M{Number(x)} {low}V{high}M{Number(x - cap)} {low}h{Number(2 * cap)}M{Number(x - cap)} {high}h{Number(2 * cap)}";
        _frame.Svg.Leaf("path", ("class", $"error s{Suffix(_looks[series.Name])}"), ("d", path)).Line();
    }

    private void DrawCurve(LineSeries series)
    {
        if (series.Marks == SeriesMarks.Markers) return;
        foreach (var (first, last) in Runs(series, Drawable).Where(run => run.Last > run.First))
        {
            var path = new StringBuilder();
            for (var i = first; i <= last; i++) Append(path, series.X[i], series.Y[i]);
            _frame.Svg.Leaf("path", ("class", CurveStyle(series, _looks[series.Name])), ("d", path.ToString())).Line();
        }
    }

    /// <summary>Draws markers. Every value responds to the pointer; where values are too close for markers, only some show one.</summary>
    private void DrawMarkers(LineGroup group)
    {
        var series = group.Drawn;
        bool Inside(int i) => Drawable(series, i) && series.Y[i] >= _vertical.Low && series.Y[i] <= _vertical.High;
        int[] shown = [.. Enumerable.Range(0, series.X.Count).Where(Inside)];
        if (shown.Length == 0) return;
        var spacing = (X(series.X[shown[^1]]) - X(series.X[shown[0]])) / Math.Max(1, shown.Length - 1);
        var every = spacing <= 0 ? 1 : Math.Max(1, (int)Math.Ceiling(6.5 / spacing));
        var dense = spacing is > 0 and < 13;
        var look = _looks[series.Name];
        for (var i = 0; i < shown.Length; i++)
        {
            var (x, y) = (series.X[shown[i]], series.Y[shown[i]]);
            var visible = series.Marks != SeriesMarks.Curve && (i % every == 0 || shown.Length == 1);
            var band = series.Low is null ? "" : $" [{Axis.Show(series.Low[shown[i]])}, {Axis.Show(series.High![shown[i]])}]";
            var place = $"{(_panel.XLabel.Length > 0 ? Label.Plain(_panel.XLabel) : "x")} {Axis.Show(x)}";
            _frame.Svg.Open("path", ("class", visible ? $"{(dense ? "dot" : "rim")} f{Suffix(look)}" : "target"),
                    ("d", Marker.Path(visible ? look.Shape : 0, X(x) + Beside(series), _frame.Y(y), dense ? 2.6 : 3.6)))
                .Text("title", $"{string.Join(", ", group.Names)}\n{place}: {Axis.Show(y)}{band}").Close("path").Line();
        }
    }

    private void Append(StringBuilder path, double x, double y) =>
        path.Append(path.Length == 0 ? 'M' : 'L').Append(Number(X(x))).Append(' ').Append(Number(Height(y)));

    /// <summary>
    /// Vertical position. It is clamped to some heights outside, because a value far outside a given range would need huge coordinates, and
    /// only its direction matters.
    /// </summary>
    private double Height(double y) => _frame.Bottom - Math.Clamp(_vertical.Share(y), -20, 20) * (_frame.Bottom - _frame.Top);

    /// <summary>Ranges of consecutive drawable points.</summary>
    private static IEnumerable<(int First, int Last)> Runs(LineSeries series, Func<LineSeries, int, bool> drawable)
    {
        var first = -1;
        for (var i = 0; i <= series.X.Count; i++)
        {
            var draw = i < series.X.Count && drawable(series, i);
            if (draw && first < 0) first = i;
            if (draw || first < 0) continue;
            yield return (first, i - 1);
            first = -1;
        }
    }
}
