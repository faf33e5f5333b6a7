using System.Globalization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>A tuple: written in parentheses, and not equal to any list.</summary>
internal sealed class PythonTuple(IEnumerable<object?> items) : List<object?>(items)
{
    /// <summary>Whether it was made by groupby. Its two items are then also the attributes grouper and list.</summary>
    public bool IsGroup { get; init; }
}

/// <summary>The numbers of <c>range</c>. Apart from how it is written, it behaves like a list.</summary>
internal sealed class PythonRange(IEnumerable<object?> items, long start, long stop, long step) : List<object?>(items)
{
    public long Start => start;

    public long Step => step;

    /// <summary>The text that Python writes.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"range({start}, {stop}{(step == 1 ? "" : ", " + step.ToString(CultureInfo.InvariantCulture))})");
}

/// <summary>
/// The result of map, select and similar filters: always true, without length or indexing, evaluated lazily, and usable once.
/// </summary>
internal sealed class PythonGenerator(IEnumerable<object?> items)
{
    private IEnumerator<object?>? enumerator = items.GetEnumerator();

    /// <summary>The next item, if there is one.</summary>
    public (bool Any, object? Item) Next()
    {
        if (enumerator is null) return (false, null);
        if (enumerator.MoveNext()) return (true, enumerator.Current);
        enumerator = null;
        return (false, null);
    }

    /// <summary>All remaining items.</summary>
    public List<object?> Rest()
    {
        var rest = new List<object?>();
        while (Next() is (true, var item)) rest.Add(item);
        return rest;
    }
}
