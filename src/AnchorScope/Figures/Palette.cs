using System.Globalization;
using System.Text;

namespace AnchorScope.Figures;

/// <summary>A colour in sRGB, written #rrggbb.</summary>
internal readonly record struct Colour(byte Red, byte Green, byte Blue)
{
    /// <summary>Relative luminance of WCAG 2.2, 0 to 1.</summary>
    public double Luminance => 0.2126 * Linear(Red) + 0.7152 * Linear(Green) + 0.0722 * Linear(Blue);

    public static Colour Parse(string hex) =>
        new(Convert.ToByte(hex[1..3], 16), Convert.ToByte(hex[3..5], 16), Convert.ToByte(hex[5..7], 16));

    /// <summary>Contrast ratio of WCAG 2.2, 1 to 21.</summary>
    public static double Contrast(Colour a, Colour b)
    {
        var (dark, light) = (Math.Min(a.Luminance, b.Luminance), Math.Max(a.Luminance, b.Luminance));
        return (light + 0.05) / (dark + 0.05);
    }

    /// <summary>
    /// Interpolates from <paramref name="from"/> (share 0) to <paramref name="to"/> (share 1) in OKLab, where equal steps look equal.
    /// </summary>
    public static Colour Mix(Colour from, Colour to, double share)
    {
        var (l1, a1, b1) = from.ToOklab();
        var (l2, a2, b2) = to.ToOklab();
        return FromOklab(l1 + share * (l2 - l1), a1 + share * (a2 - a1), b1 + share * (b2 - b1));
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"#{Red:x2}{Green:x2}{Blue:x2}");

    private (double L, double A, double B) ToOklab()
    {
        var (r, g, b) = (Linear(Red), Linear(Green), Linear(Blue));
        var l = Math.Cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
        var m = Math.Cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
        var s = Math.Cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
        return (0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s);
    }

    private static Colour FromOklab(double lightness, double a, double b)
    {
        var l = Math.Pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
        var m = Math.Pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
        var s = Math.Pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
        return new(
            Gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
            Gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
            Gamma(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s));
    }

    private static double Linear(byte channel)
    {
        var c = channel / 255.0;
        return c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4);
    }

    private static byte Gamma(double linear)
    {
        var c = linear <= 0.0031308 ? 12.92 * linear : 1.055 * Math.Pow(linear, 1 / 2.4) - 0.055;
        return (byte)Math.Round(255 * Math.Clamp(c, 0, 1));
    }
}

/// <summary>
/// All colours of a report, for light and for dark background. Series colours were searched in OKLCH so that every pair is distinguishable
/// with normal vision and with simulated protanopia, deuteranopia and tritanopia, and has a contrast of at least 3 to the background.
/// </summary>
internal sealed class Palette
{
    /// <summary>Number of series colours.</summary>
    public const int Slots = 8;

    /// <summary>Number of steps of the diverging scale on either side of zero.</summary>
    public const int Steps = 20;

    public static readonly Palette Light = new(
        ["#0b4ba6", "#c8420a", "#14816d", "#7d1a6e", "#be8a2b", "#2a98ea", "#9774b9", "#594d4c"],
        low: "#134b9e", middle: "#f5f5f3", high: "#ad2b12",
        new()
        {
            ["paper"] = "#ffffff", ["raised"] = "#f7f7f5", ["ink"] = "#1a1c1f",
            ["quiet"] = "#5b6168", ["line"] = "#d9dbde", ["edge"] = "#5b616866", ["grid"] = "#e8e9eb",
            ["control"] = "#868c94", ["missing"] = "#dcdde0", ["link"] = "#0b4ba6",
            ["good"] = "#14734a", ["bad"] = "#b3261e", ["warn"] = "#8a5a00",
        });

    public static readonly Palette Dark = new(
        ["#5bbcfe", "#de7434", "#58ecc9", "#e38fbc", "#f7cb5b", "#3c84c1", "#9a8dee", "#f2ede8"],
        low: "#7cc0ff", middle: "#23272c", high: "#ff9068",
        new()
        {
            ["paper"] = "#14171a", ["raised"] = "#1c2024", ["ink"] = "#e8eaec",
            ["quiet"] = "#a3abb3", ["line"] = "#3a4047", ["edge"] = "#a3abb366", ["grid"] = "#2a2f35",
            ["control"] = "#868f98", ["missing"] = "#3a4047", ["link"] = "#7cc0ff",
            ["good"] = "#5cd09a", ["bad"] = "#ff8b80", ["warn"] = "#f0bd5a",
        });

    private readonly Dictionary<string, string> _named;

    private Palette(string[] series, string low, string middle, string high, Dictionary<string, string> named)
    {
        _named = named;
        for (var slot = 0; slot < Slots; slot++) _named[$"c{slot}"] = series[slot];
        for (var step = -Steps; step <= Steps; step++)
        {
            var end = Colour.Parse(step < 0 ? low : high);
            _named[$"v{step + Steps}"] = Colour.Mix(Colour.Parse(middle), end, Math.Abs(step) / (double)Steps).ToString();
        }
    }

    public Colour this[string name] => Colour.Parse(_named[name]);

    /// <summary>The colours as CSS custom properties.</summary>
    public string Properties() => string.Join(' ', _named.Select(pair => $"--{pair.Key}: {pair.Value};"));

    /// <summary>
    /// A style sheet with every <c>var(--name)</c> replaced by its colour, for viewers without support for custom properties.
    /// </summary>
    public string Literal(string css)
    {
        var literal = new StringBuilder(css);
        foreach (var (name, colour) in _named) literal.Replace($"var(--{name})", colour);
        return literal.ToString();
    }
}
