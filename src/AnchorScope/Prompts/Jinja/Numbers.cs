using System.Globalization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>The filters int, float and round.</summary>
internal static class Numbers
{
    public static object? ToInteger(object? value, Arguments arguments)
    {
        var radix = arguments.FindInteger(1, "base") ?? 10;
        switch (value)
        {
            case Undefined undefined:
                throw arguments.Site.Fail(undefined.Message);
            case SourcedText text:
                if (Whole(text.Text, radix, arguments) is { } number) return number;
                // As in Jinja: text that is not an integer may be a fraction, which is truncated.
                if (Real(text.Text) is { } real) return Cut(real, arguments);
                break;
            case double fraction:
                return Cut(fraction, arguments);
            case not null when Values.IsInteger(value):
                return Values.AsInteger(value);
        }
        return arguments.Has(0, "default") ? arguments.Find(0, "default") : 0L;
    }

    public static object? ToReal(object? value, Arguments arguments) => value switch
    {
        _ when Values.IsNumber(value) => Values.AsDouble(value!),
        SourcedText text when Real(text.Text) is { } real => real,
        Undefined undefined => throw arguments.Site.Fail(undefined.Message),
        _ => arguments.Has(0, "default") ? arguments.Find(0, "default") : 0.0,
    };

    /// <summary>Rounds half to even like Python's round, or up, or down.</summary>
    public static object Round(object? value, Arguments arguments)
    {
        if (!Values.IsNumber(value)) throw arguments.Fail($"needs a number, not {Values.Describe(value)}");
        var precision = arguments.FindInteger(0, "precision") ?? 0;
        if (precision is < -18 or > 300) throw arguments.Fail("a precision of -18 to 300");
        switch (arguments.FindText(1, "method") ?? "common")
        {
            case "common" when Values.IsInteger(value):
                return Whole(Values.AsInteger(value!), precision, arguments);
            case "common":
                return precision < 0 ? throw arguments.Fail("a negative precision of a fraction is not supported")
                    : Nearest((double)value!, precision);
            case "ceil":
                return Math.Ceiling(Values.AsDouble(value!) * Math.Pow(10, precision)) / Math.Pow(10, precision);
            case "floor":
                return Math.Floor(Values.AsDouble(value!) * Math.Pow(10, precision)) / Math.Pow(10, precision);
            default:
                throw arguments.Fail("the method is to be common, ceil or floor");
        }
    }

    private static object Whole(long number, int precision, Arguments arguments)
    {
        if (precision >= 0) return number;
        System.Numerics.BigInteger unit = System.Numerics.BigInteger.Pow(10, -precision), whole = number;
        var quotient = System.Numerics.BigInteger.DivRem(whole, unit, out var rest);
        var twice = System.Numerics.BigInteger.Abs(rest) * 2;
        if (twice > unit || (twice == unit && !quotient.IsEven)) quotient += whole.Sign;
        var result = quotient * unit;
        return result >= long.MinValue && result <= long.MaxValue ? (long)result : throw arguments.Fail("the result is outside 64 bits");
    }

    // The decimal digits of a double are exact if enough are written, so a tie can be recognised.
    private static double Nearest(double number, int precision)
    {
        if (!double.IsFinite(number)) return number;
        if (precision == 0) return Math.Round(number, MidpointRounding.ToEven);
        var exact = Math.Abs(number).ToString("F" + (precision + 1080).ToString(CultureInfo.InvariantCulture),
            CultureInfo.InvariantCulture);
        var cut = exact.IndexOf('.', StringComparison.Ordinal) + 1 + precision;
        var kept = System.Numerics.BigInteger.Parse(exact[..cut].Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        var rest = exact.AsSpan(cut);
        if (rest[0] > '5' || (rest[0] == '5' && (rest[1..].IndexOfAnyExcept('0') >= 0 || !kept.IsEven))) kept++;
        var digits = kept.ToString(CultureInfo.InvariantCulture).PadLeft(precision + 1, '0');
        return Math.CopySign(double.Parse(digits[..^precision] + "." + digits[^precision..], CultureInfo.InvariantCulture), number);
    }

    private static object Cut(double real, Arguments arguments) =>
        double.IsNaN(real) ? arguments.Has(0, "default") ? arguments.Find(0, "default")! : 0L
        : Math.Abs(real) < 9.2e18 ? (long)real : throw arguments.Fail("the number is outside 64 bits");

    private static double? Real(string text)
    {
        text = text.Trim();
        if (text.TrimStart('+', '-').ToLowerInvariant() is "inf" or "infinity") return text.StartsWith('-') ? double.NegativeInfinity
            : double.PositiveInfinity;
        if (text.TrimStart('+', '-').Equals("nan", StringComparison.OrdinalIgnoreCase)) return double.NaN;
        if (WithoutUnderscores(text) is not { } plain
            || !plain.All(unit => char.IsAsciiDigit(unit) || unit is '+' or '-' or '.' or 'e' or 'E')) return null;
        return double.TryParse(plain, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) ? real : null;
    }

    private static object? Whole(string text, int radix, Arguments arguments)
    {
        if (radix is not (0 or (>= 2 and <= 36))) throw arguments.Fail("a base of 0, or of 2 to 36");
        text = text.Trim();
        var negative = text.StartsWith('-');
        if (negative || text.StartsWith('+')) text = text[1..];
        var prefix = text.Length > 1 && text[0] == '0' ? char.ToLowerInvariant(text[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 }
            : 0;
        if (prefix > 0 && (radix == prefix || radix == 0)) (text, radix) = (text[2..].TrimStart('_'), prefix);
        else if (radix == 0) radix = 10;
        if (WithoutUnderscores(text) is not { Length: > 0 } digits) return null;
        var value = System.Numerics.BigInteger.Zero;
        foreach (var unit in digits)
        {
            var digit = char.IsAsciiDigit(unit) ? unit - '0' : char.IsAsciiLetter(unit) ? char.ToLowerInvariant(unit) - 'a' + 10 : 99;
            if (digit >= radix) return null;
            value = value * radix + digit;
        }
        if (negative) value = -value;
        return value >= long.MinValue && value <= long.MaxValue ? (long)value : throw arguments.Fail("the number is outside 64 bits");
    }

    /// <summary>Removes single underscores between digits; null if there are underscores elsewhere.</summary>
    private static string? WithoutUnderscores(string text) =>
        text.StartsWith('_') || text.EndsWith('_') || text.Contains("__", StringComparison.Ordinal) ? null
            : text.Replace("_", "", StringComparison.Ordinal);
}
