using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>What one run recorded: chosen sites, at all or chosen positions, in every layer that the run went through.</summary>
public sealed class Trace
{
    private readonly Dictionary<(Site, int), float[]> _values = [];
    private readonly Dictionary<Site, int> _widths = [];
    private readonly int[]? _positions;
    private int _firstPosition;

    /// <summary>Records <paramref name="sites"/> at <paramref name="positions"/> (null: all positions of the run).</summary>
    public Trace(IEnumerable<Site> sites, IEnumerable<int>? positions = null)
        : this(sites.ToHashSet(), positions)
    {
        if (Sites.Contains(Site.AttnScores))
            throw new ArgumentException("attention scores are not kept; record AttnPattern", nameof(sites));
    }

    private Trace(HashSet<Site> sites, IEnumerable<int>? positions)
    {
        Sites = sites;
        _positions = positions?.Distinct().Order().ToArray();
    }

    /// <summary>
    /// A trace for the backward pass: records the gradient of the loss with respect to the values of <paramref name="sites"/>. At
    /// <see cref="Site.AttnScores"/> it is the gradient with respect to the pre-softmax scores.
    /// </summary>
    /// <param name="sites">Any site except <see cref="Site.AttnPattern"/>.</param>
    /// <param name="positions">Positions to record; null for all positions of the run.</param>
    public static Trace ForGradients(IEnumerable<Site> sites, IEnumerable<int>? positions = null)
    {
        var chosen = sites.ToHashSet();
        return chosen.Contains(Site.AttnPattern)
            ? throw new ArgumentException("there is no gradient with respect to attention probabilities; record AttnScores", nameof(sites))
            : new Trace(chosen, positions);
    }

    /// <summary>The recorded sites.</summary>
    public IReadOnlySet<Site> Sites { get; }

    /// <summary>The recorded positions, sorted; null means all positions of the run.</summary>
    public IReadOnlyList<int>? Positions => _positions;

    /// <inheritdoc cref="Positions"/>
    internal int[]? SortedPositions => _positions;

    /// <summary>
    /// Values of one site after edits [positions, width]. For <see cref="Site.AttnPattern"/>, and for gradients at
    /// <see cref="Site.AttnScores"/>: [heads, positions, keys].
    /// </summary>
    /// <exception cref="InvalidOperationException">The site was not recorded, or the run did not reach that layer.</exception>
    public float[] this[Site site, int layer] => _values.TryGetValue((site, layer), out var values)
        ? values
        : throw new InvalidOperationException($"layer {layer}, {SiteNames.Of(site)} was not recorded");

    /// <summary>Whether a site was recorded in a layer.</summary>
    internal bool Has(Site site, int layer) => _values.ContainsKey((site, layer));

    /// <summary>
    /// Values of one site at one position [width]. Not for <see cref="Site.AttnPattern"/> and <see cref="Site.AttnScores"/>, which have a
    /// row per head.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The position was not recorded.</exception>
    public ReadOnlySpan<float> Row(Site site, int layer, int position)
    {
        if (site is Site.AttnPattern or Site.AttnScores)
            throw new ArgumentException($"{SiteNames.Of(site)} has a row for every head; read the whole of it", nameof(site));
        var (values, width) = (this[site, layer], _widths[site]);
        var row = _positions is null ? position - _firstPosition : Array.BinarySearch(_positions, position);
        if (row < 0 || row >= values.Length / width)
            throw new ArgumentOutOfRangeException(nameof(position), position, "this position was not recorded");
        return values.AsSpan(row * width, width);
    }

    /// <summary>Allocates the array for the rows of one site in one layer.</summary>
    /// <param name="firstPosition">First position of the run.</param>
    internal float[] Room(Site site, int layer, int rows, int columns, int firstPosition)
    {
        (_widths[site], _firstPosition) = (columns, firstPosition);
        // Pinned, so that later runs can use the array as a matrix without copying it.
        var kept = GC.AllocateUninitializedArray<float>(checked(rows * columns), pinned: true);
        _values[(site, layer)] = kept;
        return kept;
    }

    /// <summary>Probabilities of one head at one of <see cref="Positions"/> [keys].</summary>
    internal ReadOnlySpan<float> PatternRow(int layer, int head, int position)
    {
        var (values, keys, positions) = (this[Site.AttnPattern, layer], _widths[Site.AttnPattern], _positions ?? []);
        var row = Array.BinarySearch(positions, position);
        if (row < 0) throw new ArgumentOutOfRangeException(nameof(position), position, "this position was not recorded");
        return values.AsSpan((head * positions.Length + row) * keys, keys);
    }

    /// <param name="pattern">[head, query, key], with the queries of the run or with those of the recorded positions only.</param>
    internal void KeepPattern(Site site, int layer, float[] pattern, int heads, int queries, int keys, int firstPosition)
    {
        _widths[site] = keys;
        if (_positions is null || pattern.Length == heads * _positions.Length * keys)
        {
            _values[(site, layer)] = pattern;
            return;
        }
        var kept = new float[heads * _positions.Length * keys];
        for (var head = 0; head < heads; head++)
        {
            for (var i = 0; i < _positions.Length; i++)
                pattern.AsSpan((head * queries + _positions[i] - firstPosition) * keys,
                    keys).CopyTo(kept.AsSpan((head * _positions.Length + i) * keys));
        }
        _values[(site, layer)] = kept;
    }
}
