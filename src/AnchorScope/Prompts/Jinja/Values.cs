using System.Collections;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace AnchorScope.Prompts.Jinja;

// A value is null (none), bool, long, double, SourcedText, IReadOnlyList<object?>, Mapping, Namespace, Loop, Callable or Undefined.

/// <summary>The value of a name or member that does not exist.</summary>
internal sealed record Undefined(string Name, string? Of = null)
{
    /// <summary>Jinja's message when the value is used.</summary>
    public string Message => Of is null ? $"'{Name}' is undefined" : $"'{Of} object' has no attribute '{Name}'";
}

/// <summary>State that the iterations of a loop share.</summary>
internal sealed class LoopState
{
    /// <summary>The arguments of the last call of loop.changed; null before the first.</summary>
    public IReadOnlyList<object?>? Last { get; set; }
}

/// <summary>A dictionary in insertion order. Keys are strings.</summary>
internal sealed class Mapping : OrderedDictionary<string, object?>
{
    public Mapping() : base(StringComparer.Ordinal)
    {
    }
}

/// <summary>An object whose members a template may set, even inside a loop.</summary>
internal sealed class Namespace
{
    public Dictionary<string, object?> Members { get; } = new(StringComparer.Ordinal);
}

/// <summary>A function of the library, or a macro.</summary>
internal sealed record Callable(string Name, Func<Arguments, object?> Invoke);

/// <summary>The variable <c>loop</c> of a for statement.</summary>
/// <param name="Items">The items of the loop.</param>
/// <param name="Index0">Index of the current item.</param>
/// <param name="Depth">Depth of a recursive loop, from 1.</param>
/// <param name="State">State shared by all iterations.</param>
/// <param name="Recurse">Runs a recursive loop on other items.</param>
internal sealed record Loop(IReadOnlyList<object?> Items, int Index0, int Depth, LoopState State, Func<object?, SourcedText>? Recurse)
{
    /// <summary>loop.cycle and loop.changed.</summary>
    public object? Call(Arguments arguments)
    {
        if (arguments.Named.Count > 0) throw arguments.Fail("takes no named arguments");
        switch (arguments.Name)
        {
            case "cycle" when arguments.Positional.Count > 0:
                return arguments.Positional[Index0 % arguments.Positional.Count];
            case "changed":
                var same = State.Last is { } last && Values.AreEqual(arguments.Site, last, arguments.Positional);
                State.Last = arguments.Positional;
                return !same;
            default:
                throw arguments.Site.Fail($"'loop.{arguments.Name}' cannot be called so");
        }
    }

    public object? Member(string name) => name switch
    {
        "index" => Index0 + 1L,
        "index0" => (long)Index0,
        "revindex" => (long)(Items.Count - Index0),
        "revindex0" => (long)(Items.Count - Index0 - 1),
        "first" => Index0 == 0,
        "last" => Index0 == Items.Count - 1,
        "length" => (long)Items.Count,
        "depth" => (long)Depth,
        "depth0" => Depth - 1L,
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

    /// <summary>Maximum number of values in one comparison. Nested lists can represent more values than fit in memory.</summary>
    private const int MostCompared = 10_000_000;

    public static bool AreEqual(Site site, object? left, object? right)
    {
        var compared = 0;
        return AreEqual(site, left, right, ref compared);
    }

    private static bool AreEqual(Site site, object? left, object? right, ref int compared)
    {
        // As in Python, a value equals itself, however large; the rest is bounded.
        if (ReferenceEquals(left, right)) return left is not double number || !double.IsNaN(number);
        if (++compared > MostCompared) throw site.Fail($"more than {MostCompared} values are compared at once");
        switch (left, right)
        {
            case (IReadOnlyList<object?> a, IReadOnlyList<object?> b):
                if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw site.Fail("the value is nested too deeply");
                if (a is PythonTuple != b is PythonTuple || a is PythonRange != b is PythonRange || a.Count != b.Count) return false;
                for (var i = 0; i < a.Count; i++)
                {
                    if (!AreEqual(site, a[i], b[i], ref compared)) return false;
                }
                return true;
            case (Mapping a, Mapping b):
                if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw site.Fail("the value is nested too deeply");
                if (a.Count != b.Count) return false;
                foreach (var entry in a)
                {
                    if (!b.TryGetValue(entry.Key, out var other) || !AreEqual(site, entry.Value, other, ref compared)) return false;
                }
                return true;
            default:
                return AreEqualPlain(left, right);
        }
    }

    private static bool AreEqualPlain(object? left, object? right) => (left, right) switch
    {
        (null, null) or (Undefined, Undefined) => true,
        (SourcedText a, SourcedText b) => a.Text == b.Text,
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
        if (left is SourcedText a && right is SourcedText b) return ByCodePoints(a.Text, b.Text);
        if (left is IReadOnlyList<object?> first && right is IReadOnlyList<object?> second && left is PythonTuple == right is PythonTuple
            && left is not PythonRange && right is not PythonRange)
        {
            if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw site.Fail("the value is nested too deeply");
            for (var i = 0; i < Math.Min(first.Count, second.Count); i++)
                if (!AreEqual(site, first[i], second[i])) return Compare(site, first[i], second[i]);
            return first.Count.CompareTo(second.Count);
        }
        throw site.Fail($"{Describe(left)} and {Describe(right)} have no order");
    }

    // A surrogate is part of a higher code point than any single unit.
    private static int ByCodePoints(string left, string right)
    {
        var at = left.AsSpan().CommonPrefixLength(right);
        if (at == left.Length || at == right.Length) return left.Length.CompareTo(right.Length);
        return (char.IsSurrogate(left[at]), char.IsSurrogate(right[at])) switch
        {
            (true, false) => 1,
            (false, true) => -1,
            _ => left[at].CompareTo(right[at]),
        };
    }

    public static bool Contains(Site site, object? container, object? item) => container switch
    {
        SourcedText text when item is SourcedText part => text.Text.Contains(part.Text, StringComparison.Ordinal),
        SourcedText => throw site.Fail($"'in' a string needs a string on its left, not {Describe(item)}"),
        Mapping mapping => item is SourcedText key && mapping.ContainsKey(key.Text),
        IReadOnlyList<object?> list => list.Any(other => AreEqual(site, item, other)),
        PythonGenerator generator => generator.Rest().Any(other => AreEqual(site, item, other)),
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
        PythonGenerator generator => generator.Rest(),
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

    /// <summary>The code points in a range, which must exist.</summary>
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

    /// <summary>The text of the value in the output.</summary>
    public static SourcedText ToText(Site site, object? value) => value switch
    {
        SourcedText text => text,
        null => new("None"),
        true => new("True"),
        false => new("False"),
        long number => new(number.ToString(CultureInfo.InvariantCulture)),
        double number => new(Python.Float(number)),
        Undefined => SourcedText.Empty,
        Mapping or IReadOnlyList<object?> => new(Python.Repr(site, value)),
        _ => throw site.Fail($"{Describe(value)} cannot be written as text"),
    };

    /// <summary>The name of the value's type in Python's messages.</summary>
    public static string PythonType(object? value) => value switch
    {
        null => "None",
        bool => "bool",
        long => "int",
        double => "float",
        SourcedText => "str",
        PythonTuple => "tuple",
        PythonRange => "range",
        PythonGenerator => "generator",
        IReadOnlyList<object?> => "list",
        Mapping => "dict",
        Namespace => "namespace",
        _ => "loop",
    };

    public static string Describe(object? value) => value switch
    {
        null => "none",
        bool => "a boolean",
        long => "an integer",
        double => "a float",
        SourcedText => "a string",
        PythonTuple => "a tuple",
        PythonRange => "a range",
        PythonGenerator => "what a filter gives one by one (| list makes it a list)",
        IReadOnlyList<object?> => "a list",
        Mapping => "a dictionary",
        Undefined undefined => $"'{undefined.Name}', which is undefined,",
        Callable callable => $"the function '{callable.Name}'",
        Loop => "loop",
        _ => "a namespace",
    };

    private static int CountPairs(string text)
    {
        var pairs = 0;
        for (var i = 0; i + 1 < text.Length; i++)
            if (char.IsSurrogatePair(text[i], text[i + 1])) pairs++;
        return pairs;
    }
}
