using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>e^x for sixteen values at once; the same bits in every lane and on every machine.</summary>
/// <remarks>
/// x = n ln 2 + r with |r| at most (ln 2)/2; a polynomial of degree 6 for e^r; n is added to the exponent. Largest error: about 1 unit in
/// the last place. Below -87.3 the result is exactly 0, so a removed attention edge has exactly zero weight.
/// </remarks>
internal static class Exp
{
    private const float Smallest = -87.33654f;
    private const float Largest = 88.02969f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x)
    {
        var result = OfAtMostZero(Vector512.MinNative(x, Vector512.Create(Largest)));
        result = Vector512.ConditionalSelect(Vector512.GreaterThan(x, Vector512.Create(Largest)),
            Vector512.Create(float.PositiveInfinity), result);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), result, x);
    }

    /// <summary>The same bits for x that is never large, as in a softmax.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> OfAtMostZero(Vector512<float> x)
    {
        var bounded = Vector512.MaxNative(x, Vector512.Create(Smallest));
        // Adding 1.5 * 2^23 rounds to the nearest integer and leaves that integer in the low bits.
        var shifted = Vector512.FusedMultiplyAdd(bounded, Vector512.Create(1.44269504f), Vector512.Create(12582912f));
        var n = shifted - Vector512.Create(12582912f);
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), bounded);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        var p = Vector512.FusedMultiplyAdd(r, Vector512.Create(1.9875691500e-4f), Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.5f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r) + Vector512<float>.One;
        var scale = ((shifted.AsInt32() << 23) + Vector512.Create(0x3f800000)).AsSingle();
        var result = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(Smallest)), Vector512<float>.Zero, p * scale);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), result, x);
    }
}
