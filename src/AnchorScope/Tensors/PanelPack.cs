using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>
/// Packs stored weights, where each output is a row over the depth, into a panel [depth, 32] of float32. With AVX-512, sixteen outputs are
/// transposed at a time in registers, 16-bit types with two depths per lane; otherwise elements are copied one by one. Values are widened
/// exactly, so both paths give the same bits.
/// </summary>
internal static unsafe class PanelPack
{
    private const int Width = PanelMatMul.Width;

    /// <summary>Packs outputs [first, first + 32) of <paramref name="weight"/> [outputs, depth]; missing outputs are zero.</summary>
    /// <param name="panel">[depth, 32].</param>
    public static void Fill(Weight weight, int first, float* panel)
    {
        var rows = stackalloc byte*[Width];
        var outputs = Rows(weight, first, rows);
        Fill(rows, outputs, weight.Type, 0, (int)(weight.Count / weight.Shape[0]), panel);
    }

    /// <summary>Addresses of the weight rows of a panel.</summary>
    /// <returns>Number of rows, at most 32.</returns>
    public static int Rows(Weight weight, int first, byte** rows)
    {
        var outputs = (int)Math.Min(Width, weight.Shape[0] - first);
        weight.RowAddresses(first, outputs, rows);
        return outputs;
    }

    /// <summary>The same for depths [from, from + count) of rows whose addresses are known.</summary>
    /// <param name="panel">[count, 32].</param>
    public static void Fill(byte** whole, int outputs, StoredType type, int from, int count, float* panel)
    {
        if (outputs < Width) new Span<float>(panel, count * Width).Clear();
        var rows = stackalloc byte*[Width];
        for (var output = 0; output < outputs; output++) rows[output] = whole[output] + (long)from * type.Bytes();
        var done = 0;
        if (outputs == Width && Avx512F.IsSupported)
        {
            done = type switch
            {
                StoredType.F32 => Blocks<Single>(rows, count, panel),
                StoredType.BF16 => Blocks<Brain>(rows, count, panel),
                StoredType.F16 => Blocks<HalfPrecision>(rows, count, panel),
                _ => 0,
            };
        }
        Portable(rows, outputs, type, done, count, panel);
    }

    /// <summary>Packs depths [done, count) without vectors.</summary>
    internal static void Portable(byte** rows, int outputs, StoredType type, int done, int count, float* panel)
    {
        const int Line = 256;
        var line = stackalloc float[Line];
        for (; done < count; done += Line)
        {
            var chunk = Math.Min(Line, count - done);
            for (var output = 0; output < outputs; output++)
            {
                Widening.ToSingles(rows[output] + (long)done * type.Bytes(), type, new Span<float>(line, chunk));
                var target = panel + (long)done * Width + output;
                for (var i = 0; i < chunk; i++) target[i * Width] = line[i];
            }
        }
    }

    /// <returns>Number of depths packed: whole blocks only.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Blocks<T>(byte** rows, int count, float* panel)
        where T : struct, ILane
    {
        var block = 16 * T.Depths;
        var whole = count / block * block;
        for (var strip = 0; strip < Width; strip += 16)
        {
            for (var done = 0; done < whole; done += block)
            {
                // In two halves, so that everything stays in registers: of each four lanes, first the lower two, then the upper two.
                var target = panel + (long)done * Width + strip;
                Half<T>(rows + strip, done * (4 / T.Depths), target, high: false);
                Half<T>(rows + strip, done * (4 / T.Depths), target + 2 * T.Depths * Width, high: true);
            }
        }
        return whole;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Half<T>(byte** rows, int at, float* target, bool high)
        where T : struct, ILane
    {
        var (a0, a1) = Four(rows, at, high);
        var (b0, b1) = Four(rows + 4, at, high);
        var (c0, c1) = Four(rows + 8, at, high);
        var (d0, d1) = Four(rows + 12, at, high);
        Lanes<T>(a0, b0, c0, d0, target);
        Lanes<T>(a1, b1, c1, d1, target + T.Depths * Width);
    }

    /// <summary>Lane l of result j holds lane 4 l + j of the four rows, or 4 l + j + 2 in the higher half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> First, Vector512<float> Second) Four(byte** rows, int at, bool high)
    {
        var (r0, r1, r2, r3) = (Vector512.Load((float*)(rows[0] + at)), Vector512.Load((float*)(rows[1] + at)),
            Vector512.Load((float*)(rows[2] + at)), Vector512.Load((float*)(rows[3] + at)));
        var (r01, r23) = high
            ? (Avx512F.UnpackHigh(r0, r1).AsDouble(), Avx512F.UnpackHigh(r2, r3).AsDouble())
            : (Avx512F.UnpackLow(r0, r1).AsDouble(), Avx512F.UnpackLow(r2, r3).AsDouble());
        return (Avx512F.UnpackLow(r01, r23).AsSingle(), Avx512F.UnpackHigh(r01, r23).AsSingle());
    }

    /// <summary>
    /// Combines the same lane of four groups of four rows into one vector of sixteen outputs, for four lanes that are four apart.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Lanes<T>(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* target)
        where T : struct, ILane
    {
        var (ab01, ab23) = (Avx512F.Shuffle4x128(a, b, 0x44), Avx512F.Shuffle4x128(a, b, 0xEE));
        var (cd01, cd23) = (Avx512F.Shuffle4x128(c, d, 0x44), Avx512F.Shuffle4x128(c, d, 0xEE));
        T.Store(Avx512F.Shuffle4x128(ab01, cd01, 0x88), target);
        T.Store(Avx512F.Shuffle4x128(ab01, cd01, 0xDD), target + 4 * T.Depths * Width);
        T.Store(Avx512F.Shuffle4x128(ab23, cd23, 0x88), target + 8 * T.Depths * Width);
        T.Store(Avx512F.Shuffle4x128(ab23, cd23, 0xDD), target + 12 * T.Depths * Width);
    }

    /// <summary>The weights in 32 bits of a stored row.</summary>
    private interface ILane
    {
        static abstract int Depths { get; }

        /// <summary>Writes one lane of sixteen outputs; each of its depths becomes a row of the panel.</summary>
        static abstract void Store(Vector512<float> lanes, float* target);
    }

    private readonly struct Single : ILane
    {
        public static int Depths => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> lanes, float* target) => lanes.Store(target);
    }

    private readonly struct Brain : ILane
    {
        public static int Depths => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> lanes, float* target)
        {
            (lanes.AsUInt32() << 16).AsSingle().Store(target);
            (lanes.AsUInt32() & Vector512.Create(0xFFFF0000u)).AsSingle().Store(target + Width);
        }
    }

    private readonly struct HalfPrecision : ILane
    {
        public static int Depths => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> lanes, float* target)
        {
            Widen(lanes.AsUInt32() & Vector512.Create(0xFFFFu)).Store(target);
            Widen(lanes.AsUInt32() >> 16).Store(target + Width);
        }

        // Shifting exponent and mantissa into place gives the value times 2^-112, subnormals included. Infinity and NaN need an exponent of
        // all ones.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<float> Widen(Vector512<uint> bits)
        {
            var magnitude = (bits & Vector512.Create(0x7fffu)) << 13;
            var value = magnitude.AsSingle() * Vector512.Create(BitConverter.UInt32BitsToSingle(0x77800000));
            var special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x7c00u << 13));
            value = Vector512.ConditionalSelect(special.AsSingle(), (magnitude | Vector512.Create(0x7f800000u)).AsSingle(), value);
            return (value.AsUInt32() | ((bits & Vector512.Create(0x8000u)) << 16)).AsSingle();
        }
    }
}
