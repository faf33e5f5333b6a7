using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Formats values like Python: repr, and json.dumps.</summary>
internal static class Python
{
    /// <summary>The shortest digits that parse to the same number, with an exponent below 1e-4 and from 1e16 on.</summary>
    public static string Float(double number)
    {
        if (!double.IsFinite(number)) return double.IsNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
        if (number == 0) return double.IsNegative(number) ? "-0.0" : "0.0";
        var shortest = Math.Abs(number).ToString("E16", CultureInfo.InvariantCulture);
        for (var digits = 0; digits < 16; digits++)
        {
            var text = Math.Abs(number).ToString("E" + digits.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
            if (double.Parse(text, CultureInfo.InvariantCulture) != Math.Abs(number)) continue;
            shortest = text;
            break;
        }
        var parts = shortest.Split('E');
        var mantissa = parts[0].Replace(".", "", StringComparison.Ordinal).TrimEnd('0');
        var point = int.Parse(parts[1], CultureInfo.InvariantCulture) + 1; // number of digits before the decimal point
        var sign = number < 0 ? "-" : "";
        if (point is <= -4 or > 16)
        {
            var (exponent, rest) = (point - 1, mantissa.Length > 1 ? "." + mantissa[1..] : "");
            return string.Create(CultureInfo.InvariantCulture,
                $"{sign}{mantissa[0]}{rest}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}");
        }
        if (point <= 0) return sign + "0." + new string('0', -point) + mantissa;
        return sign + (mantissa.Length <= point ? mantissa.PadRight(point, '0') + ".0" : mantissa[..point] + "." + mantissa[point..]);
    }

    /// <summary>repr, with strings in quotes.</summary>
    public static string Repr(Site site, object? value)
    {
        var result = new StringBuilder();
        Append(value);
        return result.ToString();

        void Append(object? item)
        {
            if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw site.Fail("the value is nested too deeply");
            if (result.Length > Budget.LongestText) throw site.Fail($"a text of more than {Budget.LongestText} characters");
            switch (item)
            {
                case SourcedText text:
                    Quote(result, text.Text);
                    break;
                case Mapping mapping:
                    Items('{', '}', mapping, entry =>
                    {
                        Quote(result, entry.Key);
                        result.Append(": ");
                        Append(entry.Value);
                    });
                    break;
                case PythonRange range:
                    result.Append(range);
                    break;
                case PythonTuple { Count: 1 } tuple:
                    result.Append('(');
                    Append(tuple[0]);
                    result.Append(",)");
                    break;
                case IReadOnlyList<object?> list:
                    Items(item is PythonTuple ? '(' : '[', item is PythonTuple ? ')' : ']', list, Append);
                    break;
                case Undefined:
                    result.Append("Undefined");
                    break;
                default:
                    result.Append(Values.ToText(site, item).Text);
                    break;
            }
        }

        void Items<T>(char open, char close, IEnumerable<T> items, Action<T> append)
        {
            result.Append(open);
            var first = true;
            foreach (var item in items)
            {
                if (!first) result.Append(", ");
                first = false;
                append(item);
            }
            result.Append(close);
        }
    }

    private static void Quote(StringBuilder result, string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        result.Append(quote);
        for (int i = 0, length; i < text.Length; i += length)
        {
            var paired = Rune.TryGetRuneAt(text, i, out var rune);
            var code = paired ? rune.Value : text[i];
            length = paired ? rune.Utf16SequenceLength : 1;
            var escaped = code switch
            {
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\\' => "\\\\",
                _ when code == quote => "\\" + quote,
                _ when paired && IsPrintable(rune) => null,
                < 0x100 => string.Create(CultureInfo.InvariantCulture, $"\\x{code:x2}"),
                < 0x10000 => string.Create(CultureInfo.InvariantCulture, $"\\u{code:x4}"),
                _ => string.Create(CultureInfo.InvariantCulture, $"\\U{code:x8}"),
            };
            result.Append(escaped ?? text.Substring(i, length));
        }
        result.Append(quote);
    }

    /// <summary>str.isprintable of one character.</summary>
    public static bool IsPrintable(Rune rune) => rune.Value == ' '
        || Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or
        UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or
        UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);
}
