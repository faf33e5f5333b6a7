using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>Title, axes, grid and labels of a panel: what line and bar panels have in common.</summary>
/// <param name="width">Width of the panel; see <see cref="WidthFor"/>.</param>
/// <param name="left">Space for the labels of the vertical axis, the same for all panels of a figure so that they align.</param>
internal sealed class Frame(Axis vertical, double width, double left, string title, string xLabel, string yLabel)
{
    private const double PlotHeight = 196;
    private const double Right = 10;

    /// <summary>Angle of labels that do not fit horizontally: 35 degrees.</summary>
    private const double Slant = 35 * Math.PI / 180;

    private readonly MarkupText _svg = new();
    private double _foot;

    public MarkupText Svg => _svg;

    public double Left => left;

    public double PlotWidth => width - left - Right;

    public double Top { get; } = title.Length > 0 ? 30 : 12;

    public double Bottom => Top + PlotHeight;

    public double Y(double value) => Bottom - vertical.Share(value) * PlotHeight;

    /// <summary>Width of a panel. Three in a row are narrower, so that their text is as large as that of two.</summary>
    public static double WidthFor(int columns) => columns == 3 ? 320 : 380;

    /// <summary>Space for the labels of a vertical axis.</summary>
    public static double LeftFor(Axis axis, string label) =>
        8 + (label.Length > 0 ? 18 : 0) + axis.Ticks.Max(tick => TextWidth.Of(axis.Label(tick), FigureStyle.TickSize)) + 6;

    /// <summary>Draws grid, vertical axis and title. The horizontal axis is drawn after the marks.</summary>
    public void DrawBackground()
    {
        if (title.Length > 0)
        {
            var shown = TextWidth.Fit(title, width - 8, FigureStyle.TitleSize * TextWidth.Bold);
            var half = TextWidth.Of(shown, FigureStyle.TitleSize * TextWidth.Bold) / 2;
            var middle = Math.Max(Math.Min(Left + PlotWidth / 2, width - 4 - half), 4 + half);
            _svg.Text("text", shown, ("class", "title mid"), ("x", Number(middle)), ("y", "15")).Line();
        }
        foreach (var tick in vertical.Ticks)
        {
            var y = Number(Y(tick));
            _svg.Leaf("line", ("class", "grid"), ("x1", Number(Left)), ("x2", Number(Left + PlotWidth)), ("y1", y), ("y2", y));
            _svg.Text("text", vertical.Label(tick), ("class", "tick end"), ("x", Number(Left - 6)), ("y", Number(Y(tick) + 4))).Line();
        }
        if (yLabel.Length > 0)
        {
            var middle = Top + PlotHeight / 2;
            Label.Write(_svg, yLabel, PlotHeight + 24, ("class", "mid"), ("transform", $"translate(14 {Number(middle)}) rotate(-90)"));
        }
    }

    /// <summary>Draws a horizontal line across the plot if <paramref name="value"/> is within the axis.</summary>
    public void DrawLevel(double value, string style)
    {
        if (!(value >= vertical.Low && value <= vertical.High)) return;
        var y = Number(Y(value));
        _svg.Leaf("line", ("class", style), ("x1", Number(Left)), ("x2", Number(Left + PlotWidth)), ("y1", y), ("y2", y)).Line();
    }

    /// <summary>
    /// Draws the horizontal axis with labels below it. Labels that would touch are left out, or slanted if they are words.
    /// </summary>
    /// <param name="labels">Ascending positions in pixels, each with its text.</param>
    /// <param name="words">Whether every label must be kept; labels that do not fit are then slanted.</param>
    public void DrawHorizontalAxis(IReadOnlyList<(double X, string Text)> labels, bool words)
    {
        _svg.Leaf("path", ("class", "axis"), ("d", $"M{Number(Left)} {Number(Top)}V{Number(Bottom)}H{Number(Left + PlotWidth)}"));
        var slanted = words && !Fits(labels, 1);
        var every = 1;
        while (!slanted && every < labels.Count && !Fits(labels, every)) every = Axis.Every(every + 1);
        var depth = 12.0;
        for (var i = 0; i < labels.Count; i += slanted ? 1 : every)
        {
            var (x, text) = labels[i];
            _svg.Leaf("line", ("class", "axis"), ("x1", Number(x)), ("x2", Number(x)), ("y1", Number(Bottom)), ("y2", Number(Bottom + 4)));
            if (!slanted)
            {
                _svg.Text("text", text, ("class", "tick mid"), ("x", Number(x)), ("y", Number(Bottom + 17))).Line();
                continue;
            }
            var shown = TextWidth.Fit(text, Math.Min(110, x / Math.Cos(Slant)), FigureStyle.TickSize);
            depth = Math.Max(depth, TextWidth.Of(shown, FigureStyle.TickSize) * Math.Sin(Slant) + 8);
            _svg.Text("text", shown, ("class", "tick end"),
                ("transform", $"translate({Number(x + 4)} {Number(Bottom + 14)}) rotate(-35)")).Line();
        }
        _foot = Bottom + depth + 10;
        if (xLabel.Length == 0) return;
        Label.Write(_svg, xLabel, PlotWidth + 20, ("class", "mid"), ("x", Number(Left + PlotWidth / 2)), ("y", Number(_foot + 13)));
        _foot += 18;
    }

    /// <summary>Writes a remark below the horizontal axis and its label.</summary>
    public void WriteBelow(string text)
    {
        foreach (var line in TextWidth.Wrap(text, width - 8, FigureStyle.TickSize))
        {
            _svg.Text("text", line, ("class", "tick mid"), ("x", Number(width / 2)), ("y", Number(_foot + 14))).Line();
            _foot += 15;
        }
        _foot += 4;
    }

    public void DrawEmpty(string text) => _svg.Text("text", text, ("class", "empty mid"),
        ("x", Number(Left + PlotWidth / 2)), ("y", Number(Top + PlotHeight / 2))).Line();

    public Panel Finish(string description, IReadOnlyList<LegendKey> keys) => new(description, width, _foot, _svg.ToString(), keys);

    private static bool Fits(IReadOnlyList<(double X, string Text)> labels, int every)
    {
        for (var i = every; i < labels.Count; i += every)
        {
            var needed = TextWidth.Of(labels[i].Text + labels[i - every].Text, FigureStyle.TickSize) / 2 + 8;
            if (labels[i].X - labels[i - every].X < needed) return false;
        }
        return true;
    }
}
