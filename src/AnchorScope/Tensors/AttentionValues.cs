using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>
/// Values [d_head/16][pos][16] weighted with the probabilities of queries. Each output is one chain over the keys, first to last.
/// </summary>
internal static unsafe class AttentionValues
{
    /// <summary>Prefetch distance in floats: 64 keys.</summary>
    private const int Ahead = 1024;

    /// <summary>
    /// Sums <paramref name="count"/> weighted values of <paramref name="kept"/>. Adds to the outputs, or overwrites them if
    /// <paramref name="fresh"/>.
    /// </summary>
    /// <param name="start">Position of the first of these keys.</param>
    /// <param name="scores">Probabilities, one row per query, starting at the first of these keys.</param>
    public static void Of(Span<QueryRow> rows, float* scores, int stride, int size, KeyValues kept, int start, int count,
        int layer, int head, bool fresh)
    {
        const int Most = AttentionKernel.Rows + AttentionKernel.RowsPerBlock;
        var probabilities = stackalloc float*[Most];
        var outputs = stackalloc float*[Most];
        for (var i = 0; i < Most; i++)
        {
            var row = Math.Min(i, rows.Length - 1);
            probabilities[i] = scores + (long)row * stride;
            outputs[i] = rows[row].Output;
        }
        var v = kept.Values(layer, head);
        for (var column = 0; column < size; column += 32, v += 2 * kept.ValuePanel)
        {
            for (var first = 0; first < rows.Length; first += AttentionKernel.RowsPerBlock)
            {
                float** p = probabilities + first, z = outputs + first;
                var some = Math.Min(AttentionKernel.RowsPerBlock, rows.Length - first);
                var visible = AttentionKernel.Visible(rows, first, start, count);
                if (column + 32 > size)
                {
                    for (var c = column; c < size; c += 16)
                        ValuesOfEight(p, v + (c - column) / 16 * kept.ValuePanel, visible, z, some, c, Math.Min(16, size - c), fresh);
                }
                else if (some > 4) ValuesOfEightInPairs(p, v, v + kept.ValuePanel, visible, z, some, column, fresh);
                else ValuesOfFourInPairs(p, v, v + kept.ValuePanel, visible, z, some, column, fresh);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ValuesOfEightInPairs(float** p, float* v, float* w, int count, float** z, int rows, int column, bool fresh)
    {
        float* p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3], p4 = p[4], p5 = p[5], p6 = p[6], p7 = p[7];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default;
        if (!fresh)
        {
            a0 = Vector512.Load(z[0] + column); b0 = Vector512.Load(z[0] + column + 16);
            a1 = Vector512.Load(z[1] + column); b1 = Vector512.Load(z[1] + column + 16);
            a2 = Vector512.Load(z[2] + column); b2 = Vector512.Load(z[2] + column + 16);
            a3 = Vector512.Load(z[3] + column); b3 = Vector512.Load(z[3] + column + 16);
            a4 = Vector512.Load(z[4] + column); b4 = Vector512.Load(z[4] + column + 16);
            a5 = Vector512.Load(z[5] + column); b5 = Vector512.Load(z[5] + column + 16);
            a6 = Vector512.Load(z[6] + column); b6 = Vector512.Load(z[6] + column + 16);
            a7 = Vector512.Load(z[7] + column); b7 = Vector512.Load(z[7] + column + 16);
        }
        for (var key = 0; key < count; key++, v += 16, w += 16)
        {
            var (x, y) = (Vector512.Load(v), Vector512.Load(w));
            AttentionScores.Ask(v + Ahead, w + Ahead);
            var s = Vector512.Create(p0[key]);
            a0 = Vector512.FusedMultiplyAdd(s, x, a0); b0 = Vector512.FusedMultiplyAdd(s, y, b0);
            s = Vector512.Create(p1[key]);
            a1 = Vector512.FusedMultiplyAdd(s, x, a1); b1 = Vector512.FusedMultiplyAdd(s, y, b1);
            s = Vector512.Create(p2[key]);
            a2 = Vector512.FusedMultiplyAdd(s, x, a2); b2 = Vector512.FusedMultiplyAdd(s, y, b2);
            s = Vector512.Create(p3[key]);
            a3 = Vector512.FusedMultiplyAdd(s, x, a3); b3 = Vector512.FusedMultiplyAdd(s, y, b3);
            s = Vector512.Create(p4[key]);
            a4 = Vector512.FusedMultiplyAdd(s, x, a4); b4 = Vector512.FusedMultiplyAdd(s, y, b4);
            s = Vector512.Create(p5[key]);
            a5 = Vector512.FusedMultiplyAdd(s, x, a5); b5 = Vector512.FusedMultiplyAdd(s, y, b5);
            s = Vector512.Create(p6[key]);
            a6 = Vector512.FusedMultiplyAdd(s, x, a6); b6 = Vector512.FusedMultiplyAdd(s, y, b6);
            s = Vector512.Create(p7[key]);
            a7 = Vector512.FusedMultiplyAdd(s, x, a7); b7 = Vector512.FusedMultiplyAdd(s, y, b7);
        }
        Keep(a0, b0, z[0] + column);
        if (rows > 1) Keep(a1, b1, z[1] + column);
        if (rows > 2) Keep(a2, b2, z[2] + column);
        if (rows > 3) Keep(a3, b3, z[3] + column);
        if (rows > 4) Keep(a4, b4, z[4] + column);
        if (rows > 5) Keep(a5, b5, z[5] + column);
        if (rows > 6) Keep(a6, b6, z[6] + column);
        if (rows > 7) Keep(a7, b7, z[7] + column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ValuesOfFourInPairs(float** p, float* v, float* w, int count, float** z, int rows, int column, bool fresh)
    {
        float* p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
        if (!fresh)
        {
            a0 = Vector512.Load(z[0] + column); b0 = Vector512.Load(z[0] + column + 16);
            a1 = Vector512.Load(z[1] + column); b1 = Vector512.Load(z[1] + column + 16);
            a2 = Vector512.Load(z[2] + column); b2 = Vector512.Load(z[2] + column + 16);
            a3 = Vector512.Load(z[3] + column); b3 = Vector512.Load(z[3] + column + 16);
        }
        for (var key = 0; key < count; key++, v += 16, w += 16)
        {
            var (x, y) = (Vector512.Load(v), Vector512.Load(w));
            AttentionScores.Ask(v + Ahead, w + Ahead);
            var s = Vector512.Create(p0[key]);
            a0 = Vector512.FusedMultiplyAdd(s, x, a0); b0 = Vector512.FusedMultiplyAdd(s, y, b0);
            s = Vector512.Create(p1[key]);
            a1 = Vector512.FusedMultiplyAdd(s, x, a1); b1 = Vector512.FusedMultiplyAdd(s, y, b1);
            s = Vector512.Create(p2[key]);
            a2 = Vector512.FusedMultiplyAdd(s, x, a2); b2 = Vector512.FusedMultiplyAdd(s, y, b2);
            s = Vector512.Create(p3[key]);
            a3 = Vector512.FusedMultiplyAdd(s, x, a3); b3 = Vector512.FusedMultiplyAdd(s, y, b3);
        }
        Keep(a0, b0, z[0] + column);
        if (rows > 1) Keep(a1, b1, z[1] + column);
        if (rows > 2) Keep(a2, b2, z[2] + column);
        if (rows > 3) Keep(a3, b3, z[3] + column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ValuesOfEight(float** p, float* v, int count, float** z, int rows, int column, int width, bool fresh)
    {
        float* p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3], p4 = p[4], p5 = p[5], p6 = p[6], p7 = p[7];
        var edge = stackalloc float[16];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        if (!fresh)
        {
            a0 = Load(z[0] + column, width, edge);
            a1 = Load(z[1] + column, width, edge);
            a2 = Load(z[2] + column, width, edge);
            a3 = Load(z[3] + column, width, edge);
            a4 = Load(z[4] + column, width, edge);
            a5 = Load(z[5] + column, width, edge);
            a6 = Load(z[6] + column, width, edge);
            a7 = Load(z[7] + column, width, edge);
        }
        for (var key = 0; key < count; key++, v += 16)
        {
            var x = Vector512.Load(v);
            a0 = Vector512.FusedMultiplyAdd(Vector512.Create(p0[key]), x, a0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Create(p1[key]), x, a1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Create(p2[key]), x, a2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Create(p3[key]), x, a3);
            a4 = Vector512.FusedMultiplyAdd(Vector512.Create(p4[key]), x, a4);
            a5 = Vector512.FusedMultiplyAdd(Vector512.Create(p5[key]), x, a5);
            a6 = Vector512.FusedMultiplyAdd(Vector512.Create(p6[key]), x, a6);
            a7 = Vector512.FusedMultiplyAdd(Vector512.Create(p7[key]), x, a7);
        }
        Keep(a0, z[0] + column, width, edge);
        if (rows > 1) Keep(a1, z[1] + column, width, edge);
        if (rows > 2) Keep(a2, z[2] + column, width, edge);
        if (rows > 3) Keep(a3, z[3] + column, width, edge);
        if (rows > 4) Keep(a4, z[4] + column, width, edge);
        if (rows > 5) Keep(a5, z[5] + column, width, edge);
        if (rows > 6) Keep(a6, z[6] + column, width, edge);
        if (rows > 7) Keep(a7, z[7] + column, width, edge);
    }

    private static Vector512<float> Load(float* z, int width, float* edge)
    {
        if (width == 16) return Vector512.Load(z);
        new Span<float>(z, width).CopyTo(new Span<float>(edge, width));
        return Vector512.Load(edge);
    }

    private static void Keep(Vector512<float> low, Vector512<float> high, float* z)
    {
        low.Store(z);
        high.Store(z + 16);
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
