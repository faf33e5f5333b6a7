using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>One bar per category.</summary>
/// <param name="Name">Name in the legend. The same name has the same style in all panels of a figure.</param>
/// <param name="Values">One per category; values that are not finite have no bar.</param>
internal sealed record BarSeries(string Name, IReadOnlyList<double> Values)
{
    /// <summary>Lower ends of the error bars; needs <see cref="High"/>.</summary>
    public IReadOnlyList<double>? Low { get; init; }

    /// <summary>Upper ends of the error bars; needs <see cref="Low"/>.</summary>
    public IReadOnlyList<double>? High { get; init; }

    /// <summary>Palette slot, 0 to 7; null: in order of appearance; -1: grey, for controls.</summary>
    public int? Colour { get; init; }
}

/// <summary>One set of axes with groups of bars.</summary>
/// <param name="Title">Above the axes; may be empty.</param>
/// <param name="Categories">Groups along the horizontal axis, such as layers.</param>
internal sealed record BarPanel(string Title, IReadOnlyList<string> Categories, IReadOnlyList<BarSeries> Series)
{
    public string XLabel { get; init; } = "";

    public string YLabel { get; init; } = "";

    /// <summary>Ends of the vertical axis; null: determined by the data and 0.</summary>
    public (double Low, double High)? YRange { get; init; }

    /// <summary>Value of a dotted horizontal line, such as chance.</summary>
    public double? Reference { get; init; }
}

/// <summary>Panels of grouped bars, such as the contribution of attention and MLP by layer.</summary>
/// <param name="Name">What the figure shows.</param>
internal sealed record BarFigure(string Name, IReadOnlyList<BarPanel> Panels) : Figure(Name)
{
    private static readonly string[] Fills = ["", " tint", " hollow"];

    /// <summary>Whether all panels have the same vertical axis.</summary>
    public bool SameScale { get; init; }

    private protected override Drawing Draw()
    {
        foreach (var panel in Panels)
        foreach (var series in panel.Series) Check(series, panel.Categories.Count);
        string[] names = [.. Panels.SelectMany(panel => panel.Series).Select(series => series.Name).Distinct()];
        Axis[] axes = [.. Panels.Select(panel => VerticalAxis(SameScale ? Panels : [panel], panel.YRange))];
        var left = Panels.Select((panel, i) => Frame.LeftFor(axes[i], panel.YLabel)).DefaultIfEmpty(0).Max();
        var shared = Panels.All(panel => panel.Series.Select(s => s.Name).SequenceEqual(Panels[0].Series.Select(s => s.Name)));
        Panel[] drawn = [.. Panels.Select((panel, i) => Draw(panel, axes[i], Frame.WidthFor(Columns), left, names, withLegend: !shared))];
        return new(drawn, shared && Panels.Count > 0 ? [.. Panels[0].Series.Select(series => Key(series, names))] : []);
    }

    private static Panel Draw(BarPanel panel, Axis vertical, double width, double left, string[] names, bool withLegend)
    {
        var frame = new Frame(vertical, width, left, panel.Title, panel.XLabel, panel.YLabel);
        frame.DrawBackground();
        var group = frame.PlotWidth / Math.Max(1, panel.Categories.Count);
        var bar = Math.Min(0.78 * group / Math.Max(1, panel.Series.Count), 34);
        double Start(int category, int series) => frame.Left + group * (category + 0.5) + bar * (series - panel.Series.Count / 2.0);
        for (var category = 0; category < panel.Categories.Count; category++)
        {
            for (var s = 0; s < panel.Series.Count; s++)
                DrawBar(new Bar
                {
                    Frame = frame,
                    Vertical = vertical,
                    Series = panel.Series[s],
                    Category = category,
                    Place = panel.XLabel.Length > 0
                        ? $"{Label.Plain(panel.XLabel)} {panel.Categories[category]}" : panel.Categories[category],
                    Style = Style(panel.Series[s], names),
                    Left = Start(category, s),
                    Width = bar,
                });
        }
        frame.DrawLevel(0, "zero");
        if (panel.Reference is { } reference) frame.DrawLevel(reference, "reference");
        var words = panel.Categories.Any(category => !category.All(char.IsAsciiDigit));
        frame.DrawHorizontalAxis([.. panel.Categories.Select((text, i) => (frame.Left + group * (i + 0.5), text))], words);
        if (!panel.Series.Any(series => series.Values.Any(Axis.IsDrawable))) frame.DrawEmpty("no data");
        var description = $"{panel.Title}; {Label.Plain(panel.YLabel)}; {string.Join(", ", panel.Series.Select(series => series.Name))}";
        return frame.Finish(description, withLegend ? [.. panel.Series.Select(series => Key(series, names))] : []);
    }

    private sealed record Bar
    {
        public required Frame Frame { get; init; }

        public required Axis Vertical { get; init; }

        public required BarSeries Series { get; init; }

        /// <summary>Index of the category.</summary>
        public required int Category { get; init; }

        /// <summary>Name of the category, with the label of the axis.</summary>
        public required string Place { get; init; }

        /// <summary>Style class of the series.</summary>
        public required string Style { get; init; }

        public required double Left { get; init; }

        public required double Width { get; init; }
    }

    private static void DrawBar(Bar bar)
    {
        var (frame, series, category, x, width) = (bar.Frame, bar.Series, bar.Category, bar.Left, bar.Width);
        var value = series.Values[category];
        if (!Axis.IsDrawable(value)) return;
        var (low, high) = (series.Low?[category] ?? double.NaN, series.High?[category] ?? double.NaN);
        var interval = series.Low is null ? "" : $" [{Axis.Show(low)}, {Axis.Show(high)}]";
        double Inside(double v) => frame.Y(Math.Clamp(v, bar.Vertical.Low, bar.Vertical.High));
        var (top, bottom) = (Inside(Math.Max(value, 0)), Inside(Math.Min(value, 0)));
        var thin = Math.Min(0.7, width * 0.08);
        frame.Svg.Open("g").Text("title", $"{series.Name}\n{bar.Place}: {Axis.Show(value)}{interval}");
        // Background colour below the bar, so that the grid is not visible through tinted bars.
        foreach (var style in new[] { "paper", bar.Style })
        {
            frame.Svg.Leaf("rect", ("class", style), ("x", Number(x + thin)), ("y", Number(top)),
                ("width", Number(width - 2 * thin)), ("height", Number(bottom - top)));
        }
        if (Axis.IsDrawable(low) && Axis.IsDrawable(high))
        {
            var (middle, cap) = (x + width / 2, Math.Min(3.5, width * 0.25));
            var (up, down) = (Number(Inside(high)), Number(Inside(low)));
            var path = $"M{Number(middle)} {down}V{up}"
                + $"M{Number(middle - cap)} {up}h{Number(2 * cap)}M{Number(middle - cap)} {down}h{Number(2 * cap)}";
            if (width >= 8) frame.Svg.Leaf("path", ("class", "halo"), ("d", path), ("stroke-width", "3"), ("stroke-opacity", "0.75"));
            frame.Svg.Leaf("path", ("class", width < 8 ? "whisker fine" : "whisker"), ("d", path));
        }
        frame.Svg.Close("g").Line();
    }

    private static LegendKey Key(BarSeries series, string[] names) => new(series.Name, 14, new MarkupText()
        .Leaf("rect", ("class", Style(series, names)), ("x", "1"), ("y", "1"), ("width", "12"), ("height", "12")).ToString());

    /// <summary>Solid, tinted and hollow bars alternate, so that neighbours differ by more than colour.</summary>
    private static string Style(BarSeries series, string[] names)
    {
        var order = Array.IndexOf(names, series.Name);
        var suffix = FigureStyle.Suffix(series.Colour ?? order);
        return $"f{suffix} s{suffix}{Fills[order % Fills.Length]}";
    }

    private static Axis VerticalAxis(IReadOnlyList<BarPanel> panels, (double Low, double High)? range)
    {
        if (range is { } ends) return Axis.Within(ends.Low, ends.High, 6);
        var values = panels.SelectMany(panel => panel.Series).SelectMany(s => s.Values.Concat(s.Low ?? []).Concat(s.High ?? [])).Append(0)
            .Concat(panels.Where(panel => panel.Reference is not null).Select(panel => panel.Reference!.Value));
        return Axis.Covering(values, 6);
    }

    private static void Check(BarSeries series, int categories)
    {
        if (series.Values.Count != categories
            || (series.Low?.Count ?? categories) != categories || (series.High?.Count ?? categories) != categories)
            throw new ArgumentException($"series {series.Name}: Values, Low and High need {categories} entries, one per category");
        if (series.Low is null != series.High is null) throw new ArgumentException($"series {series.Name}: error bars need Low and High");
        if (series.Colour is < -1 or >= Palette.Slots)
            throw new ArgumentException($"series {series.Name}: no palette slot {series.Colour}");
    }
}
