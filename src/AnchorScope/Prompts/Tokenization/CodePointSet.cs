namespace AnchorScope.Prompts.Tokenization;

/// <summary>A set of code points, 0 to 10FFFF.</summary>
internal sealed class CodePointSet
{
    /// <summary>The highest code point plus one.</summary>
    public const int End = 0x110000;

    // Ascending: the set begins at bounds[0], ends before bounds[1], begins again at bounds[2], ...
    private readonly int[] bounds;

    private CodePointSet(int[] bounds) => this.bounds = bounds;

    public static CodePointSet Empty { get; } = new([]);

    public static CodePointSet All { get; } = new([0, End]);

    /// <summary>Code points at which membership changes, ascending.</summary>
    public ReadOnlySpan<int> Bounds => bounds;

    public bool IsEmpty => bounds.Length == 0;

    /// <summary>The only member; null if there is none or more than one.</summary>
    public int? Single => bounds.Length == 2 && bounds[1] == bounds[0] + 1 ? bounds[0] : null;

    /// <summary>A range including both ends.</summary>
    public static CodePointSet Range(int first, int last) => new([first, last + 1]);

    public static CodePointSet Of(params ReadOnlySpan<int> members)
    {
        var set = Empty;
        foreach (var member in members) set = set.Or(Range(member, member));
        return set;
    }

    /// <param name="bounds">Where the set begins, ends, begins again, ...: ascending, an even number.</param>
    public static CodePointSet OfBounds(IReadOnlyList<int> bounds) => new([.. bounds]);

    public bool Contains(int code)
    {
        var at = Array.BinarySearch(bounds, code);
        // A code that is found is the beginning of a range inside (even index) or outside the set. Otherwise it is in the range before ~at.
        return (at >= 0 ? at : ~at - 1) % 2 == 0 && (at >= 0 || ~at > 0);
    }

    /// <summary>Whether this set contains all of the other set.</summary>
    public bool Contains(CodePointSet other) => other.And(Not()).IsEmpty;

    public CodePointSet Or(CodePointSet other) => Merge(other, (a, b) => a || b);

    public CodePointSet And(CodePointSet other) => Merge(other, (a, b) => a && b);

    public CodePointSet Not() => Merge(All, (a, b) => b && !a);

    /// <summary>Ranges including both ends.</summary>
    public IEnumerable<(int First, int Last)> Ranges()
    {
        for (var i = 0; i < bounds.Length; i += 2) yield return (bounds[i], bounds[i + 1] - 1);
    }

    private CodePointSet Merge(CodePointSet other, Func<bool, bool, bool> belongs)
    {
        var merged = new List<int>(bounds.Length + other.bounds.Length);
        var (i, j, inside) = (0, 0, false);
        while (i < bounds.Length || j < other.bounds.Length)
        {
            var at = Math.Min(i < bounds.Length ? bounds[i] : int.MaxValue, j < other.bounds.Length ? other.bounds[j] : int.MaxValue);
            while (i < bounds.Length && bounds[i] == at) i++;
            while (j < other.bounds.Length && other.bounds[j] == at) j++;
            if (belongs(i % 2 == 1, j % 2 == 1) == inside) continue;
            merged.Add(at);
            inside = !inside;
        }
        return new([.. merged]);
    }
}
