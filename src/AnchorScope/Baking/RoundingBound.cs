using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Baking;

/// <summary>
/// Bounds the difference between a layer's attention output W' z (baked) and W (g z) (steered), if they differ only by rounding.
/// </summary>
/// <remarks>With a = |g z|, the unit roundoffs u of the stored type and e = 2^-24 of float32, n columns, and h half the smallest value of
/// the stored type:
/// <list type="bullet">
/// <item>a stored product has an error of at most u |W g| (or h, if it is too small for its type's precision), and g z of at most e |g z|:
/// (u + e) a |W| + h |z| over the heads' columns;</item>
/// <item>each of the two sums of n products has an error of at most n e a |W| over all columns, and of more than 6 sqrt(n) e a |W| once in
/// thirty million times, if its rounding errors are independent (Higham and Mary, 2019, A new approach to probabilistic rounding error
/// analysis, with lambda = 6): the smaller of the two is used.</item>
/// </list>
/// For stored products this is the worst case. Errors of different signs reduce the real difference by about the square root of their
/// number.</remarks>
internal static class RoundingBound
{
    private const double Single = 1.0 / (1 << 24);
    private const double Lambda = 6;

    // Allows for products of two of the errors, for the few sums that fold lanes, and for the rounding of the bound itself.
    private const double Slack = 1.05;

    /// <summary>The bound for every changed layer, at each position of a run [pos, d_model].</summary>
    /// <param name="steered">Head outputs of the steered run.</param>
    public static IReadOnlyDictionary<int, float[]> Of(Decoder decoder, HeadGains gains, Trace steered, Compute compute) =>
        gains.Heads.Where(h => h.Factor != 1).Select(h => h.Layer).Distinct().ToDictionary(layer => layer,
            layer => Of(decoder, gains, layer, steered[Site.HeadOut, layer], compute));

    /// <summary>
    /// Additions to the attention output with the size of the bounds. Signs are random by output and the same at all positions, as for the
    /// error of a weight.
    /// </summary>
    /// <param name="draw">Seed of the signs.</param>
    public static IEnumerable<Edit> Errors(IReadOnlyDictionary<int, float[]> bounds, int width, ulong draw)
    {
        foreach (var (layer, bound) in bounds)
        {
            for (var position = 0; position * width < bound.Length; position++)
            {
                var error = bound[(position * width)..((position + 1) * width)];
                for (var i = 0; i < width; i++)
                {
                    if ((SplitMix.At(draw, (ulong)((long)layer * width + i)) & 1) == 1) error[i] = -error[i];
                }
                yield return new Edit(Site.AttnOut, layer, Operation.Add) { Vector = error, Positions = Positions.Of(position) };
            }
        }
    }

    /// <summary>The bound for one layer.</summary>
    /// <param name="z">Head outputs after their gains [pos, head x d_head].</param>
    private static float[] Of(Decoder decoder, HeadGains gains, int layer, float[] z, Compute compute)
    {
        var weight = decoder.Layers[layer].OutputProjection.Weight;
        var (columns, size) = ((int)weight.Shape[1], decoder.Shape.HeadSize);
        var magnitudes = new Linear(new AbsoluteWeight(weight).Weight);
        var mark = compute.Arena.Here();
        var (all, changed) = (compute.Arena.Take(z.Length / columns, columns), compute.Arena.Take(z.Length / columns, columns));
        var small = new double[all.Rows];
        for (var row = 0; row < all.Rows; row++)
        {
            changed[row].Clear();
            for (var i = 0; i < columns; i++) all[row][i] = Math.Abs(z[row * columns + i]);
            foreach (var (first, factor) in gains.Columns(layer, size))
            {
                all[row].Slice(first, size).CopyTo(changed[row][first..]);
                // If the factor is 0, the products are exactly 0.
                if (factor != 0) small[row] += Sum(all[row].Slice(first, size)) / Math.Abs(factor);
            }
        }
        var (sums, heads) = (magnitudes.Forward(all, compute), magnitudes.Forward(changed, compute));
        var (products, chains) = (Roundoff(weight.Type) + Single, 2 * Math.Min(columns, Lambda * Math.Sqrt(columns)) * Single);
        var bound = new float[(long)sums.Rows * sums.Columns];
        for (var row = 0; row < sums.Rows; row++)
        {
            for (var i = 0; i < sums.Columns; i++)
                bound[row * sums.Columns + i] =
                    (float)(Slack * (products * heads[row][i] + chains * sums[row][i] + HalfSmallest(weight.Type) * small[row]));
        }
        compute.Arena.Release(mark);
        return bound;
    }

    /// <summary>Largest relative error of rounding to nearest; for F64 including that of reading both weights as float32.</summary>
    public static double Roundoff(StoredType type) => type switch
    {
        StoredType.BF16 => 1.0 / (1 << 8),
        StoredType.F16 => 1.0 / (1 << 11),
        StoredType.F32 => Single,
        _ => 2 * Single,
    };

    private static double HalfSmallest(StoredType type) => type switch
    {
        StoredType.BF16 => Math.ScaleB(1, -134),
        StoredType.F16 => Math.ScaleB(1, -25),
        _ => Math.ScaleB(1, -150),
    };

    private static double Sum(ReadOnlySpan<float> values)
    {
        var sum = 0.0;
        foreach (var value in values) sum += value;
        return sum;
    }
}
