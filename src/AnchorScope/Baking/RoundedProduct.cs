using System.Runtime.InteropServices;
using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>
/// Multiplies stored values by a factor. Each product is rounded once, to the nearest value of the stored type, ties to even.
/// </summary>
/// <remarks>
/// In double precision the product of a factor and a value of 32 or fewer bits is exact (24 + 24 bits are fewer than 53), so there is only
/// one rounding. For F64 the double-precision product itself is that rounding.
/// </remarks>
internal static class RoundedProduct
{
    private const int NoFault = -1;

    /// <summary>Multiplies in place.</summary>
    /// <param name="values">Whole elements of <paramref name="type"/>, a float type.</param>
    /// <param name="fault">Index of the first element whose product is not finite; -1 without one.</param>
    /// <returns>Number of products that the type cannot represent exactly.</returns>
    public static long Multiply(Span<byte> values, StoredType type, float factor, out int fault)
    {
        fault = NoFault;
        return type switch
        {
            StoredType.F32 => Singles(MemoryMarshal.Cast<byte, float>(values), factor, ref fault),
            StoredType.F16 => Halves(MemoryMarshal.Cast<byte, Half>(values), factor, ref fault),
            StoredType.BF16 => Brains(MemoryMarshal.Cast<byte, ushort>(values), factor, ref fault),
            StoredType.F64 => Doubles(MemoryMarshal.Cast<byte, double>(values), factor, ref fault),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a float type"),
        };
    }

    private static long Singles(Span<float> values, float factor, ref int fault)
    {
        var rounded = 0L;
        for (var i = 0; i < values.Length; i++)
        {
            var exact = (double)values[i] * factor;
            values[i] = (float)exact;
            Count(exact, values[i], i, ref rounded, ref fault);
        }
        return rounded;
    }

    private static long Halves(Span<Half> values, float factor, ref int fault)
    {
        var rounded = 0L;
        for (var i = 0; i < values.Length; i++)
        {
            var exact = (double)values[i] * factor;
            values[i] = (Half)exact;
            Count(exact, (double)values[i], i, ref rounded, ref fault);
        }
        return rounded;
    }

    private static long Brains(Span<ushort> values, float factor, ref int fault)
    {
        var rounded = 0L;
        for (var i = 0; i < values.Length; i++)
        {
            var exact = (double)BitConverter.UInt32BitsToSingle((uint)values[i] << 16) * factor;
            values[i] = Brain(exact);
            Count(exact, BitConverter.UInt32BitsToSingle((uint)values[i] << 16), i, ref rounded, ref fault);
        }
        return rounded;
    }

    private static long Doubles(Span<double> values, float factor, ref int fault)
    {
        var rounded = 0L;
        for (var i = 0; i < values.Length; i++)
        {
            var product = values[i] * factor;
            // The rounding error. If a product is so small that this is lost too, it has been rounded to 0.
            var lost = Math.FusedMultiplyAdd(values[i], factor, -product) != 0 || (product == 0 && values[i] != 0 && factor != 0);
            values[i] = product;
            if (lost) rounded++;
            if (fault == NoFault && !double.IsFinite(product)) fault = i;
        }
        return rounded;
    }

    private static void Count(double exact, double stored, int index, ref long rounded, ref int fault)
    {
        if (exact != stored) rounded++;
        if (fault == NoFault && !double.IsFinite(stored)) fault = index;
    }

    /// <summary>
    /// Rounds to BF16 through F32. Double rounding differs from single rounding only if the first rounding gives the midpoint between two
    /// BF16 values and the exact value is not that midpoint.
    /// </summary>
    private static ushort Brain(double exact)
    {
        const uint Middle = 0x8000, Below = 0xFFFF;
        var single = (float)exact;
        var bits = BitConverter.SingleToUInt32Bits(single);
        if ((bits & Below) == Middle && single != exact) return (ushort)((bits >> 16) + (Math.Abs(exact) > Math.Abs(single) ? 1u : 0u));
        if (float.IsNaN(single)) return (ushort)(bits >> 16 | 1);
        return (ushort)((bits + (Middle - 1) + (bits >> 16 & 1)) >> 16);
    }
}
