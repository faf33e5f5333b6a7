using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Formats dates like C's strftime in the C locale.</summary>
internal static class Dates
{
    private const string Supported = "%a %A %b %B %c %d %D %e %F %H %I %j %m %M %p %S %T %x %X %y %Y %%, and %- before a number";

    public static string Format(DateTime now, string format, Arguments arguments)
    {
        var result = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                result.Append(format[i]);
                continue;
            }
            var plain = format[++i] == '-' && i + 1 < format.Length;
            if (plain) i++;
            var text = Directive(now, format[i]) ?? throw arguments.Fail($"%{format[i]} is not supported; supported are {Supported}");
            result.Append(plain && text.All(char.IsAsciiDigit) ? text.TrimStart('0') is { Length: > 0 } digits ? digits : "0" : text);
        }
        return result.ToString();
    }

    private static string? Directive(DateTime now, char letter)
    {
        return letter switch
        {
            'a' => Of("ddd"),
            'A' => Of("dddd"),
            'b' or 'h' => Of("MMM"),
            'B' => Of("MMMM"),
            'c' => Of("ddd MMM ") + now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2) + Of(" HH:mm:ss yyyy"),
            'd' => Of("dd"),
            'D' or 'x' => Of("MM'/'dd'/'yy"),
            'e' => now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
            'F' => Of("yyyy'-'MM'-'dd"),
            'H' => Of("HH"),
            'I' => Of("hh"),
            'j' => now.DayOfYear.ToString("D3", CultureInfo.InvariantCulture),
            'm' => Of("MM"),
            'M' => Of("mm"),
            'p' => Of("tt"),
            'S' => Of("ss"),
            'T' or 'X' => Of("HH':'mm':'ss"),
            'y' => Of("yy"),
            'Y' => Of("yyyy"),
            '%' => "%",
            _ => null,
        };

        string Of(string format) => now.ToString(format, CultureInfo.InvariantCulture);
    }
}
