using System.Numerics;

namespace AnchorScope.Interventions;

/// <summary>What one head's output is multiplied with.</summary>
public readonly record struct HeadGain(int Layer, int Head, float Factor);

/// <summary>A gain for each of some heads, at every position: what a run can be steered with, and what can be folded into weights.</summary>
public sealed class HeadGains
{
    /// <param name="gains">By layer and head.</param>
    /// <exception cref="ArgumentException">None, or one that is not finite.</exception>
    public HeadGains(IReadOnlyDictionary<(int Layer, int Head), float> gains)
    {
        if (gains.Count == 0) throw new ArgumentException("gains of no head do nothing", nameof(gains));
        if (gains.Values.Any(factor => !float.IsFinite(factor))) throw new ArgumentException("a gain is not finite", nameof(gains));
        Heads = [.. gains.OrderBy(g => g.Key).Select(g => new HeadGain(g.Key.Layer, g.Key.Head, g.Value))];
    }

    /// <summary>By layer, then head.</summary>
    public IReadOnlyList<HeadGain> Heads { get; }

    /// <summary>The factor that all heads share, or null.</summary>
    public float? Common => Heads.All(h => h.Factor.Equals(Heads[0].Factor)) ? Heads[0].Factor : null;

    /// <summary>Whether every factor is 0 or a power of two, so that multiplying with it rounds nothing that stays in range.</summary>
    public bool OnlyShift => Heads.All(h => h.Factor == 0 || BitOperations.PopCount(BitConverter.SingleToUInt32Bits(h.Factor) & 0x7FFFFF) == 0 && float.IsNormal(h.Factor));

    /// <summary>The same factor for each of <paramref name="heads"/>, which differ.</summary>
    public static HeadGains Of(IEnumerable<(int Layer, int Head)> heads, float factor) => new(heads.ToDictionary(h => h, _ => factor));

    /// <summary>The edits that steer a run so.</summary>
    // Grouped by bits: 0 and -0 are equal numbers, but not the same change.
    public Intervention Steering => new("gains of heads", [.. Heads.GroupBy(h => (h.Layer, BitConverter.SingleToInt32Bits(h.Factor))).Select(g =>
        new Edit(Site.HeadOut, g.Key.Layer, Operation.Scale) { Heads = [.. g.Select(h => h.Head)], Factor = g.First().Factor })]);

    /// <summary>Columns of o_proj [d_model, head x d_head] that a layer's heads multiply, with their factors; heads whose factor is 1 are left out.</summary>
    public IReadOnlyList<(int First, float Factor)> Columns(int layer, int headSize) =>
        [.. Heads.Where(h => h.Layer == layer && h.Factor != 1).Select(h => (h.Head * headSize, h.Factor))];
}
