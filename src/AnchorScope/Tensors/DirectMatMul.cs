using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>
/// The kernel for few rows ("direct"): every weight is read once, as stored in the mapped file, and widened in a register.
/// </summary>
/// <remarks>
/// An output is the sum of sixteen partial sums over the depth, folded in a fixed order, so its bits do not depend on the
/// number of rows or threads; they differ in the last places from those of <see cref="PanelMatMul"/>.
/// </remarks>
internal static unsafe class DirectMatMul
{
    /// <summary>y[row, output] = sum over k of x[row, k] * weight[output, k] for outputs [first, first + count).</summary>
    public static void Multiply(Tensor x, Weight weight, int first, int count, Tensor y)
    {
        for (var output = first; output < first + count; output++)
        {
            for (var row = 0; row < x.Rows; row += 4)
            {
                var rows = Math.Min(4, x.Rows - row);
                Dot(x, row, rows, weight, output, y);
            }
        }
    }

    private static void Dot(Tensor x, int row, int rows, Weight weight, int output, Tensor y)
    {
        // Rows past the end repeat the last one, so that a single loop serves one to four rows.
        var depth = x.Columns;
        float* x0 = x.Data + (long)row * depth;
        float* x1 = rows > 1 ? x0 + depth : x0, x2 = rows > 2 ? x1 + depth : x1, x3 = rows > 3 ? x2 + depth : x2;
        var stored = weight.RowAddress(output);
        var sums = weight.Type switch
        {
            StoredType.F32 => Sum<Single>(x0, x1, x2, x3, stored, depth),
            StoredType.BF16 => Sum<Brain>(x0, x1, x2, x3, stored, depth),
            StoredType.F16 => Sum<HalfPrecision>(x0, x1, x2, x3, stored, depth),
            _ => throw new InvalidOperationException($"{weight.Name} is stored as {weight.Type}, which has no kernel"),
        };
        for (var r = 0; r < rows; r++) y.Data[(long)(row + r) * y.Columns + output] = sums[r];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector128<float> Sum<TStored>(float* x0, float* x1, float* x2, float* x3, byte* w, int depth)
        where TStored : struct, IStored
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        var k = 0;
        for (; k + 16 <= depth; k += 16)
        {
            var v = TStored.Load(w, k);
            a0 = Vector512.FusedMultiplyAdd(v, Vector512.Load(x0 + k), a0);
            a1 = Vector512.FusedMultiplyAdd(v, Vector512.Load(x1 + k), a1);
            a2 = Vector512.FusedMultiplyAdd(v, Vector512.Load(x2 + k), a2);
            a3 = Vector512.FusedMultiplyAdd(v, Vector512.Load(x3 + k), a3);
        }
        float s0 = Fold(a0), s1 = Fold(a1), s2 = Fold(a2), s3 = Fold(a3);
        for (; k < depth; k++)
        {
            var v = TStored.One(w, k);
            s0 = MathF.FusedMultiplyAdd(v, x0[k], s0);
            s1 = MathF.FusedMultiplyAdd(v, x1[k], s1);
            s2 = MathF.FusedMultiplyAdd(v, x2[k], s2);
            s3 = MathF.FusedMultiplyAdd(v, x3[k], s3);
        }
        return Vector128.Create(s0, s1, s2, s3);
    }

    /// <summary>Sum of sixteen lanes, halves added to halves: the same order on every machine.</summary>
    internal static float Fold(Vector512<float> v)
    {
        var eight = v.GetLower() + v.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
    }

    private interface IStored
    {
        static abstract Vector512<float> Load(byte* w, int k);
        static abstract float One(byte* w, int k);
    }

    private readonly struct Single : IStored
    {
        public static Vector512<float> Load(byte* w, int k) => Vector512.Load((float*)w + k);
        public static float One(byte* w, int k) => ((float*)w)[k];
    }

    private readonly struct Brain : IStored
    {
        public static Vector512<float> Load(byte* w, int k)
        {
            var (low, high) = Vector256.Widen(Vector256.Load((ushort*)w + k));
            return (Vector512.Create(low, high) << 16).AsSingle();
        }

        public static float One(byte* w, int k) => BitConverter.UInt32BitsToSingle((uint)((ushort*)w)[k] << 16);
    }

    private readonly struct HalfPrecision : IStored
    {
        // Exponent and mantissa moved to their place make the value times 2^-112, subnormals included; infinities need all ones.
        public static Vector512<float> Load(byte* w, int k)
        {
            var (low, high) = Vector256.Widen(Vector256.Load((ushort*)w + k));
            var bits = Vector512.Create(low, high);
            var magnitude = (bits & Vector512.Create(0x7fffu)) << 13;
            var value = magnitude.AsSingle() * Vector512.Create(BitConverter.UInt32BitsToSingle(0x77800000));
            var special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x7c00u << 13));
            value = Vector512.ConditionalSelect(special.AsSingle(), (magnitude | Vector512.Create(0x7f800000u)).AsSingle(), value);
            return (value.AsUInt32() | ((bits & Vector512.Create(0x8000u)) << 16)).AsSingle();
        }

        public static float One(byte* w, int k) => (float)((Half*)w)[k];
    }
}
