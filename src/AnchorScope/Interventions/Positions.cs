namespace AnchorScope.Interventions;

/// <summary>Token positions of a prompt, counted from 0: a sorted list, or all positions including generated ones.</summary>
public sealed class Positions : IEquatable<Positions>
{
    private readonly int[]? _list;
    private readonly int _hash;

    private Positions(int[]? list) => (_list, _hash) = (list, list is null ? -1 : list.Aggregate(17, HashCode.Combine));

    /// <summary>Every position, including generated ones.</summary>
    public static Positions All { get; } = new(null);

    /// <summary>Positions in any order; duplicates are removed.</summary>
    /// <exception cref="InputException">There is no position, or one is negative.</exception>
    public static Positions Of(params IEnumerable<int> positions)
    {
        var list = positions.Distinct().Order().ToArray();
        if (list.Length == 0)
            throw new InputException("an edit without positions does nothing: name positions, or none at all for all of them");
        if (list[0] < 0) throw new InputException($"position {list[0]} is negative; positions count from 0");
        return new Positions(list);
    }

    /// <summary>The half-open range [from, to).</summary>
    /// <exception cref="InputException">The range is empty, starts below 0 or has more positions than any prompt.</exception>
    public static Positions Range(int from, int to) => (long)to - from <= Longest
        ? Of(Enumerable.Range(from, Math.Max(0, to - from)))
        : throw new InputException(
            $"positions {from} to {to}: expected at most {Longest}, found {(long)to - from}; Positions.All names all");

    private const int Longest = 1 << 24;

    /// <summary>Whether this is <see cref="All"/>.</summary>
    public bool IsAll => _list is null;

    /// <summary>The sorted list; empty for <see cref="All"/>.</summary>
    public IReadOnlyList<int> List => _list ?? [];

    /// <summary>Smallest position; 0 for <see cref="All"/>.</summary>
    public int First => _list is null ? 0 : _list[0];

    /// <summary>Largest position, or -1 for <see cref="All"/>.</summary>
    public int Last => _list is null ? -1 : _list[^1];

    /// <summary>Whether <paramref name="position"/> is one of them.</summary>
    public bool Contains(int position) => _list is null || Array.BinarySearch(_list, position) >= 0;

    /// <summary>The positions within [0, length), as half-open ranges of consecutive positions.</summary>
    public IEnumerable<(int From, int To)> Ranges(int length)
    {
        if (_list is null)
        {
            if (length > 0) yield return (0, length);
            yield break;
        }
        for (var i = 0; i < _list.Length && _list[i] < length;)
        {
            var from = _list[i];
            var to = from + 1;
            for (i++; i < _list.Length && _list[i] == to && to < length; i++) to++;
            yield return (from, to);
        }
    }

    /// <inheritdoc/>
    public bool Equals(Positions? other) =>
        other is not null && (_list is null ? other._list is null : other._list is not null && _list.AsSpan().SequenceEqual(other._list));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Positions);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;

    /// <inheritdoc/>
    public override string ToString() =>
        _list is null
            ? "all" : string.Join(',', Ranges(int.MaxValue).Select(r => r.To - r.From == 1 ? $"{r.From}" : $"{r.From}-{r.To - 1}"));
}
