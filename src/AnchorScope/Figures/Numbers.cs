using System.Globalization;
using AnchorScope.Metrics;

namespace AnchorScope.Figures;

/// <summary>Formats numbers for a page: with a true minus, no sign if only zeros are left, and a dash for a missing value.</summary>
internal static class Numbers
{
    public const string Missing = "–";

    public static string Of(double value, int digits = 2) => Text(value, "", digits);

    /// <summary>A difference, with its sign.</summary>
    public static string Change(double value, int digits = 2) => Text(value, "+", digits);

    /// <summary>"0.52 [0.48, 0.55]".</summary>
    public static string Interval(Estimate e, int digits = 2) =>
        double.IsNaN(e.Mean) ? Missing : $"{Of(e.Mean, digits)} [{Of(e.Low, digits)}, {Of(e.High, digits)}]";

    /// <summary>The same, but the interval may wrap below its mean, because many in a row are wider than a page.</summary>
    public static string Stacked(Estimate e) => double.IsNaN(e.Mean) ? Missing : $"{Of(e.Mean)} [{Of(e.Low)},\u00A0{Of(e.High)}]";

    /// <summary>The same for a difference, with signs.</summary>
    public static string StackedChange(Estimate e) =>
        double.IsNaN(e.Mean) ? Missing : $"{Change(e.Mean)} [{Change(e.Low)},\u00A0{Change(e.High)}]";

    /// <summary>"+0.04 [−0.01, +0.09]".</summary>
    public static string ChangeInterval(Estimate e, int digits = 2) =>
        double.IsNaN(e.Mean) ? Missing : $"{Change(e.Mean, digits)} [{Change(e.Low, digits)}, {Change(e.High, digits)}]";

    /// <summary>A p or q.</summary>
    public static string P(double p) => p < 0.001 ? "<0.001" : Of(p, 3);

    private static string Text(double value, string plus, int digits)
    {
        var zeros = "0." + new string('0', digits);
        return double.IsNaN(value) ? Missing : value.ToString($"{plus}{zeros};−{zeros};{zeros}", CultureInfo.InvariantCulture);
    }
}
