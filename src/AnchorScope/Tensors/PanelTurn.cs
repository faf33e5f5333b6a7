using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>
/// Turns weights as they are stored, an output's depth in a row, into a panel [depth, 32] of float32: on machines with AVX-512 four outputs
/// at a time in registers, 16-bit types two depths in a lane, otherwise one by one. Values are widened exactly, so the way changes no bit.
/// </summary>
internal static unsafe class PanelTurn
{
    private const int Width = PanelMatMul.Width;

    /// <summary>Outputs [first, first + 32) of <paramref name="weight"/> [outputs, depth]; missing outputs are zero.</summary>
    /// <param name="panel">[depth, 32].</param>
    public static void Turn(Weight weight, int first, float* panel)
    {
        var rows = stackalloc byte*[Width];
        var outputs = Rows(weight, first, rows);
        Turn(rows, outputs, weight.Type, 0, (int)(weight.Count / weight.Shape[0]), panel);
    }

    /// <summary>Where the rows of a panel lie.</summary>
    /// <returns>How many there are, at most 32.</returns>
    public static int Rows(Weight weight, int first, byte** rows)
    {
        var outputs = (int)Math.Min(Width, weight.Shape[0] - first);
        for (var output = 0; output < outputs; output++) rows[output] = weight.RowAddress(first + output);
        return outputs;
    }

    /// <summary>The same for depths [from, from + count) of rows that are known.</summary>
    /// <param name="panel">[count, 32].</param>
    public static void Turn(byte** whole, int outputs, StoredType type, int from, int count, float* panel)
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

    /// <summary>Depths [done, count) without vectors.</summary>
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

    /// <returns>Depths that are done: whole blocks only.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Blocks<T>(byte** rows, int count, float* panel)
        where T : struct, ILane
    {
        var block = 16 * T.Depths;
        var whole = count / block * block;
        // Four rows at a time from one end to the other: as many streams as the memory can follow.
        for (var output = 0; output < Width; output += 4)
        {
            byte* row0 = rows[output], row1 = rows[output + 1], row2 = rows[output + 2], row3 = rows[output + 3];
            var target = panel + output;
            for (var done = 0; done < whole; done += block)
            {
                var at = done * (4 / T.Depths);
                var (r0, r1, r2, r3) = (Vector512.Load((float*)(row0 + at)), Vector512.Load((float*)(row1 + at)), Vector512.Load((float*)(row2 + at)), Vector512.Load((float*)(row3 + at)));
                var (low01, high01) = (Avx512F.UnpackLow(r0, r1).AsDouble(), Avx512F.UnpackHigh(r0, r1).AsDouble());
                var (low23, high23) = (Avx512F.UnpackLow(r2, r3).AsDouble(), Avx512F.UnpackHigh(r2, r3).AsDouble());
                // Lane l of the j-th holds depth 4 l + j of the four outputs.
                T.Store(Avx512F.UnpackLow(low01, low23).AsSingle(), target);
                T.Store(Avx512F.UnpackHigh(low01, low23).AsSingle(), target + T.Depths * Width);
                T.Store(Avx512F.UnpackLow(high01, high23).AsSingle(), target + 2 * T.Depths * Width);
                T.Store(Avx512F.UnpackHigh(high01, high23).AsSingle(), target + 3 * T.Depths * Width);
                target += block * Width;
            }
        }
        return whole;
    }

    /// <summary>Writes each lane of four outputs to its depth; lanes are <paramref name="step"/> depths apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreLanes(Vector512<float> lanes, float* target, int step)
    {
        Avx512F.ExtractVector128(lanes, 0).Store(target);
        Avx512F.ExtractVector128(lanes, 1).Store(target + step * Width);
        Avx512F.ExtractVector128(lanes, 2).Store(target + 2 * step * Width);
        Avx512F.ExtractVector128(lanes, 3).Store(target + 3 * step * Width);
    }

    /// <summary>What 32 bits of a stored row hold.</summary>
    private interface ILane
    {
        static abstract int Depths { get; }

        /// <summary>Writes four outputs at four places of the depth, each of the lane's depths a panel's row apart.</summary>
        static abstract void Store(Vector512<float> lanes, float* target);
    }

    private readonly struct Single : ILane
    {
        public static int Depths => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> lanes, float* target) => StoreLanes(lanes, target, 4);
    }

    private readonly struct Brain : ILane
    {
        public static int Depths => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> lanes, float* target)
        {
            StoreLanes((lanes.AsUInt32() << 16).AsSingle(), target, 8);
            StoreLanes((lanes.AsUInt32() & Vector512.Create(0xFFFF0000u)).AsSingle(), target + Width, 8);
        }
    }

    private readonly struct HalfPrecision : ILane
    {
        public static int Depths => 2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector512<float> lanes, float* target)
        {
            StoreLanes(Widen(lanes.AsUInt32() & Vector512.Create(0xFFFFu)), target, 8);
            StoreLanes(Widen(lanes.AsUInt32() >> 16), target + Width, 8);
        }

        // Exponent and mantissa moved to their place make the value times 2^-112, subnormals included; infinities need all ones.
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
