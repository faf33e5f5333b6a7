using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace AnchorScope.Prompts.Jinja;

/// <summary>Writes JSON like Python's json.dumps: the filter <c>tojson</c>.</summary>
/// <param name="indent">Indentation per level; null for one line.</param>
/// <param name="between">Separator of members.</param>
/// <param name="colon">Separator of a name and its value.</param>
/// <param name="ascii">Whether everything outside ASCII is escaped.</param>
/// <param name="sorted">Whether members are sorted by name.</param>
internal sealed class Json(string? indent, string between, string colon, bool ascii, bool sorted)
{
    /// <summary>The format given by the arguments of the filter.</summary>
    public static Json Of(Arguments arguments)
    {
        arguments.Only("ensure_ascii", "indent", "separators", "sort_keys");
        // The reference's own filter: its first argument is ensure_ascii, and it does not escape text by default.
        var indent = arguments.Find(1, "indent") switch
        {
            null => null,
            SourcedText text => text.Text,
            var width when Values.IsInteger(width) => Values.AsInteger(width!) is >= 0 and <= 16 and var spaces
                ? new string(' ', (int)spaces) : throw arguments.Fail("an indent of 0 to 16"),
            var other => throw arguments.Fail($"'indent' is to be a number or a string, not {Values.Describe(other)}"),
        };
        var (between, colon) = (indent is null ? ", " : ",", ": ");
        if (arguments.Find(2, "separators") is { } separators)
        {
            if (separators is not (IReadOnlyList<object?>
                and [SourcedText item, SourcedText key])) throw arguments.Fail("'separators' are to be two strings");
            (between, colon) = (item.Text, key.Text);
        }
        return new(indent, between, colon, arguments.Flag(0, "ensure_ascii"), arguments.Flag(3, "sort_keys"));
    }

    public string Write(Site site, object? value)
    {
        var result = new StringBuilder();
        Append(site, result, value, 0);
        return result.ToString();
    }

    private void Append(Site site, StringBuilder result, object? value, int depth)
    {
        if (result.Length > Budget.LongestText) throw site.Fail($"the JSON is longer than {Budget.LongestText} characters");
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw site.Fail("the value is nested too deeply");
        switch (value)
        {
            case null: result.Append("null"); break;
            case bool flag: result.Append(flag ? "true" : "false"); break;
            case double number when !double.IsFinite(number): result.Append(double.IsNaN(number) ? "NaN" : number > 0 ? "Infinity"
                : "-Infinity"); break;
            case long or double: result.Append(Values.ToText(site, value).Text); break;
            case SourcedText text: AppendString(result, text.Text); break;
            case Mapping mapping:
                IEnumerable<KeyValuePair<string, object?>> members = sorted
                    ? mapping.OrderBy(entry => new SourcedText(entry.Key),
                    Comparer<SourcedText>.Create((a, b) => Values.Compare(site, a, b))) : mapping;
                AppendItems('{', '}', [.. members], entry =>
                {
                    AppendString(result, entry.Key);
                    result.Append(colon);
                    Append(site, result, entry.Value, depth + 1);
                });
                break;
            case IReadOnlyList<object?> list when value is not PythonRange:
                AppendItems('[', ']', list, item => Append(site, result, item, depth + 1));
                break;
            default: throw site.Fail($"{Values.Describe(value)} has no JSON form");
        }

        void AppendItems<T>(char open, char close, IReadOnlyCollection<T> items, Action<T> append)
        {
            result.Append(open);
            var first = true;
            foreach (var item in items)
            {
                if (!first) result.Append(between);
                first = false;
                NewLine(depth + 1);
                append(item);
            }
            if (items.Count > 0) NewLine(depth);
            result.Append(close);
        }

        void NewLine(int level)
        {
            if (indent is null) return;
            result.Append('\n');
            for (; level > 0; level--) result.Append(indent);
        }
    }

    private void AppendString(StringBuilder result, string text)
    {
        result.Append('"');
        foreach (var unit in text)
            switch (unit)
            {
                case '"': result.Append("\\\""); break;
                case '\\': result.Append("\\\\"); break;
                case '\n': result.Append("\\n"); break;
                case '\r': result.Append("\\r"); break;
                case '\t': result.Append("\\t"); break;
                case '\b': result.Append("\\b"); break;
                case '\f': result.Append("\\f"); break;
                case < ' ': Escape(unit); break;
                case > '~' when ascii: Escape(unit); break;
                default: result.Append(unit); break;
            }
        result.Append('"');

        void Escape(char unit) => result.Append("\\u").Append(((int)unit).ToString("x4", CultureInfo.InvariantCulture));
    }
}
