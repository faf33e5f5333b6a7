using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>
/// The matrix kernel for few rows ("direct"). Every weight is read as stored in the mapped file and widened in a register.
/// </summary>
/// <remarks>
/// An output is the sum of sixteen partial sums over the depth, folded in a fixed order. Its bits do not depend on the number of rows or
/// threads. They differ from those of <see cref="PanelMatMul"/> in the last places.
/// </remarks>
internal static unsafe class DirectMatMul
{
    /// <summary>Weight rows read concurrently when x has a single row.</summary>
    private const int Side = 8;

    /// <summary>y[row, output] = sum over k of x[row, k] * weight[output, k] for outputs [first, first + count).</summary>
    public static void Multiply(Tensor x, Weight weight, int first, int count, Tensor y)
    {
        switch (weight.Type)
        {
            case StoredType.F32: Multiply<Single>(x, weight, first, count, y); break;
            case StoredType.BF16: Multiply<Brain>(x, weight, first, count, y); break;
            case StoredType.F16: Multiply<HalfPrecision>(x, weight, first, count, y); break;
            default: throw new InvalidOperationException($"{weight.Name} is stored as {weight.Type}, which has no kernel");
        }
    }

    private static void Multiply<TStored>(Tensor x, Weight weight, int first, int count, Tensor y)
        where TStored : struct, IStored
    {
        // Rows past the end repeat the last one, so that few loops serve every number of rows and outputs. One extra group is for
        // prefetching.
        var w = stackalloc byte*[count + 2 * Side];
        weight.RowAddresses(first, (int)Math.Min(count + 2 * Side, weight.Shape[0] - first), w);
        for (var i = (int)Math.Min(count + 2 * Side, weight.Shape[0] - first); i < count + 2 * Side; i++) w[i] = w[i - 1];
        var rows = stackalloc float*[Side];
        var sums = stackalloc float[4 * Side];
        for (var row = 0; row < x.Rows;)
        {
            var left = x.Rows - row;
            var (taken, side) = left > 4 ? (8, 2) : left > 2 ? (4, 4) : left > 1 ? (2, 8) : (1, 8);
            for (var r = 0; r < taken; r++) rows[r] = x.Data + (long)(row + Math.Min(r, left - 1)) * x.Columns;
            for (var output = 0; output < count; output += side)
            {
                if (taken == 8) EightByTwo<TStored>(rows, w + output, x.Columns, sums);
                else if (taken == 4) FourByFour<TStored>(rows, w + output, x.Columns, sums);
                else if (taken == 2) TwoByEight<TStored>(rows, w + output, x.Columns, sums);
                else OneByEight<TStored>(rows[0], w + output, x.Columns, sums);
                for (var r = 0; r < Math.Min(taken, left); r++)
                {
                    for (var o = 0; o < Math.Min(side, count - output); o++)
                        y.Data[(long)(row + r) * y.Columns + first + output + o] = sums[r * side + o];
                }
            }
            row += taken;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByEight<TStored>(float* x, byte** w, int depth, float* sums)
        where TStored : struct, IStored
    {
        byte* w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        var k = 0;
        for (; k + 16 <= depth; k += 16)
        {
            Ahead<TStored>(w + 8 + ((k >> 4 & 1) * 4), k);
            var v = Vector512.Load(x + k);
            a0 = Vector512.FusedMultiplyAdd(TStored.Load(w0, k), v, a0);
            a1 = Vector512.FusedMultiplyAdd(TStored.Load(w1, k), v, a1);
            a2 = Vector512.FusedMultiplyAdd(TStored.Load(w2, k), v, a2);
            a3 = Vector512.FusedMultiplyAdd(TStored.Load(w3, k), v, a3);
            a4 = Vector512.FusedMultiplyAdd(TStored.Load(w4, k), v, a4);
            a5 = Vector512.FusedMultiplyAdd(TStored.Load(w5, k), v, a5);
            a6 = Vector512.FusedMultiplyAdd(TStored.Load(w6, k), v, a6);
            a7 = Vector512.FusedMultiplyAdd(TStored.Load(w7, k), v, a7);
        }
        (sums[0], sums[1], sums[2], sums[3]) = (Fold(a0), Fold(a1), Fold(a2), Fold(a3));
        (sums[4], sums[5], sums[6], sums[7]) = (Fold(a4), Fold(a5), Fold(a6), Fold(a7));
        for (var o = 0; o < 8; o++) sums[o] = Rest<TStored>(x, w[o], k, depth, sums[o]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TwoByEight<TStored>(float** x, byte** w, int depth, float* sums)
        where TStored : struct, IStored
    {
        float* x0 = x[0], x1 = x[1];
        byte* w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default;
        var k = 0;
        for (; k + 16 <= depth; k += 16)
        {
            var (v0, v1) = (Vector512.Load(x0 + k), Vector512.Load(x1 + k));
            var s = TStored.Load(w0, k);
            a0 = Vector512.FusedMultiplyAdd(s, v0, a0); b0 = Vector512.FusedMultiplyAdd(s, v1, b0);
            s = TStored.Load(w1, k);
            a1 = Vector512.FusedMultiplyAdd(s, v0, a1); b1 = Vector512.FusedMultiplyAdd(s, v1, b1);
            s = TStored.Load(w2, k);
            a2 = Vector512.FusedMultiplyAdd(s, v0, a2); b2 = Vector512.FusedMultiplyAdd(s, v1, b2);
            s = TStored.Load(w3, k);
            a3 = Vector512.FusedMultiplyAdd(s, v0, a3); b3 = Vector512.FusedMultiplyAdd(s, v1, b3);
            s = TStored.Load(w4, k);
            a4 = Vector512.FusedMultiplyAdd(s, v0, a4); b4 = Vector512.FusedMultiplyAdd(s, v1, b4);
            s = TStored.Load(w5, k);
            a5 = Vector512.FusedMultiplyAdd(s, v0, a5); b5 = Vector512.FusedMultiplyAdd(s, v1, b5);
            s = TStored.Load(w6, k);
            a6 = Vector512.FusedMultiplyAdd(s, v0, a6); b6 = Vector512.FusedMultiplyAdd(s, v1, b6);
            s = TStored.Load(w7, k);
            a7 = Vector512.FusedMultiplyAdd(s, v0, a7); b7 = Vector512.FusedMultiplyAdd(s, v1, b7);
        }
        (sums[0], sums[1], sums[2], sums[3]) = (Fold(a0), Fold(a1), Fold(a2), Fold(a3));
        (sums[4], sums[5], sums[6], sums[7]) = (Fold(a4), Fold(a5), Fold(a6), Fold(a7));
        (sums[8], sums[9], sums[10], sums[11]) = (Fold(b0), Fold(b1), Fold(b2), Fold(b3));
        (sums[12], sums[13], sums[14], sums[15]) = (Fold(b4), Fold(b5), Fold(b6), Fold(b7));
        for (var o = 0; o < 16; o++) sums[o] = Rest<TStored>(x[o / 8], w[o % 8], k, depth, sums[o]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByFour<TStored>(float** x, byte** w, int depth, float* sums)
        where TStored : struct, IStored
    {
        float* x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
        byte* w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        var k = 0;
        for (; k + 16 <= depth; k += 16)
        {
            var (v0, v1, v2, v3) = (Vector512.Load(x0 + k), Vector512.Load(x1 + k), Vector512.Load(x2 + k), Vector512.Load(x3 + k));
            var s = TStored.Load(w0, k);
            a0 = Vector512.FusedMultiplyAdd(s, v0, a0); b0 = Vector512.FusedMultiplyAdd(s, v1, b0); c0 = Vector512.FusedMultiplyAdd(s, v2,
                c0); d0 = Vector512.FusedMultiplyAdd(s, v3, d0);
            s = TStored.Load(w1, k);
            a1 = Vector512.FusedMultiplyAdd(s, v0, a1); b1 = Vector512.FusedMultiplyAdd(s, v1, b1); c1 = Vector512.FusedMultiplyAdd(s, v2,
                c1); d1 = Vector512.FusedMultiplyAdd(s, v3, d1);
            s = TStored.Load(w2, k);
            a2 = Vector512.FusedMultiplyAdd(s, v0, a2); b2 = Vector512.FusedMultiplyAdd(s, v1, b2); c2 = Vector512.FusedMultiplyAdd(s, v2,
                c2); d2 = Vector512.FusedMultiplyAdd(s, v3, d2);
            s = TStored.Load(w3, k);
            a3 = Vector512.FusedMultiplyAdd(s, v0, a3); b3 = Vector512.FusedMultiplyAdd(s, v1, b3); c3 = Vector512.FusedMultiplyAdd(s, v2,
                c3); d3 = Vector512.FusedMultiplyAdd(s, v3, d3);
        }
        (sums[0], sums[1], sums[2], sums[3]) = (Fold(a0), Fold(a1), Fold(a2), Fold(a3));
        (sums[4], sums[5], sums[6], sums[7]) = (Fold(b0), Fold(b1), Fold(b2), Fold(b3));
        (sums[8], sums[9], sums[10], sums[11]) = (Fold(c0), Fold(c1), Fold(c2), Fold(c3));
        (sums[12], sums[13], sums[14], sums[15]) = (Fold(d0), Fold(d1), Fold(d2), Fold(d3));
        for (var o = 0; o < 16; o++) sums[o] = Rest<TStored>(x[o / 4], w[o % 4], k, depth, sums[o]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightByTwo<TStored>(float** x, byte** w, int depth, float* sums)
        where TStored : struct, IStored
    {
        float* x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5], x6 = x[6], x7 = x[7];
        byte* w0 = w[0], w1 = w[1];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default;
        var k = 0;
        for (; k + 16 <= depth; k += 16)
        {
            Ahead2<TStored>(w + 2, k);
            var (s, t) = (TStored.Load(w0, k), TStored.Load(w1, k));
            var v = Vector512.Load(x0 + k);
            a0 = Vector512.FusedMultiplyAdd(s, v, a0); b0 = Vector512.FusedMultiplyAdd(t, v, b0);
            v = Vector512.Load(x1 + k);
            a1 = Vector512.FusedMultiplyAdd(s, v, a1); b1 = Vector512.FusedMultiplyAdd(t, v, b1);
            v = Vector512.Load(x2 + k);
            a2 = Vector512.FusedMultiplyAdd(s, v, a2); b2 = Vector512.FusedMultiplyAdd(t, v, b2);
            v = Vector512.Load(x3 + k);
            a3 = Vector512.FusedMultiplyAdd(s, v, a3); b3 = Vector512.FusedMultiplyAdd(t, v, b3);
            v = Vector512.Load(x4 + k);
            a4 = Vector512.FusedMultiplyAdd(s, v, a4); b4 = Vector512.FusedMultiplyAdd(t, v, b4);
            v = Vector512.Load(x5 + k);
            a5 = Vector512.FusedMultiplyAdd(s, v, a5); b5 = Vector512.FusedMultiplyAdd(t, v, b5);
            v = Vector512.Load(x6 + k);
            a6 = Vector512.FusedMultiplyAdd(s, v, a6); b6 = Vector512.FusedMultiplyAdd(t, v, b6);
            v = Vector512.Load(x7 + k);
            a7 = Vector512.FusedMultiplyAdd(s, v, a7); b7 = Vector512.FusedMultiplyAdd(t, v, b7);
        }
        (sums[0], sums[1], sums[2], sums[3]) = (Fold(a0), Fold(b0), Fold(a1), Fold(b1));
        (sums[4], sums[5], sums[6], sums[7]) = (Fold(a2), Fold(b2), Fold(a3), Fold(b3));
        (sums[8], sums[9], sums[10], sums[11]) = (Fold(a4), Fold(b4), Fold(a5), Fold(b5));
        (sums[12], sums[13], sums[14], sums[15]) = (Fold(a6), Fold(b6), Fold(a7), Fold(b7));
        for (var o = 0; o < 16; o++) sums[o] = Rest<TStored>(x[o / 2], w[o % 2], k, depth, sums[o]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ahead<TStored>(byte** w, int k)
        where TStored : struct, IStored
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch1(w[0] + k * TStored.Bytes);
        Sse.Prefetch1(w[1] + k * TStored.Bytes);
        Sse.Prefetch1(w[2] + k * TStored.Bytes);
        Sse.Prefetch1(w[3] + k * TStored.Bytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ahead2<TStored>(byte** w, int k)
        where TStored : struct, IStored
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch1(w[0] + k * TStored.Bytes);
        Sse.Prefetch1(w[1] + k * TStored.Bytes);
    }

    /// <summary>The remaining depths after the last full group of sixteen, one by one.</summary>
    private static float Rest<TStored>(float* x, byte* w, int k, int depth, float sum)
        where TStored : struct, IStored
    {
        for (; k < depth; k++) sum = MathF.FusedMultiplyAdd(TStored.One(w, k), x[k], sum);
        return sum;
    }

    /// <summary>Sum of sixteen lanes by repeatedly adding one half to the other, in the same order on every machine.</summary>
    internal static float Fold(Vector512<float> v)
    {
        var eight = v.GetLower() + v.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
    }

    private interface IStored
    {
        static abstract Vector512<float> Load(byte* w, int k);
        static abstract int Bytes { get; }
        static abstract float One(byte* w, int k);
    }

    private readonly struct Single : IStored
    {
        public static Vector512<float> Load(byte* w, int k) => Vector512.Load((float*)w + k);
        public static int Bytes => 4;
        public static float One(byte* w, int k) => ((float*)w)[k];
    }

    private readonly struct Brain : IStored
    {
        public static Vector512<float> Load(byte* w, int k) => (Wide((ushort*)w + k) << 16).AsSingle();

        public static int Bytes => 2;
        public static float One(byte* w, int k) => BitConverter.UInt32BitsToSingle((uint)((ushort*)w)[k] << 16);
    }

    private readonly struct HalfPrecision : IStored
    {
        // Shifting exponent and mantissa into place gives the value times 2^-112, subnormals included. Infinity and NaN need an exponent of
        // all ones.
        public static Vector512<float> Load(byte* w, int k)
        {
            var bits = Wide((ushort*)w + k);
            var magnitude = (bits & Vector512.Create(0x7fffu)) << 13;
            var value = magnitude.AsSingle() * Vector512.Create(BitConverter.UInt32BitsToSingle(0x77800000));
            var special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x7c00u << 13));
            value = Vector512.ConditionalSelect(special.AsSingle(), (magnitude | Vector512.Create(0x7f800000u)).AsSingle(), value);
            return (value.AsUInt32() | ((bits & Vector512.Create(0x8000u)) << 16)).AsSingle();
        }

        public static int Bytes => 2;
        public static float One(byte* w, int k) => (float)((Half*)w)[k];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Wide(ushort* w)
    {
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512UInt32(Vector256.Load(w));
        var (low, high) = Vector256.Widen(Vector256.Load(w));
        return Vector512.Create(low, high);
    }
}
