using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace AnchorScope.Server.Audit;

/// <summary>JSON in the one form of RFC 8785: members sorted, no white space, numbers as ECMAScript prints them.</summary>
internal static class CanonicalJson
{
    /// <summary>The canonical form as UTF-8.</summary>
    public static byte[] Write(JsonNode? node)
    {
        var text = new StringBuilder();
        Write(node, text);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Write(JsonNode? node, StringBuilder text)
    {
        switch (node)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject members:
                text.Append('{');
                // By UTF-16 code units.
                foreach (var (index, (name, value)) in members.OrderBy(m => m.Key, StringComparer.Ordinal).Index())
                {
                    if (index > 0) text.Append(',');
                    Write(name, text);
                    text.Append(':');
                    Write(value, text);
                }
                text.Append('}');
                break;
            case JsonArray items:
                text.Append('[');
                for (var i = 0; i < items.Count; i++)
                {
                    if (i > 0) text.Append(',');
                    Write(items[i], text);
                }
                text.Append(']');
                break;
            default:
                Write(node.AsValue(), text);
                break;
        }
    }

    private static void Write(JsonValue value, StringBuilder text)
    {
        switch (value.GetValueKind())
        {
            case JsonValueKind.String:
                Write(value.GetValue<string>(), text);
                break;
            case JsonValueKind.Number:
                text.Append(Number(double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture)));
                break;
            default:
                text.Append(value.ToJsonString());
                break;
        }
    }

    private static void Write(string value, StringBuilder text)
    {
        text.Append('"');
        foreach (var c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        }
        text.Append('"');
    }

    /// <summary>A number as ECMAScript prints it: the shortest digits that give it back.</summary>
    internal static string Number(double value)
    {
        if (!double.IsFinite(value)) throw new ArgumentOutOfRangeException(nameof(value), value, "JSON has finite numbers only");
        if (value == 0) return "0";
        // .NET prints the shortest digits, too, but in another form: they are taken apart into digits and the place of the point.
        var (sign, shortest) = (value < 0 ? "-" : "", Math.Abs(value).ToString("R", CultureInfo.InvariantCulture));
        var exponent = shortest.IndexOf('E', StringComparison.Ordinal) is var at && at >= 0
            ? int.Parse(shortest[(at + 1)..], CultureInfo.InvariantCulture) : 0;
        var mantissa = at >= 0 ? shortest[..at] : shortest;
        var point = mantissa.IndexOf('.', StringComparison.Ordinal) is var dot && dot >= 0 ? dot : mantissa.Length;
        var all = mantissa.Replace(".", "", StringComparison.Ordinal);
        var digits = all.TrimStart('0');
        point += exponent - (all.Length - digits.Length);
        digits = digits.TrimEnd('0');
        var count = digits.Length;
        if (count <= point && point <= 21) return sign + digits + new string('0', point - count);
        if (point is > 0 and <= 21) return $"{sign}{digits[..point]}.{digits[point..]}";
        if (point is > -6 and <= 0) return $"{sign}0.{new string('0', -point)}{digits}";
        var power = point - 1;
        var rest = count == 1 ? digits : $"{digits[..1]}.{digits[1..]}";
        return $"{sign}{rest}e{(power < 0 ? "-" : "+")}{Math.Abs(power)}";
    }
}
