using AnchorScope.Prompts;
using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>A picture, alone or with an overlay of values.</summary>
/// <param name="Title">Above the picture.</param>
/// <param name="Note">Below the picture.</param>
/// <param name="Picture">The original.</param>
/// <param name="Boxes">The region of each value, in pixels of the original; null for none. Empty: the picture is shown without
/// overlay.</param>
/// <param name="Values">At least 0, unless they are differences.</param>
internal sealed record OverlayPanel(string Title, string Note, Picture Picture, IReadOnlyList<PixelBox?> Boxes,
    IReadOnlyList<double> Values)
{
    /// <summary>
    /// Whether the values are differences. Differences have a separate diverging scale, the same for all panels of that kind.
    /// </summary>
    public bool IsDifference { get; init; }

    /// <summary>Name of the row that begins with this panel; null: it continues the current row.</summary>
    public string? Row { get; init; }
}

/// <summary>
/// Pictures overlaid with maps of a density on one scale: the share of the values in a region divided by the region's share of the
/// picture's area. Overlapping regions add up. Where the density is 0 there is no overlay, so that the picture is visible.
/// </summary>
/// <param name="Name">Description of the figure.</param>
internal sealed record OverlayFigure(string Name, IReadOnlyList<OverlayPanel> Panels) : Figure(Name)
{
    /// <summary>Longer side of a panel's picture in pixels.</summary>
    private const int Side = 168;

    /// <summary>Opacity of the strongest colour, through which the edges of the picture are still visible.</summary>
    private const double Strongest = 0.7;

    /// <summary>Grey level of the lightest part of a picture below a map, and how much darker the darkest part is.</summary>
    private const double Palest = 250, Contrast = 140;

    // The strongest colours of the light page are used on both pages, because a picture has no dark version.
    private static readonly Colour Ink = Palette.Light["v" + 2 * Palette.Steps];
    private static readonly Colour OtherInk = Palette.Light["v0"];

    private static readonly Colour MiddleGrey = new(198, 198, 198);

    /// <summary>Meaning of the colours, below the colour bar.</summary>
    public string ScaleLabel { get; init; } = "";

    /// <summary>The same for differences.</summary>
    public string DifferenceLabel { get; init; } = "";

    private protected override Drawing Draw()
    {
        var maps = Panels.Select(panel => new Map(panel)).ToList();
        double Limit(bool difference) =>
            maps.Where(map => map.IsDifference == difference).Select(map => map.Highest).DefaultIfEmpty(0).Max();
        var (limit, largest) = (Limit(difference: false), Limit(difference: true));
        return new([.. maps.Select(map => map.Draw(map.IsDifference ? largest : limit))], [])
        {
            Scales =
            [
                .. limit > 0 ? [Scale(0, limit, ScaleLabel)] : Array.Empty<Panel>(),
                .. largest > 0 ? [Scale(-largest, largest, DifferenceLabel)] : Array.Empty<Panel>(),
            ],
        };
    }

    private static Colour Tinted(byte grey, double share)
    {
        var opacity = Strongest * Math.Min(Math.Abs(share), 1);
        var ink = share < 0 ? OtherInk : Ink;
        byte Mix(byte colour) => (byte)Math.Round(grey + opacity * (colour - grey));
        return new(Mix(ink.Red), Mix(ink.Green), Mix(ink.Blue));
    }

    private static Panel Scale(double low, double high, string label)
    {
        const double width = 300, side = 26, bar = 11;
        const int steps = 41;
        var axis = Axis.Within(low, high, 5);
        var svg = new MarkupText();
        var step = (width - 2 * side) / steps;
        for (var i = 0; i < steps; i++)
        {
            svg.Leaf("rect", ("fill", Tinted(MiddleGrey.Red, (low + (high - low) * i / (steps - 1.0)) / high).ToString()),
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
        if (label.Length > 0) Label.Write(svg, label, width, ("class", "mid"), ("x", Number(width / 2)), ("y", Number(36 + bar)));
        return new($"colour scale {Label.Plain(label)}", width, bar + (label.Length > 0 ? 42 : 24), svg.Line().ToString(), []);
    }

    /// <summary>Density of one panel at every pixel of its resized picture.</summary>
    private sealed class Map
    {
        private readonly OverlayPanel _panel;
        private readonly Picture _small;
        private readonly double[] _density;

        public Map(OverlayPanel panel)
        {
            var picture = panel.Picture;
            var longer = Math.Max(picture.Width, picture.Height);
            // Small pictures are enlarged by integer factors, so that their pixels remain square.
            var scale = longer <= Side ? Side / longer : (double)Side / longer;
            var (width, height) = (Math.Max(1, (int)Math.Round(picture.Width * scale)),
                Math.Max(1, (int)Math.Round(picture.Height * scale)));
            (_panel, _small) = (panel, picture.Resize(width, height, longer <= Side ? Resampling.Nearest : Resampling.Bicubic));
            _density = new double[width * height];
            var (across, down) = ((double)width / picture.Width, (double)height / picture.Height);
            for (var i = 0; i < panel.Boxes.Count; i++)
            {
                if (panel.Boxes[i] is not { } box || box.Right <= box.Left || box.Bottom <= box.Top) continue;
                var value = panel.Values[i] * picture.Width * picture.Height / ((box.Right - box.Left) * (box.Bottom - box.Top));
                // A pixel belongs to the box that contains its centre.
                var (left, right) = (Pixel(box.Left * across, width), Pixel(box.Right * across, width));
                for (var y = Pixel(box.Top * down, height); y < Pixel(box.Bottom * down, height); y++)
                {
                    for (var x = left; x < right; x++) _density[y * width + x] += value;
                }
            }
        }

        public bool IsDifference => _panel.IsDifference;

        public double Highest => _density.Max(Math.Abs);

        public Panel Draw(double limit)
        {
            var rgb = _panel.Boxes.Count == 0 ? _small.Rgb : Overlaid(limit);
            const double width = Side + 8;
            var left = (width - _small.Width) / 2;
            var svg = new MarkupText();
            svg.Text("text", TextWidth.Fit(_panel.Title, width, FigureStyle.LabelSize), ("class", "mid"),
                ("x", Number(width / 2)), ("y", "12"));
            svg.Leaf("image", ("x", Number(left)), ("y", "20"), ("width", $"{_small.Width}"), ("height", $"{_small.Height}"),
                ("style", "image-rendering: pixelated"),
                ("href",
                    "data:image/png;base64," + Convert.ToBase64String(PngWriter.Encode(new Picture(_small.Width, _small.Height, rgb)))));
            svg.Text("text", TextWidth.Fit(_panel.Note, width, FigureStyle.TickSize), ("class", "tick mid"), ("x", Number(width / 2)),
                ("y", $"{_small.Height + 36}"));
            return new($"{_panel.Title}, {_panel.Note}", width, _small.Height + 42, svg.Line().ToString(), []) { Row = _panel.Row };
        }

        private byte[] Overlaid(double limit)
        {
            var rgb = new byte[_small.Rgb.Length];
            double[] luma = [.. Enumerable.Range(0, _density.Length).Select(i => 0.299 * _small.Rgb[3 * i]
                + 0.587 * _small.Rgb[3 * i + 1] + 0.114 * _small.Rgb[3 * i + 2])];
            var (darkest, range) = (luma.Min(), luma.Max() - luma.Min());
            for (var i = 0; i < _density.Length; i++)
            {
                // Pale grey, so that the colour stands out, and stretched to this range, so that shapes in a dark picture are visible.
                var grey = range > 0 ? Palest - Contrast * (1 - (luma[i] - darkest) / range) : Palest;
                var colour = Tinted((byte)grey, limit > 0 ? _density[i] / limit : 0);
                (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = (colour.Red, colour.Green, colour.Blue);
            }
            return rgb;
        }

        private static int Pixel(double edge, int size) => Math.Clamp((int)Math.Ceiling(edge - 0.5), 0, size);
    }
}
