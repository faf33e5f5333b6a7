using System.Globalization;
using System.Text;
using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>Heads that are outlined in a heat map.</summary>
/// <param name="Name">Name in the legend, for instance "shared hub". The same name has the same style in all panels.</param>
internal sealed record HeadKind(string Name, IReadOnlyList<(int Layer, int Head)> Heads)
{
    /// <summary>Solid: a full square; dashed: its corners; dotted: dots. Null: by order of appearance.</summary>
    public Stroke? Stroke { get; init; }

    /// <summary>Palette slot, 0 to 7; null: by order of appearance, black first.</summary>
    public int? Colour { get; init; }
}

/// <summary>Heads with a letter in their cells, for instance those of one role.</summary>
/// <param name="Name">Name in the legend.</param>
/// <param name="Colour">Palette slot, 0 to 7: the tint of the cells.</param>
internal sealed record HeadLetter(string Name, char Letter, int Colour, IReadOnlyList<(int Layer, int Head)> Heads);

/// <summary>One matrix.</summary>
/// <param name="Title">Above the matrix; may be empty.</param>
/// <param name="Values">[layer, head]; layer 0 is drawn at the bottom. Values that are not finite are drawn as a hatched grey cell.</param>
internal sealed record HeatMapPanel(string Title, double[,] Values)
{
    public IReadOnlyList<HeadKind> Kinds { get; init; } = [];

    /// <summary>Heads with a dot in their cell, for instance those whose value is an estimate. Stroke and colour are ignored.</summary>
    public HeadKind? Dots { get; init; }

    /// <summary>Letters instead of values, of which then only the dimensions are used; null: values are drawn.</summary>
    public IReadOnlyList<HeadLetter>? Letters { get; init; }

    public string XLabel { get; init; } = "Head";

    public string YLabel { get; init; } = "Layer";
}

/// <summary>Matrices with a value per layer and head on one diverging scale centred at 0.</summary>
/// <param name="Name">Description of the figure.</param>
internal sealed record HeatMapFigure(string Name, IReadOnlyList<HeatMapPanel> Panels) : Figure(Name)
{
    /// <summary>Meaning of the colours, below the colour bar.</summary>
    public string ScaleLabel { get; init; } = "";

    /// <summary>Value of the strongest colour, above 0; null: the largest absolute value in all panels.</summary>
    public double? Limit { get; init; }

    private protected override Drawing Draw()
    {
        if (Limit is { } given && !(given > 0 && Axis.IsDrawable(given))) throw new ArgumentException($"no scale ends at {given}");
        double[] all = [.. Panels.Where(panel => panel.Letters is null).SelectMany(panel => panel.Values.Cast<double>())];
        double[] values = [.. all.Where(Axis.IsDrawable)];
        var limit = Limit ?? values.Select(Math.Abs).DefaultIfEmpty(0).Max();
        if (limit < 1e-280) limit = 1;
        string[] kinds = [.. Panels.SelectMany(panel => panel.Kinds).Select(kind => kind.Name).Distinct()];
        Panel[] drawn = [.. Panels.Select(panel => new HeatMapDrawing(panel, limit, kinds).Draw())];
        LegendKey[] keys =
        [
            .. Panels.SelectMany(panel => panel.Kinds).DistinctBy(kind => kind.Name).Select(kind => HeatMapDrawing.Key(kind, kinds)),
            .. Panels.Select(panel => panel.Dots?.Name).OfType<string>().Distinct().Select(HeatMapDrawing.DotKey),
            .. Panels.SelectMany(panel => panel.Letters ?? []).DistinctBy(letter => letter.Name).Select(HeatMapDrawing.Key),
            .. values.Length < all.Length ? [HeatMapDrawing.MissingKey] : Array.Empty<LegendKey>(),
        ];
        // The scale shows only colours that occur. A value of less than half a step has the colour of 0.
        bool Coloured(int sign) => values.Any(v => Math.Round(sign * v / limit * Palette.Steps) > 0);
        return new(drawn, keys) { Scales = [Scale(Coloured(-1) ? -limit : 0, Coloured(1) ? limit : 0, limit)] };
    }

    private Panel Scale(double low, double high, double limit)
    {
        if (low == high) high = limit;
        const double width = 300, side = 26, bar = 11;
        var axis = Axis.Within(low, high, 5);
        var steps = low < 0 && high > 0 ? 2 * Palette.Steps + 1 : Palette.Steps + 1;
        var step = (width - 2 * side) / steps;
        var svg = new MarkupText();
        for (var i = 0; i < steps; i++)
        {
            // An overlap of half a pixel hides seams between neighbours.
            svg.Leaf("rect", ("class", FigureStyle.Cell((low + (high - low) * i / (steps - 1)) / limit)),
                ("x", Number(side + i * step)), ("y", "2"),
                ("width", Number(i + 1 < steps ? step + 0.5 : step)), ("height", Number(bar)));
        }
        svg.Leaf("rect", ("class", "axis"), ("x", Number(side)), ("y", "2"), ("width", Number(width - 2 * side)), ("height", Number(bar)));
        foreach (var tick in axis.Ticks)
        {
            var x = Number(side + axis.Share(tick) * (width - 2 * side));
            svg.Leaf("line", ("class", "axis"), ("x1", x), ("x2", x), ("y1", Number(2 + bar)), ("y2", Number(6 + bar)));
            svg.Text("text", axis.Label(tick), ("class", "tick mid"), ("x", x), ("y", Number(18 + bar)));
        }
        if (ScaleLabel.Length > 0) Label.Write(svg, ScaleLabel, width, ("class", "mid"), ("x", Number(width / 2)), ("y", Number(36 + bar)));
        return new($"colour scale {Label.Plain(ScaleLabel)}", width, bar + (ScaleLabel.Length > 0 ? 42 : 24), svg.Line().ToString(), []);
    }
}

/// <summary>Draws one matrix with its outlines.</summary>
internal sealed class HeatMapDrawing(HeatMapPanel panel, double limit, string[] kinds)
{
    private const double Left = 50;
    private const double Right = 10;
    private const double Widest = 330;

    private static readonly string[] Colours = ["i", "2", "3", "4"];

    private readonly MarkupText _svg = new();
    private readonly int _layers = panel.Values.GetLength(0);
    private readonly int _heads = panel.Values.GetLength(1);
    private readonly double _top = panel.Title.Length > 0 ? 28 : 8;

    private double Cell => Math.Min(34, Widest / Math.Max(1, Math.Max(_heads, _layers * 0.8)));

    private double Width => Math.Max(Left + _heads * Cell + Right, 230);

    /// <summary>Left edge of the matrix. A narrow one is centred, so that there is space for its title.</summary>
    private double Start => Left + (Width - Left - Right - _heads * Cell) / 2;

    private double Bottom => _top + _layers * Cell;

    public static LegendKey MissingKey { get; } = new("no value", 14, new MarkupText()
        .Leaf("rect", ("class", "missing"), ("x", "1"), ("y", "1"), ("width", "12"), ("height", "12"))
        .Leaf("path", ("class", "hatch"), ("d", Hatch(1, 1, 12))).ToString());

    public static LegendKey DotKey(string name) =>
        new(name, 14, new MarkupText().Leaf("circle", ("class", "dot fi"), ("cx", "7"), ("cy", "7"), ("r", "2.5")).ToString());

    public static LegendKey Key(HeadKind kind, string[] kinds)
    {
        var svg = new MarkupText();
        Outline(svg, kind, kinds, 0.6, 0.6, 12.8, within: 0);
        return new(kind.Name, 14, svg.ToString());
    }

    public static LegendKey Key(HeadLetter letter)
    {
        var svg = new MarkupText();
        DrawLetter(svg, letter, 1, 1, 12);
        return new(letter.Name, 14, svg.ToString());
    }

    public Panel Draw()
    {
        if (panel.Title.Length > 0)
        {
            _svg.Text("text", TextWidth.Fit(panel.Title, Width - Left - Right + 40, FigureStyle.TitleSize * TextWidth.Bold),
                ("class", "title mid"), ("x", Number(Start + _heads * Cell / 2)), ("y", "15")).Line();
        }
        DrawCells();
        DrawDots();
        DrawAxes();
        var drawn = new Dictionary<(int Layer, int Head), int>();
        foreach (var kind in panel.Kinds)
        foreach (var (layer, head) in kind.Heads)
        {
            if (layer < 0 || layer >= _layers || head < 0 || head >= _heads)
                throw new ArgumentOutOfRangeException(nameof(kind),
                    $"{kind.Name}: no head {head} in layer {layer} of {_layers} x {_heads}");
            var within = drawn.GetValueOrDefault((layer, head));
            Outline(_svg, kind, kinds, X(head), Y(layer), Cell, within);
            drawn[(layer, head)] = within + 1;
        }
        return new($"{panel.Title}; {Plural.Of(_layers, "layer")} by {Plural.Of(_heads, "head")}", Width, Bottom + 40,
            _svg.Line().ToString(), []);
    }

    private double X(int head) => Start + head * Cell;

    private double Y(int layer) => Bottom - (layer + 1) * Cell;

    private void DrawCells()
    {
        var gap = Math.Clamp(Cell * 0.06, 0.5, 1.5);
        var size = Number(Cell - gap);
        var hatch = new StringBuilder();
        for (var layer = 0; layer < _layers; layer++)
        for (var head = 0; head < _heads; head++)
        {
            var value = panel.Values[layer, head];
            var (x, y) = (X(head) + gap / 2, Y(layer) + gap / 2);
            var drawable = panel.Letters is not null || Axis.IsDrawable(value);
            if (!drawable) hatch.Append(Hatch(x, y, Cell - gap));
            var letter = panel.Letters?.FirstOrDefault(l => l.Heads.Contains((layer, head)));
            var what = panel.Letters is null ? Axis.Show(value) : letter?.Name ?? "none";
            var share = panel.Letters is null ? value / limit : 0;
            _svg.Open("rect", ("class", drawable ? FigureStyle.Cell(share) : "missing"),
                ("x", Number(x)), ("y", Number(y)), ("width", size), ("height", size))
                .Text("title", $"L{layer}H{head}: {what}{KindsOf(layer, head)}").Close("rect");
            if (letter is not null) DrawLetter(_svg, letter, x, y, Cell - gap);
            if (head == _heads - 1) _svg.Line();
        }
        WriteWhereFlat();
        if (hatch.Length > 0) _svg.Leaf("path", ("class", "hatch"), ("d", hatch.ToString())).Line();
    }

    /// <summary>States the values of a map that has no colour, because it would look like a missing one.</summary>
    private void WriteWhereFlat()
    {
        if (panel.Letters is not null) return;
        double[] values = [.. panel.Values.Cast<double>().Where(Axis.IsDrawable)];
        if (values.Length < 2 || values.Any(v => FigureStyle.Cell(v / limit) != FigureStyle.Cell(0))) return;
        var largest = values.Max(Math.Abs);
        var text = largest == 0 ? "0 everywhere" : $"at most {largest.ToString("G2", CultureInfo.InvariantCulture)} from 0";
        _svg.Text("text", text, ("class", "empty mid"), ("x", Number(Start + _heads * Cell / 2)), ("y", Number((_top + Bottom) / 2 + 4)),
            ("pointer-events", "none")).Line();
    }

    private void DrawDots()
    {
        foreach (var (layer, head) in panel.Dots?.Heads ?? [])
            _svg.Leaf("circle", ("class", "dot fi"), ("cx", Number(X(head) + Cell / 2)), ("cy", Number(Y(layer) + Cell / 2)),
                ("r", Number(Math.Clamp(Cell * 0.1, 0.8, 2.5))), ("pointer-events", "none"));
        if (panel.Dots is not null) _svg.Line();
    }

    private string KindsOf(int layer, int head)
    {
        var names = string.Join(", ", panel.Kinds.Concat(panel.Dots is { } dots ? [dots] : [])
            .Where(kind => kind.Heads.Contains((layer, head))).Select(kind => kind.Name));
        return names.Length > 0 ? $" ({names})" : "";
    }

    private void DrawAxes()
    {
        var every = Axis.Every(20 / Cell);
        for (var layer = 0; layer < _layers; layer += every)
            _svg.Text("text", $"{layer}", ("class", "tick end"), ("x", Number(Start - 6)), ("y", Number(Y(layer) + Cell / 2 + 4)));
        for (var head = 0; head < _heads; head += every)
            _svg.Text("text", $"{head}", ("class", "tick mid"), ("x", Number(X(head) + Cell / 2)), ("y", Number(Bottom + 15)));
        _svg.Text("text", panel.XLabel, ("class", "mid"), ("x", Number(Start + _heads * Cell / 2)), ("y", Number(Bottom + 33)));
        _svg.Text("text", panel.YLabel, ("class", "mid"),
            ("transform", $"translate({Number(Start - 34)} {Number((_top + Bottom) / 2)}) rotate(-90)")).Line();
    }

    /// <summary>Draws a tinted cell with its letter, which identifies the role if the tint does not.</summary>
    private static void DrawLetter(MarkupText svg, HeadLetter letter, double x, double y, double side)
    {
        var (slot, size) = (FigureStyle.Suffix(letter.Colour), Math.Clamp(side * 0.72, 6, 15));
        svg.Leaf("rect", ("class", $"tint f{slot} s{slot}"), ("x", Number(x)), ("y", Number(y)), ("width", Number(side)),
            ("height", Number(side)), ("pointer-events", "none"));
        svg.Open("text", ("class", "mid"), ("x", Number(x + side / 2)), ("y", Number(y + side / 2 + size * 0.36)),
            ("pointer-events", "none"))
            .Text("tspan", $"{letter.Letter}", ("font-size", Number(size)), ("font-weight", "700")).Close("text");
    }

    /// <summary>Two strokes across a cell.</summary>
    private static string Hatch(double x, double y, double size) =>
        $"M{Number(x)} {Number(y + size / 2)}l{Number(size / 2)} {Number(-size / 2)}"
        + $"M{Number(x)} {Number(y + size)}l{Number(size)} {Number(-size)}"
        + $"M{Number(x + size / 2)} {Number(y + size)}l{Number(size / 2)} {Number(-size / 2)}";

    /// <summary>Draws a square on a halo in the background colour, which keeps it visible on the strongest colours.</summary>
    /// <param name="within">Number of outlines that the cell already has; this one is drawn inside them.</param>
    private static void Outline(MarkupText svg, HeadKind kind, string[] kinds, double x, double y, double cell, int within)
    {
        var order = Array.IndexOf(kinds, kind.Name);
        var stroke = kind.Stroke ?? (Stroke)(order % 3);
        var width = Math.Clamp(cell * 0.12, 1.6, 2.4);
        // In small cells the outline is on the border, so that the colour inside remains visible.
        var inset = Math.Min((cell < 18 ? 0.2 : width / 2 + 0.4) + within * (width + 1), cell / 3);
        var side = cell - 2 * inset;
        // The dash lengths divide the side, so that dashes meet at the corners and dots are on them.
        var dash = stroke switch
        {
            Stroke.Dashed => $"{Number(side * 0.5)} {Number(side * 0.5)}",
            Stroke.Dotted => $"0.01 {Number(side / Math.Max(3, Math.Round(side / (2 * width))) - 0.01)}",
            _ => "none",
        };
        var offset = stroke == Stroke.Dashed ? Number(side * 0.25) : "0";
        var colour = kind.Colour is { } slot ? FigureStyle.Suffix(slot) : Colours[order % Colours.Length];
        var path = $"M{Number(x + inset)} {Number(y + inset)}h{Number(side)}v{Number(side)}h{Number(-side)}Z";
        svg.Leaf("path", ("class", "halo"), ("d", path), ("stroke-width", Number(width + 1.4)), ("pointer-events", "none"));
        svg.Leaf("path", ("class", $"outline s{colour}"), ("d", path), ("stroke-width", Number(width)), ("stroke-dasharray", dash),
            ("stroke-dashoffset", offset),
            ("stroke-linecap", stroke == Stroke.Dotted ? "round" : "butt"), ("pointer-events", "none")).Line();
    }
}
