using System.Globalization;

namespace AnchorScope.Figures;

/// <summary>
/// A scale: linear with ticks at multiples of 1, 2 or 5 times a power of ten, or logarithmic with ticks at 1, 2 and 5 times powers of ten.
/// </summary>
/// <param name="Low">Value at the start of the axis.</param>
/// <param name="High">Value at the end of the axis.</param>
/// <param name="Step">Distance between ticks; 0 if it is not constant.</param>
/// <param name="Ticks">Ascending, all within Low .. High.</param>
internal sealed record Axis(double Low, double High, double Step, IReadOnlyList<double> Ticks)
{
    /// <summary>Values beyond this are treated as infinite, so that differences stay finite.</summary>
    public const double Largest = 1e300;

    /// <summary>Differences below this are treated as zero, so that steps stay normal numbers.</summary>
    private const double Smallest = 1e-280;

    /// <summary>Whether equal distances are equal ratios.</summary>
    public bool Logarithmic { get; init; }

    public static bool IsDrawable(double value) => Math.Abs(value) <= Largest;

    /// <summary>An axis that begins and ends at a tick and contains all drawable <paramref name="values"/>.</summary>
    public static Axis Covering(IEnumerable<double> values, int about)
    {
        var (low, high) = Range(values);
        var step = NiceStep(low, high, about);
        var ticks = Multiples(step, Math.Floor(low / step + 1e-6), Math.Ceiling(high / step - 1e-6));
        return new(Math.Min(low, ticks[0]), Math.Max(high, ticks[^1]), step, ticks);
    }

    /// <summary>An axis from <paramref name="low"/> to <paramref name="high"/> with about <paramref name="about"/> ticks.</summary>
    /// <param name="integers">Whether ticks must be integers, for layers and counts.</param>
    public static Axis Within(double low, double high, int about, bool integers = false)
    {
        if (!(low < high) || !double.IsFinite(high - low)) throw new ArgumentException($"{low} to {high} is no range of an axis");
        if (high - low <= 1e-9 * Math.Max(Math.Abs(low), Math.Abs(high))) (low, high) = Range([low]);
        var step = NiceStep(low, high, about);
        if (integers) step = Math.Max(1, step);
        return new(low, high, step, Multiples(step, Math.Ceiling(low / step - 1e-6), Math.Floor(high / step + 1e-6)));
    }

    /// <summary>
    /// A logarithmic axis over the range of 1, 2, 5, 10, 20, ... that contains all drawable <paramref name="values"/>, with a tick at each
    /// of these numbers.
    /// </summary>
    public static Axis Ratios(IEnumerable<double> values)
    {
        double[] drawable = [.. values.Where(value => IsDrawable(value) && value > Smallest)];
        var (low, high) = drawable.Length == 0 ? (1, 10) : (drawable.Min(), drawable.Max());
        var first = (int)Math.Floor(Math.Log10(low));
        double[] round = [.. Enumerable.Range(first, (int)Math.Ceiling(Math.Log10(high)) - first + 2)
            .SelectMany(exponent => new[] { 1, 2, 5 }.Select(lead => Power(lead, exponent)))];
        var begin = Array.FindLastIndex(round, tick => tick <= low * (1 + 1e-9));
        var end = Math.Max(Array.FindIndex(round, tick => tick >= high * (1 - 1e-9)), begin + 1);
        return new(round[begin], round[end], 0, round[begin..(end + 1)]) { Logarithmic = true };
    }

    /// <summary>Smallest and largest drawable value; widened if they are equal, 0 to 1 if there is none.</summary>
    public static (double Low, double High) Range(IEnumerable<double> values)
    {
        double[] drawable = [.. values.Where(IsDrawable)];
        if (drawable.Length == 0) return (0, 1);
        var (low, high) = (drawable.Min(), drawable.Max());
        var size = Math.Max(Math.Abs(low), Math.Abs(high));
        if (high - low > Math.Max(1e-9 * size, Smallest)) return (low, high);
        return size < Smallest ? (-1, 1) : (low - 0.1 * size, high + 0.1 * size);
    }

    /// <summary>
    /// The smallest of 1, 2, 5, 10, 20, ... that is at least <paramref name="needed"/>: every how many labels one is printed.
    /// </summary>
    public static int Every(double needed)
    {
        var unit = 1;
        while (unit * 10 < needed) unit *= 10;
        return (needed / unit) switch { <= 1 => unit, <= 2 => 2 * unit, <= 5 => 5 * unit, _ => 10 * unit };
    }

    /// <summary>Position on the axis: 0 at Low, 1 at High.</summary>
    public double Share(double value) => Logarithmic ? Math.Log(value / Low) / Math.Log(High / Low) : (value - Low) / (High - Low);

    /// <summary>The printed text of a tick, with a true minus sign.</summary>
    public string Label(double tick)
    {
        var size = Math.Max(Math.Abs(Low), Math.Abs(High));
        if (tick == 0) return "0";
        if (Logarithmic)
            return tick.ToString(tick >= 1e6 || tick < 1e-3 ? "0.###e0" : "0.######", CultureInfo.InvariantCulture).Replace('-', '\u2212');
        var digits = Math.Clamp((int)(Math.Floor(Math.Log10(size) + 1e-9) - Math.Floor(Math.Log10(Step) + 1e-9)), 0, 15);
        var text = size >= 1e6 || size < 1e-3
            ? tick.ToString($"0.{new string('#', digits)}e0", CultureInfo.InvariantCulture)
            : tick.ToString("F" + Decimals(Step), CultureInfo.InvariantCulture);
        return text.Replace('-', '\u2212');
    }

    /// <summary>The text of a value in a tooltip: four significant digits.</summary>
    public static string Show(double value)
    {
        if (double.IsNaN(value)) return "no value";
        if (double.IsInfinity(value)) return value > 0 ? "\u221E" : "\u2212\u221E";
        return value.ToString("G4", CultureInfo.InvariantCulture).Replace('-', '\u2212');
    }

    private static int Decimals(double step) => Math.Clamp(-(int)Math.Floor(Math.Log10(step) + 1e-9), 0, 15);

    private static double NiceStep(double low, double high, int about)
    {
        var raw = (high - low) / about;
        var exponent = (int)Math.Floor(Math.Log10(raw));
        var lead = raw / Math.Pow(10, exponent);
        var (nice, shift) = lead switch { < 1.5 => (1, 0), < 3.5 => (2, 0), < 7.5 => (5, 0), _ => (1, 1) };
        return Power(nice, exponent + shift);
    }

    /// <summary>
    /// Divides by an exact power of ten if the exponent is negative: 3 / 10 is the double nearest to 0.3, 3 * 0.1 is not.
    /// </summary>
    private static double Power(int lead, int exponent) => exponent < 0 ? lead / Math.Pow(10, -exponent) : lead * Math.Pow(10, exponent);

    private static double[] Multiples(double step, double first, double last)
    {
        var inverse = Math.Round(1 / step, 9);
        var exact = step < 1 && inverse < 1e15 && Math.Abs(inverse * step - 1) < 1e-12;
        return [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => exact ? (first + i) / inverse : (first + i) * step)];
    }
}
