using System.Numerics;

namespace AnchorScope.Interventions;

/// <summary>A factor for the output of one head.</summary>
public readonly record struct HeadGain(int Layer, int Head, float Factor);

/// <summary>
/// A factor for each of some heads, at every position. A run can be steered with them, and they can be baked into the weights.
/// </summary>
public sealed class HeadGains
{
    /// <summary>Gains from a dictionary.</summary>
    /// <param name="gains">Factor by layer and head.</param>
    /// <exception cref="ArgumentException">There is no gain, or one is not finite.</exception>
    public HeadGains(IReadOnlyDictionary<(int Layer, int Head), float> gains)
    {
        if (gains.Count == 0) throw new ArgumentException("expected the gain of at least one head, found none", nameof(gains));
        if (gains.Values.Any(factor => !float.IsFinite(factor))) throw new ArgumentException("a gain is not finite", nameof(gains));
        Heads = [.. gains.OrderBy(g => g.Key).Select(g => new HeadGain(g.Key.Layer, g.Key.Head, g.Value))];
    }

    /// <summary>The gains, ordered by layer, then head.</summary>
    public IReadOnlyList<HeadGain> Heads { get; }

    /// <summary>The factor that all heads share, or null if they differ.</summary>
    public float? Common => Heads.All(h => h.Factor.Equals(Heads[0].Factor)) ? Heads[0].Factor : null;

    /// <summary>Whether every factor is 0 or a power of two, so that multiplying by it is exact for every result in range.</summary>
    internal bool OnlyShift =>
        Heads.All(
            h => h.Factor == 0 || BitOperations.PopCount(BitConverter.SingleToUInt32Bits(h.Factor) & 0x7FFFFF) == 0
                && float.IsNormal(h.Factor));

    /// <summary>The same factor for each of <paramref name="heads"/>, which must be distinct.</summary>
    public static HeadGains Of(IEnumerable<(int Layer, int Head)> heads, float factor) => new(heads.ToDictionary(h => h, _ => factor));

    /// <summary>The gains as edits of a run.</summary>
    // Grouped by bits, because 0 and -0 are equal numbers but different edits.
    public Intervention Steering =>
        new("gains of heads", [.. Heads.GroupBy(h => (h.Layer, BitConverter.SingleToInt32Bits(h.Factor))).Select(g =>
            new Edit(Site.HeadOut, g.Key.Layer, Operation.Scale) { Heads = [.. g.Select(h => h.Head)], Factor = g.First().Factor })]);

    /// <summary>
    /// First columns of o_proj [d_model, head x d_head] of a layer's heads, with their factors. Heads with factor 1 are left out.
    /// </summary>
    internal IReadOnlyList<(int First, float Factor)> Columns(int layer, int headSize) =>
        [.. Heads.Where(h => h.Layer == layer && h.Factor != 1).Select(h => (h.Head * headSize, h.Factor))];
}
