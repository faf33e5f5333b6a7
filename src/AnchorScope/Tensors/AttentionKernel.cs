using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>Keys that one head must not see from certain query positions: half-open ranges of positions.</summary>
/// <param name="Query">Absolute position of the query.</param>
/// <param name="From">First key position removed.</param>
/// <param name="To">First key position after the removed ones.</param>
internal readonly record struct CutEdge(int Query, int From, int To);

/// <summary>softmax(q k^T / sqrt(d_head)) v for one head and consecutive query positions, over a shared past and own keys.</summary>
/// <remarks>
/// Scores of a query stand in one row, indexed by absolute key position, wherever its keys are kept: maximum, sum (sixteen
/// lanes, by position modulo 16) and weighted values (keys first to last) come in the same order with or without a past, alone or
/// packed. Causality is by position; a removed edge has exactly zero probability. Softmax is in float32.
/// </remarks>
internal static unsafe class AttentionKernel
{
    private const int Block = 4;

    /// <param name="q">First query of this head; queries lie <paramref name="qStride"/> floats apart.</param>
    /// <param name="queries">Number of queries.</param>
    /// <param name="firstPosition">Absolute position of the first query.</param>
    /// <param name="causal">A query sees keys up to its own position; otherwise all.</param>
    /// <param name="past">Frozen keys and values of positions before <paramref name="own"/>, of which <paramref name="pastCount"/> count, or null.</param>
    /// <param name="own">Keys and values of this run, <paramref name="ownCount"/> of them.</param>
    /// <param name="cuts">Edges removed for this head, ordered by query.</param>
    /// <param name="z">Output, laid out as <paramref name="q"/> with <paramref name="zStride"/>.</param>
    /// <param name="pattern">Where to keep probabilities [queries, keys], or empty.</param>
    /// <param name="scratch">Scratch of <see cref="ScratchFloats"/>.</param>
    public static void Head(
        float* q, int qStride, int queries, int firstPosition, bool causal, int layer, int keyHead,
        KeyValues? past, int pastCount, KeyValues own, int ownCount, ReadOnlySpan<CutEdge> cuts,
        float* z, int zStride, Span<float> pattern, float* scratch)
    {
        var size = own.HeadSize;
        var keys = pastCount + ownCount;
        var padded = Padded(keys);
        var scale = 1f / MathF.Sqrt(size);
        var scores = new Tensor(scratch, Block, padded);
        var cut = 0;
        var heads = stackalloc float*[Block];
        for (var first = 0; first < queries; first += Block)
        {
            var rows = Math.Min(Block, queries - first);
            for (var r = 0; r < Block; r++) heads[r] = q + (long)(first + Math.Min(r, rows - 1)) * qStride;
            var visible = causal ? Math.Min(keys, firstPosition + first + rows) : keys;
            if (pastCount > 0) Scores(heads, size, past!.Keys(layer, keyHead), Math.Min(pastCount, visible), scores.Data, padded);
            if (visible > pastCount) Scores(heads, size, own.Keys(layer, keyHead), visible - pastCount, scores.Data + pastCount, padded);
            for (var r = 0; r < rows; r++)
            {
                var position = firstPosition + first + r;
                var row = scores[r];
                var seen = causal ? Math.Min(keys, position + 1) : keys;
                row[seen..].Fill(float.NegativeInfinity);
                while (cut < cuts.Length && cuts[cut].Query < position) cut++;
                for (; cut < cuts.Length && cuts[cut].Query == position; cut++)
                {
                    if (cuts[cut].From < seen) row[cuts[cut].From..Math.Min(cuts[cut].To, seen)].Fill(float.NegativeInfinity);
                }
                Softmax(row[..((seen + 15) / 16 * 16)], scale);
                row[((seen + 15) / 16 * 16)..].Clear();
                if (!pattern.IsEmpty) row[..keys].CopyTo(pattern.Slice((first + r) * keys, keys));
            }
            for (var r = rows; r < Block; r++) scores[r].Clear();
            Values(scores, rows, size, past, Math.Min(pastCount, visible), own, visible - Math.Min(pastCount, visible), layer, keyHead, z + (long)first * zStride, zStride);
        }
    }

    /// <summary>Floats of scratch that <see cref="Head"/> needs for <paramref name="keys"/> keys.</summary>
    public static long ScratchFloats(int keys) => (long)Block * Padded(keys);

    // Key panels of past and own keys each write up to 15 scores past their end.
    private static int Padded(int keys) => (keys + 15) / 16 * 16 + 32;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scores(float** q, int size, float* panels, int count, float* scores, int stride)
    {
        float* q0 = q[0], q1 = q[1], q2 = q[2], q3 = q[3];
        for (var key = 0; key < count; key += 16)
        {
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
            for (var d = 0; d < size; d++, panels += 16)
            {
                var k = Vector512.Load(panels);
                a0 = Vector512.FusedMultiplyAdd(Vector512.Create(q0[d]), k, a0);
                a1 = Vector512.FusedMultiplyAdd(Vector512.Create(q1[d]), k, a1);
                a2 = Vector512.FusedMultiplyAdd(Vector512.Create(q2[d]), k, a2);
                a3 = Vector512.FusedMultiplyAdd(Vector512.Create(q3[d]), k, a3);
            }
            var target = scores + key;
            a0.Store(target);
            a1.Store(target + stride);
            a2.Store(target + 2 * stride);
            a3.Store(target + 3 * stride);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(Span<float> row, float scale)
    {
        fixed (float* s = row)
        {
            var highest = Vector512.Create(float.NegativeInfinity);
            for (var i = 0; i < row.Length; i += 16) highest = Vector512.Max(highest, Vector512.Load(s + i));
            var top = float.NegativeInfinity;
            for (var lane = 0; lane < 16; lane++) top = MathF.Max(top, highest[lane]);
            var shift = Vector512.Create(top * scale);
            var sums = Vector512<float>.Zero;
            for (var i = 0; i < row.Length; i += 16)
            {
                var e = Exp.Of(Vector512.Load(s + i) * scale - shift);
                e.Store(s + i);
                sums += e;
            }
            var total = Vector512.Create(DirectMatMul.Fold(sums));
            for (var i = 0; i < row.Length; i += 16) (Vector512.Load(s + i) / total).Store(s + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Values(
        Tensor scores, int rows, int size, KeyValues? past, int pastCount, KeyValues own, int ownCount, int layer, int head, float* z, int zStride)
    {
        var edge = stackalloc float[16];
        float* p0 = scores.Data, p1 = p0 + scores.Columns, p2 = p1 + scores.Columns, p3 = p2 + scores.Columns;
        for (var column = 0; column < size; column += 16)
        {
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
            for (var part = 0; part < 2; part++)
            {
                var count = part == 0 ? pastCount : ownCount;
                if (count == 0) continue;
                var kept = part == 0 ? past! : own;
                var v = kept.Values(layer, head) + column;
                var offset = part == 0 ? 0 : pastCount;
                for (var key = offset; key < offset + count; key++, v += kept.ValueStride)
                {
                    var value = Vector512.Load(v);
                    a0 = Vector512.FusedMultiplyAdd(Vector512.Create(p0[key]), value, a0);
                    a1 = Vector512.FusedMultiplyAdd(Vector512.Create(p1[key]), value, a1);
                    a2 = Vector512.FusedMultiplyAdd(Vector512.Create(p2[key]), value, a2);
                    a3 = Vector512.FusedMultiplyAdd(Vector512.Create(p3[key]), value, a3);
                }
            }
            var width = Math.Min(16, size - column);
            Keep(a0, z + column, width, edge);
            if (rows > 1) Keep(a1, z + zStride + column, width, edge);
            if (rows > 2) Keep(a2, z + 2 * zStride + column, width, edge);
            if (rows > 3) Keep(a3, z + 3 * zStride + column, width, edge);
        }
    }

    private static void Keep(Vector512<float> sum, float* z, int width, float* edge)
    {
        if (width == 16)
        {
            sum.Store(z);
            return;
        }
        sum.Store(edge);
        new Span<float>(edge, width).CopyTo(new Span<float>(z, width));
    }
}
