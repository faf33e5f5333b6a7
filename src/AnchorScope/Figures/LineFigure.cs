namespace AnchorScope.Figures;

/// <summary>Which marks of a series are drawn.</summary>
internal enum SeriesMarks { CurveAndMarkers, Curve, Markers }

/// <summary>A curve with markers. A value that is not finite is a gap.</summary>
/// <param name="Name">Name in the legend. The same name has the same colour and marker in all panels of a figure.</param>
/// <param name="X">Ascending.</param>
/// <param name="Y">As many as X.</param>
internal sealed record LineSeries(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y)
{
    /// <summary>Lower edge of the shaded band; needs <see cref="High"/>.</summary>
    public IReadOnlyList<double>? Low { get; init; }

    /// <summary>Upper edge of the shaded band; needs <see cref="Low"/>.</summary>
    public IReadOnlyList<double>? High { get; init; }

    public Stroke Stroke { get; init; }

    /// <summary>Markers are for measurements, a curve for values of a formula.</summary>
    public SeriesMarks Marks { get; init; }

    /// <summary>Whether it is drawn even where it nearly covers another one: its band is what is compared.</summary>
    public bool IsDrawnApart { get; init; }

    /// <summary>Palette slot, 0 to 7; null: in order of appearance; -1: grey, for controls.</summary>
    public int? Colour { get; init; }
}

/// <summary>One set of axes with curves.</summary>
/// <param name="Title">Above the axes; may be empty.</param>
internal sealed record LinePanel(string Title, IReadOnlyList<LineSeries> Series)
{
    public string XLabel { get; init; } = "";

    public string YLabel { get; init; } = "";

    /// <summary>Ends of the vertical axis; null: determined by the data. Values outside are clipped.</summary>
    public (double Low, double High)? YRange { get; init; }

    /// <summary>Whether a line is drawn at 0, which is then always within the axis.</summary>
    public bool ZeroLine { get; init; }

    /// <summary>Value of a dotted horizontal line, such as chance.</summary>
    public double? Reference { get; init; }

    /// <summary>
    /// Whether both axes are logarithmic, so that a power law is a straight line and equal relative errors are equal distances. Requires
    /// values above 0.
    /// </summary>
    public bool Logarithmic { get; init; }

    /// <summary>Text of a panel without values.</summary>
    public string Empty { get; init; } = "no data";

    /// <summary>Values to label on the horizontal axis; null: chosen automatically.</summary>
    public IReadOnlyList<double>? XTicks { get; init; }
}

/// <summary>Panels of curves, for instance with one value per layer and knocked-out edge.</summary>
/// <param name="Name">Description of the figure.</param>
internal sealed record LineFigure(string Name, IReadOnlyList<LinePanel> Panels) : Figure(Name)
{
    /// <summary>Whether all panels have the same vertical axis.</summary>
    public bool SameScale { get; init; }

    private protected override Drawing Draw()
    {
        foreach (var series in Panels.SelectMany(panel => panel.Series)) Check(series);
        foreach (var panel in Panels.Where(panel => panel.Logarithmic)) CheckPositive(panel);
        if (SameScale && Panels.Select(panel => panel.Logarithmic).Distinct().Count() > 1)
            throw new ArgumentException("a linear and a logarithmic panel have no scale in common");
        var looks = Looks();
        Axis[] axes = [.. Panels.Select(panel => VerticalAxis(SameScale ? Panels : [panel], panel.YRange))];
        var left = Panels.Select((panel, i) => Frame.LeftFor(axes[i], panel.YLabel)).DefaultIfEmpty(0).Max();
        var shared = Panels.All(panel => panel.Series.Select(s => s.Name).SequenceEqual(Panels[0].Series.Select(s => s.Name)));
        var width = Frame.WidthFor(Columns);
        Panel[] drawn = [.. Panels.Select(
            (panel, i) => new LinePanelDrawing(panel, axes[i], width, left, looks).Draw(withLegend: !shared))];
        return new(drawn, shared && Panels.Count > 0 ? [.. Panels[0].Series.Select(s => LinePanelDrawing.Key(s, looks[s.Name]))] : []);
    }

    /// <summary>Colour slot and marker shape by name of the series.</summary>
    private Dictionary<string, (int Slot, int Shape)> Looks()
    {
        var looks = new Dictionary<string, (int Slot, int Shape)>();
        var slot = 0;
        foreach (var series in Panels.SelectMany(panel => panel.Series))
        {
            if (looks.ContainsKey(series.Name)) continue;
            looks[series.Name] = (series.Colour ?? slot, looks.Count);
            if (series.Colour is null) slot++;
        }
        return looks;
    }

    private static Axis VerticalAxis(IReadOnlyList<LinePanel> panels, (double Low, double High)? range)
    {
        if (range is { } ends) return Axis.Within(ends.Low, ends.High, 6);
        var values = panels.SelectMany(panel => panel.Series).SelectMany(s => s.Y.Concat(s.Low ?? []).Concat(s.High ?? []))
            .Concat(panels.Any(panel => panel.ZeroLine) ? [0] : [])
            .Concat(panels.Where(panel => panel.Reference is not null).Select(panel => panel.Reference!.Value));
        return panels.Any(panel => panel.Logarithmic) ? Axis.Ratios(values) : Axis.Covering(values, 6);
    }

    private static void CheckPositive(LinePanel panel)
    {
        var values = panel.Series.SelectMany(s => s.X.Concat(s.Y).Concat(s.Low ?? []).Concat(s.High ?? [])).Concat(panel.XTicks ?? [])
            .Append(panel.Reference ?? 1);
        if (panel.ZeroLine || panel.YRange is not null || values.Any(value => value <= 0))
            throw new ArgumentException($"panel {panel.Title}: a logarithmic axis holds values above 0 and finds its own ends");
    }

    private static void Check(LineSeries series)
    {
        var count = series.X.Count;
        if (series.Y.Count != count || (series.Low?.Count ?? count) != count || (series.High?.Count ?? count) != count)
            throw new ArgumentException($"series {series.Name}: X, Y, Low and High differ in length");
        if (series.Low is null != series.High is null) throw new ArgumentException($"series {series.Name}: a band needs Low and High");
        if (series.Colour is < -1 or >= Palette.Slots)
            throw new ArgumentException($"series {series.Name}: no palette slot {series.Colour}");
    }
}
