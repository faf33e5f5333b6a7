using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>How a line or an outline is drawn.</summary>
internal enum Stroke { Solid, Dashed, Dotted }

/// <summary>A figure of one or more panels, drawn both for a page with light and dark colours and as a file for papers.</summary>
/// <param name="Name">Description for readers who cannot see the figure, and title of the file.</param>
internal abstract record Figure(string Name)
{
    /// <summary>Maximum enlargement of a panel on a page relative to the file.</summary>
    private const double Enlarged = 1.22;

    private const double Gap = 22;
    private const double Margin = 14;
    private const double RowLabel = 22;
    private const double KeyHeight = 20;
    private const double SwatchGap = 6;
    private const double KeyGap = 18;

    /// <summary>Panels per row, 1 to 4. On a narrow screen they are stacked.</summary>
    public int Columns { get; init; } = 2;

    private protected abstract Drawing Draw();

    /// <param name="standalone">True: a complete SVG file with literal colours on white. False: an HTML fragment for
    /// <see cref="HtmlPage"/>, with one svg element per panel and the colours of the page.</param>
    /// <returns>The same characters for the same data on every machine.</returns>
    public string ToSvg(bool standalone)
    {
        if (Columns is < 1 or > 4) throw new ArgumentOutOfRangeException(nameof(standalone), Columns, "a row has 1 to 4 panels");
        return standalone ? ToFile(Draw()) : ToFragment(Draw());
    }

    private string ToFragment(Drawing drawing)
    {
        var html = new MarkupText().Open("div").Line();
        var columns = Math.Max(1, Math.Min(Columns, drawing.Panels.Count));
        var widest = drawing.Panels.Select(panel => panel.Width).DefaultIfEmpty(0).Max() * Enlarged * columns + 24 * (columns - 1);
        html.Open("div", ("class", $"panels columns{columns}"), ("style", $"max-width: {Number(widest)}px")).Line();
        foreach (var panel in drawing.Panels)
        {
            if (panel.Row is { } row) html.Text("p", row, ("class", "row")).Line();
            html.Open("div", ("class", "panel"));
            Inline(html, panel, $"{Name}: {panel.Description}");
            Legend(html, panel.Keys);
            html.Close("div").Line();
        }
        html.Close("div").Line();
        Legend(html, drawing.Keys);
        foreach (var scale in drawing.Scales)
        {
            html.Open("div", ("class", "scale"));
            Inline(html, scale, $"{Name}: {scale.Description}");
            html.Close("div").Line();
        }
        return html.Close("div").Line().ToString();
    }

    private static void Inline(MarkupText html, Panel panel, string description) => html
        .Open("svg", ("class", "fig"), ("viewBox", $"0 0 {Number(panel.Width)} {Number(panel.Height)}"), ("role", "img"),
            ("aria-label", description), ("style", $"max-width: {Number(panel.Width * Enlarged)}px"))
        .Raw(panel.Body).Close("svg").Line();

    private static void Legend(MarkupText html, IReadOnlyList<LegendKey> keys)
    {
        if (keys.Count == 0) return;
        html.Open("ul", ("class", "legend"));
        foreach (var key in keys)
        {
            html.Open("li").Open("svg", ("class", "fig"),
                ("viewBox", $"0 0 {key.Width} 14"), ("width", $"{key.Width}"), ("height", "14"), ("aria-hidden", "true"))
                .Raw(key.Swatch).Close("svg").Text("span", key.Name).Close("li");
        }
        html.Close("ul").Line();
    }

    private string ToFile(Drawing drawing)
    {
        var columns = Math.Max(1, Math.Min(Columns, drawing.Panels.Count));
        var column = drawing.Panels.Count == 0 ? 0 : drawing.Panels.Max(panel => panel.Width);
        var inner = Math.Max(Math.Max(columns * column + (columns - 1) * Gap,
            drawing.Scales.Select(scale => scale.Width).DefaultIfEmpty(0).Max()), 240);
        var body = new MarkupText();
        var y = Margin;
        foreach (var row in Rows(drawing.Panels, columns))
        {
            if (row[0].Row is { } name)
            {
                var shown = TextWidth.Fit(name, inner, FigureStyle.LabelSize);
                body.Text("text", shown, ("class", "title"), ("x", Number(Margin)), ("y", Number(y + 12))).Line();
                y += RowLabel;
            }
            var x = Margin + (inner - row.Count * column - (row.Count - 1) * Gap) / 2;
            var height = 0.0;
            foreach (var panel in row)
            {
                var left = x + (column - panel.Width) / 2;
                Place(body, left, y, panel.Body);
                height = Math.Max(height, panel.Height + Legend(body, panel.Keys, left, y + panel.Height + 6, panel.Width));
                x += column + Gap;
            }
            y += height + Gap;
        }
        y -= Gap - 8;
        y += Legend(body, drawing.Keys, Margin, y, inner);
        foreach (var scale in drawing.Scales)
        {
            Place(body, Margin + (inner - scale.Width) / 2, y + 4, scale.Body);
            y += scale.Height + 4;
        }
        var (width, total) = (Number(inner + 2 * Margin), Number(y + Margin - 4));
        return new MarkupText()
            .Open("svg", ("xmlns", "http://www.w3.org/2000/svg"), ("width", width), ("height", total),
                ("viewBox", $"0 0 {width} {total}")).Line()
            .Text("title", Name).Line()
            .Open("style").Raw("\n" + FigureStyle.ForFile).Close().Line()
            .Leaf("rect", ("class", "paper"), ("width", width), ("height", total)).Line()
            .Raw(body.ToString()).Close("svg").Line().ToString();
    }

    /// <summary>Divides panels into rows: as many as there are columns, with a new row where a panel begins one.</summary>
    private static List<List<Panel>> Rows(IReadOnlyList<Panel> panels, int columns)
    {
        var rows = new List<List<Panel>>();
        foreach (var panel in panels)
        {
            if (rows.Count == 0 || panel.Row is not null || rows[^1].Count == columns) rows.Add([]);
            rows[^1].Add(panel);
        }
        return rows;
    }

    private static void Place(MarkupText svg, double x, double y, string body) =>
        svg.Open("g", ("transform", $"translate({Number(x)} {Number(y)})")).Line().Raw(body).Close("g").Line();

    /// <summary>Draws the legend in centred rows.</summary>
    /// <returns>The height used.</returns>
    private static double Legend(MarkupText svg, IReadOnlyList<LegendKey> keys, double left, double top, double width)
    {
        var rows = new List<List<(LegendKey Key, string Name, double Width)>>();
        var used = double.MaxValue;
        foreach (var key in keys)
        {
            var name = TextWidth.Fit(key.Name, width - key.Width - SwatchGap, FigureStyle.LabelSize);
            var size = key.Width + SwatchGap + TextWidth.Of(name, FigureStyle.LabelSize);
            if (used + KeyGap + size > width)
            {
                rows.Add([]);
                used = -KeyGap;
            }
            rows[^1].Add((key, name, size));
            used += KeyGap + size;
        }
        for (var row = 0; row < rows.Count; row++)
        {
            var y = top + row * KeyHeight;
            var x = left + (width - rows[row].Sum(key => key.Width + KeyGap) + KeyGap) / 2;
            foreach (var (key, name, size) in rows[row])
            {
                Place(svg, x, y, key.Swatch);
                svg.Text("text", name, ("x", Number(x + key.Width + SwatchGap)), ("y", Number(y + 11.4))).Line();
                x += size + KeyGap;
            }
        }
        return rows.Count * KeyHeight;
    }
}

/// <summary>The parts of a drawn figure.</summary>
/// <param name="Panels">In reading order.</param>
/// <param name="Keys">The shared legend; empty if each panel has its own.</param>
internal sealed record Drawing(IReadOnlyList<Panel> Panels, IReadOnlyList<LegendKey> Keys)
{
    /// <summary>Colour bars, one below the other.</summary>
    public IReadOnlyList<Panel> Scales { get; init; } = [];
}

/// <summary>One drawn set of axes.</summary>
/// <param name="Description">Description for readers who cannot see it.</param>
/// <param name="Width">In pixels of the file.</param>
/// <param name="Height">In pixels of the file, without the legend.</param>
/// <param name="Body">The markup.</param>
/// <param name="Keys">The legend of this panel.</param>
internal sealed record Panel(string Description, double Width, double Height, string Body, IReadOnlyList<LegendKey> Keys)
{
    /// <summary>Name of the row that this panel begins; null: it continues the current row.</summary>
    public string? Row { get; init; }
}

/// <summary>An entry of a legend.</summary>
/// <param name="Name">Printed text.</param>
/// <param name="Width">Width of the swatch; its height is 14.</param>
/// <param name="Swatch">Markup of the swatch.</param>
internal sealed record LegendKey(string Name, int Width, string Swatch);
