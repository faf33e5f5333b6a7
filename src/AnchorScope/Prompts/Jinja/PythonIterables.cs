using System.Globalization;

namespace AnchorScope.Prompts.Jinja;

/// <summary>A list that is written in parentheses and equals no list in brackets.</summary>
internal sealed class PythonTuple(IEnumerable<object?> items) : List<object?>(items)
{
    /// <summary>Made by groupby: the two items are also its members grouper and list.</summary>
    public bool IsGroup { get; init; }
}

/// <summary>The numbers of <c>range</c>: a list in all but how it is written.</summary>
internal sealed class PythonRange(IEnumerable<object?> items, long start, long stop, long step) : List<object?>(items)
{
    public long Start => start;

    public long Step => step;

    /// <summary>As Python writes it.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"range({start}, {stop}{(step == 1 ? "" : ", " + step.ToString(CultureInfo.InvariantCulture))})");
}

/// <summary>
/// What map, select and their kin give: always true, without length and places, computed when it is gone through, and then used up.
/// </summary>
internal sealed class PythonGenerator(IEnumerable<object?> items)
{
    private IEnumerator<object?>? enumerator = items.GetEnumerator();

    /// <summary>The next item; null where there is none left.</summary>
    public (bool Any, object? Item) Next()
    {
        if (enumerator is null) return (false, null);
        if (enumerator.MoveNext()) return (true, enumerator.Current);
        enumerator = null;
        return (false, null);
    }

    /// <summary>All that are left.</summary>
    public List<object?> Rest()
    {
        var rest = new List<object?>();
        while (Next() is (true, var item)) rest.Add(item);
        return rest;
    }
}
