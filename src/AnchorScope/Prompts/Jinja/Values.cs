using System.Collections;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace AnchorScope.Prompts.Jinja;

// A value is null (none), bool, long, double, SourcedText, IReadOnlyList<object?>, Mapping, Namespace, Loop, Callable or Undefined.

/// <summary>What a name or member that does not exist evaluates to.</summary>
internal sealed record Undefined(string Name);

/// <summary>A dictionary with keys in the order of insertion; only strings are keys.</summary>
internal sealed class Mapping : OrderedDictionary<string, object?>
{
    public Mapping() : base(StringComparer.Ordinal)
    {
    }
}

/// <summary>An object whose members a template may set, also from inside a loop.</summary>
internal sealed class Namespace
{
    public Dictionary<string, object?> Members { get; } = new(StringComparer.Ordinal);
}

/// <summary>A function: of the library or a macro.</summary>
internal sealed record Callable(string Name, Func<Arguments, object?> Invoke);

/// <summary>The variable <c>loop</c> of a for statement.</summary>
internal sealed record Loop(IReadOnlyList<object?> Items, int Index0)
{
    public object? Member(string name) => name switch
    {
        "index" => Index0 + 1L,
        "index0" => (long)Index0,
        "revindex" => (long)(Items.Count - Index0),
        "revindex0" => (long)(Items.Count - Index0 - 1),
        "first" => Index0 == 0,
        "last" => Index0 == Items.Count - 1,
        "length" => (long)Items.Count,
        "previtem" => Index0 > 0 ? Items[Index0 - 1] : new Undefined("loop.previtem"),
        "nextitem" => Index0 + 1 < Items.Count ? Items[Index0 + 1] : new Undefined("loop.nextitem"),
        _ => new Undefined($"loop.{name}"),
    };
}

/// <summary>Python's rules for values: truth, equality, order, iteration, text.</summary>
internal static class Values
{
    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        SourcedText text => text.Length > 0,
        ICollection collection => collection.Count > 0,
        IReadOnlyList<object?> list => list.Count > 0,
        _ => true,
    };

    public static bool AreEqual(Site site, object? left, object? right) => (left, right) switch
    {
        _ when !RuntimeHelpers.TryEnsureSufficientExecutionStack() => throw site.Fail("the value is nested too deeply"),
        (null, null) or (Undefined, Undefined) => true,
        (SourcedText a, SourcedText b) => a.Text == b.Text,
        (IReadOnlyList<object?> a, IReadOnlyList<object?> b) =>
            a.Count == b.Count && a.Zip(b).All(pair => AreEqual(site, pair.First, pair.Second)),
        (Mapping a, Mapping b) =>
            a.Count == b.Count && a.All(entry => b.TryGetValue(entry.Key, out var other) && AreEqual(site, entry.Value, other)),
        _ when IsNumber(left) && IsNumber(right) =>
            left is double || right is double ? AsDouble(left!) == AsDouble(right!) : AsInteger(left!) == AsInteger(right!),
        _ => ReferenceEquals(left, right),
    };

    public static int Compare(Site site, object? left, object? right)
    {
        if (IsNumber(left) && IsNumber(right))
            return left is double || right is double
                ? AsDouble(left!).CompareTo(AsDouble(right!))
                : AsInteger(left!).CompareTo(AsInteger(right!));
        if (left is SourcedText a && right is SourcedText b) return string.CompareOrdinal(a.Text, b.Text);
        throw site.Fail($"{Describe(left)} and {Describe(right)} have no order");
    }

    public static bool Contains(Site site, object? container, object? item) => container switch
    {
        SourcedText text when item is SourcedText part => text.Text.Contains(part.Text, StringComparison.Ordinal),
        SourcedText => throw site.Fail($"'in' a string needs a string on its left, not {Describe(item)}"),
        Mapping mapping => item is SourcedText key && mapping.ContainsKey(key.Text),
        IReadOnlyList<object?> list => list.Any(other => AreEqual(site, item, other)),
        Undefined => false,
        _ => throw site.Fail($"{Describe(container)} contains nothing"),
    };

    public static bool IsNumber(object? value) => value is bool or long or double;

    public static bool IsInteger(object? value) => value is bool or long;

    public static double AsDouble(object value) => value is double number ? number : AsInteger(value);

    public static long AsInteger(object value) => value is bool flag ? flag ? 1 : 0 : (long)value;

    public static IReadOnlyList<object?> Iterate(Site site, object? value) => value switch
    {
        IReadOnlyList<object?> list => list,
        Mapping mapping => [.. mapping.Keys.Select(key => new SourcedText(key))],
        SourcedText text => Characters(text),
        Undefined => [],
        _ => throw site.Fail($"{Describe(value)} cannot be iterated"),
    };

    /// <summary>Code points, which are what Python calls characters.</summary>
    public static IReadOnlyList<SourcedText> Characters(SourcedText text)
    {
        var characters = new List<SourcedText>(text.Length);
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = i + 1 < text.Length && char.IsSurrogatePair(text.Text[i], text.Text[i + 1]) ? 2 : 1;
            characters.Add(text.Slice(i, length));
        }
        return characters;
    }

    /// <summary>The code points from one to another, which both exist.</summary>
    public static SourcedText Characters(SourcedText text, long from, long to)
    {
        var start = Unit(0, from);
        return text.Slice(start, Unit(start, to - from) - start);

        int Unit(int unit, long count)
        {
            for (; count > 0; count--) unit += unit + 1 < text.Length && char.IsSurrogatePair(text.Text[unit], text.Text[unit + 1]) ? 2 : 1;
            return unit;
        }
    }

    public static long Length(Site site, object? value) => value switch
    {
        SourcedText text => text.Length - CountPairs(text.Text),
        Mapping mapping => mapping.Count,
        IReadOnlyList<object?> list => list.Count,
        Undefined => 0,
        _ => throw site.Fail($"{Describe(value)} has no length"),
    };

    /// <summary>What the value looks like in the output.</summary>
    public static SourcedText ToText(Site site, object? value) => value switch
    {
        SourcedText text => text,
        null => new("None"),
        true => new("True"),
        false => new("False"),
        long number => new(number.ToString(CultureInfo.InvariantCulture)),
        double number => new(ToText(number)),
        Undefined => SourcedText.Empty,
        _ => throw site.Fail($"{Describe(value)} cannot be written as text; message contents are lists of parts, " +
            "so the template must pick the texts out of them"),
    };

    public static string Describe(object? value) => value switch
    {
        null => "none",
        bool => "a boolean",
        long => "an integer",
        double => "a float",
        SourcedText => "a string",
        IReadOnlyList<object?> => "a list",
        Mapping => "a dictionary",
        Undefined undefined => $"'{undefined.Name}', which is undefined,",
        Callable callable => $"the function '{callable.Name}'",
        Loop => "loop",
        _ => "a namespace",
    };

    // Python writes whole numbers below 1e16 with ".0" and small exponents with two digits.
    private static string ToText(double number)
    {
        if (double.IsFinite(number) && Math.Floor(number) == number && Math.Abs(number) < 1e16)
            return number.ToString("F1", CultureInfo.InvariantCulture);
        var text = number.ToString("R", CultureInfo.InvariantCulture);
        return double.IsFinite(number) ? text.Replace('E', 'e') : double.IsNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
    }

    private static int CountPairs(string text)
    {
        var pairs = 0;
        for (var i = 0; i + 1 < text.Length; i++)
            if (char.IsSurrogatePair(text[i], text[i + 1])) pairs++;
        return pairs;
    }
}

/// <summary>JSON as Python's json.dumps writes it with ensure_ascii=False: the filter <c>tojson</c>.</summary>
internal static class Json
{
    public static string Write(Site site, object? value, int? indent)
    {
        var result = new StringBuilder();
        Append(site, result, value, indent, 0);
        return result.ToString();
    }

    private static void Append(Site site, StringBuilder result, object? value, int? indent, int depth)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw site.Fail("the value is nested too deeply");
        switch (value)
        {
            case null: result.Append("null"); break;
            case bool flag: result.Append(flag ? "true" : "false"); break;
            case long or double: result.Append(Values.ToText(site, value).Text); break;
            case SourcedText text: AppendString(result, text.Text); break;
            case Mapping mapping:
                AppendItems('{', '}', mapping, entry =>
                {
                    AppendString(result, entry.Key);
                    result.Append(": ");
                    Append(site, result, entry.Value, indent, depth + 1);
                });
                break;
            case IReadOnlyList<object?> list:
                AppendItems('[', ']', list, item => Append(site, result, item, indent, depth + 1));
                break;
            default: throw site.Fail($"{Values.Describe(value)} has no JSON form");
        }

        void AppendItems<T>(char open, char close, IReadOnlyCollection<T> items, Action<T> append)
        {
            result.Append(open);
            var first = true;
            foreach (var item in items)
            {
                if (!first) result.Append(indent is null ? ", " : ",");
                first = false;
                NewLine(depth + 1);
                append(item);
            }
            if (items.Count > 0) NewLine(depth);
            result.Append(close);
        }

        void NewLine(int level)
        {
            if (indent is { } width) result.Append('\n').Append(' ', width * level);
        }
    }

    private static void AppendString(StringBuilder result, string text)
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
                case < ' ': result.Append("\\u").Append(((int)unit).ToString("x4", CultureInfo.InvariantCulture)); break;
                default: result.Append(unit); break;
            }
        result.Append('"');
    }
}
