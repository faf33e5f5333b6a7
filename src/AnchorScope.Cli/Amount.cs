using System.Globalization;

namespace AnchorScope.Cli;

/// <summary>Formats durations and sizes with the few digits that an estimate justifies.</summary>
internal static class Amount
{
    /// <summary>"40 s", "12 min", "3 h 20 min", "5 days".</summary>
    public static string Duration(double seconds) => seconds switch
    {
        < 1 => "under 1 s",
        < 90 => Text($"{seconds:0} s"),
        < 90 * 60 => Text($"{seconds / 60:0} min"),
        < 48 * 3600 => Text($"{Math.Floor(seconds / 3600):0} h {Math.Floor(seconds % 3600 / 600) * 10:0} min").Replace(" 0 min", "",
            StringComparison.Ordinal),
        _ => Text($"{seconds / 86400:0} days"),
    };

    /// <summary>"from 3 min to 1 h", or one duration if both are formatted alike.</summary>
    public static string Range(double least, double most) =>
        Duration(least) == Duration(most) ? Duration(most) : $"from {Duration(least)} to {Duration(most)}";

    /// <summary>"320 B", "6.5 MiB", "13.52 GiB".</summary>
    public static string Bytes(double bytes) => bytes switch
    {
        < 1 << 10 => Text($"{bytes:0} B"),
        < 1 << 20 => Text($"{bytes / (1 << 10):0.#} KiB"),
        < 1 << 30 => Text($"{bytes / (1 << 20):0.#} MiB"),
        _ => Text($"{bytes / (1 << 30):0.##} GiB"),
    };

    /// <summary>A large count rounded to two significant digits: "1,800", "42".</summary>
    public static string Count(double count)
    {
        var unit = count < 100 ? 1 : Math.Pow(10, Math.Floor(Math.Log10(count)) - 1);
        return Text($"{Math.Round(count / unit) * unit:#,0}");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
