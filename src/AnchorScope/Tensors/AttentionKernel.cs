using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>Keys that one head must not see from certain query positions: half-open ranges of positions.</summary>
/// <param name="Query">Absolute position of the query.</param>
/// <param name="From">First key position removed.</param>
/// <param name="To">First key position after the removed ones.</param>
internal readonly record struct CutEdge(int Query, int From, int To);

/// <summary>One query of one head: a row of scores.</summary>
internal unsafe struct QueryRow
{
    /// <summary>The query [d_head].</summary>
    public float* Query;

    /// <summary>Where its output z goes [d_head].</summary>
    public float* Output;

    /// <summary>How many keys it sees, the past's counted.</summary>
    public int Seen;

    /// <summary>Keys and values behind the past's.</summary>
    public KeyValues Own;

    /// <summary>Edges removed for this head, ordered by query; null for none.</summary>
    public CutEdge[]? Cuts;

    /// <summary>Absolute position of the query, to find its cuts.</summary>
    public int Position;

    /// <summary>Where to keep probabilities [keys], or null.</summary>
    public float* Pattern;

    /// <summary>Length of <see cref="Pattern"/>.</summary>
    public int Keys;
}

/// <summary>softmax(q k^T / sqrt(d_head)) v for up to eight queries that share one key/value head and one past, whoever's they are.</summary>
/// <remarks>
/// Scores of a query stand in one row, indexed by absolute key position, wherever its keys are kept: maximum, sum (sixteen
/// lanes, by position modulo 16) and weighted values (keys first to last) come in the same order with or without a past, alone or
/// packed. Causality is by position; a removed edge has exactly zero probability. Softmax is in float32.
/// </remarks>
internal static unsafe class AttentionKernel
{
    /// <summary>Queries that one call takes.</summary>
    public const int Rows = 8;

    /// <summary>Up to <see cref="Rows"/> queries of one key/value head.</summary>
    /// <param name="past">Frozen keys and values in front of each row's own, of which <paramref name="pastCount"/> count, or null.</param>
    /// <param name="scratch">Scratch of <see cref="ScratchFloats"/>.</param>
    public static void Attend(Span<QueryRow> rows, int layer, int keyHead, KeyValues? past, int pastCount, float* scratch)
    {
        var size = rows[0].Own.HeadSize;
        var most = 0;
        foreach (ref var row in rows) most = Math.Max(most, row.Seen);
        var stride = Padded(most);
        var inPast = Math.Min(pastCount, most);
        // Rows past the end repeat the last one; what they write is written over or not read.
        var queries = stackalloc float*[2 * Rows];
        for (var i = 0; i < 2 * Rows; i++) queries[i] = rows[Math.Min(i, rows.Length - 1)].Query;
        if (inPast > 0) Scores(queries, rows.Length, size, past!.Keys(layer, keyHead), inPast, scratch, stride);
        for (var (from, to) = (0, 0); from < rows.Length; from = to)
        {
            to = SameOwn(rows, from, out var seen);
            if (seen > pastCount) Scores(queries + from, to - from, size, rows[from].Own.Keys(layer, keyHead), seen - pastCount, scratch + (long)from * stride + pastCount, stride);
        }
        var scale = 1f / MathF.Sqrt(size);
        for (var i = 0; i < rows.Length; i++) Softmax(ref rows[i], new Span<float>(scratch + (long)i * stride, (most + 15) / 16 * 16), scale);
        if (inPast > 0) Values(rows, scratch, stride, size, past!, inPast, layer, keyHead, fresh: true);
        for (var (from, to) = (0, 0); from < rows.Length; from = to)
        {
            to = SameOwn(rows, from, out var seen);
            if (seen > pastCount) Values(rows[from..to], scratch + (long)from * stride + pastCount, stride, size, rows[from].Own, seen - pastCount, layer, keyHead, fresh: inPast == 0);
        }
    }

    /// <summary>Floats of scratch that <see cref="Attend"/> needs for <paramref name="keys"/> keys.</summary>
    public static long ScratchFloats(int keys) => 2L * Rows * Padded(keys);

    // Key panels of past and own keys each write up to 15 scores past their end.
    private static int Padded(int keys) => (keys + 15) / 16 * 16 + 32;

    /// <returns>The first row behind <paramref name="from"/> with other keys of its own.</returns>
    private static int SameOwn(Span<QueryRow> rows, int from, out int seen)
    {
        (var to, seen) = (from, 0);
        for (; to < rows.Length && rows[to].Own == rows[from].Own; to++) seen = Math.Max(seen, rows[to].Seen);
        return to;
    }

    private static void Scores(float** q, int rows, int size, float* panels, int count, float* scores, int stride)
    {
        if (rows > 4) ScoresOfEight(q, size, panels, count, scores, stride);
        else ScoresOfFour(q, size, panels, count, scores, stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoresOfEight(float** q, int size, float* panels, int count, float* scores, int stride)
    {
        float* q0 = q[0], q1 = q[1], q2 = q[2], q3 = q[3], q4 = q[4], q5 = q[5], q6 = q[6], q7 = q[7];
        for (var key = 0; key < count; key += 16)
        {
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
            for (var d = 0; d < size; d++, panels += 16)
            {
                var k = Vector512.Load(panels);
                a0 = Vector512.FusedMultiplyAdd(Vector512.Create(q0[d]), k, a0);
                a1 = Vector512.FusedMultiplyAdd(Vector512.Create(q1[d]), k, a1);
                a2 = Vector512.FusedMultiplyAdd(Vector512.Create(q2[d]), k, a2);
                a3 = Vector512.FusedMultiplyAdd(Vector512.Create(q3[d]), k, a3);
                a4 = Vector512.FusedMultiplyAdd(Vector512.Create(q4[d]), k, a4);
                a5 = Vector512.FusedMultiplyAdd(Vector512.Create(q5[d]), k, a5);
                a6 = Vector512.FusedMultiplyAdd(Vector512.Create(q6[d]), k, a6);
                a7 = Vector512.FusedMultiplyAdd(Vector512.Create(q7[d]), k, a7);
            }
            var target = scores + key;
            a0.Store(target);
            a1.Store(target + stride);
            a2.Store(target + 2L * stride);
            a3.Store(target + 3L * stride);
            a4.Store(target + 4L * stride);
            a5.Store(target + 5L * stride);
            a6.Store(target + 6L * stride);
            a7.Store(target + 7L * stride);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoresOfFour(float** q, int size, float* panels, int count, float* scores, int stride)
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
            a2.Store(target + 2L * stride);
            a3.Store(target + 3L * stride);
        }
    }

    /// <summary>Scores to probabilities: what the query does not see, and what is cut, is exactly zero.</summary>
    private static void Softmax(ref QueryRow query, Span<float> row, float scale)
    {
        row[query.Seen..].Fill(float.NegativeInfinity);
        if (query.Cuts is { } cuts)
        {
            for (var i = FirstCut(cuts, query.Position); i < cuts.Length && cuts[i].Query == query.Position; i++)
            {
                if (cuts[i].From < query.Seen) row[cuts[i].From..Math.Min(cuts[i].To, query.Seen)].Fill(float.NegativeInfinity);
            }
        }
        var seen = (query.Seen + 15) / 16 * 16;
        Softmax(row[..seen], scale);
        row[seen..].Clear();
        if (query.Pattern == null) return;
        var pattern = new Span<float>(query.Pattern, query.Keys);
        var kept = Math.Min(row.Length, query.Keys);
        row[..kept].CopyTo(pattern);
        pattern[kept..].Clear();
    }

    private static int FirstCut(CutEdge[] cuts, int position)
    {
        var (low, high) = (0, cuts.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (cuts[middle].Query < position) low = middle + 1;
            else high = middle;
        }
        return low;
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

    private static void Values(Span<QueryRow> rows, float* scores, int stride, int size, KeyValues kept, int count, int layer, int head, bool fresh)
    {
        var probabilities = stackalloc float*[Rows];
        var outputs = stackalloc float*[Rows];
        for (var i = 0; i < Rows; i++)
        {
            var row = Math.Min(i, rows.Length - 1);
            probabilities[i] = scores + (long)row * stride;
            outputs[i] = rows[row].Output;
        }
        for (var column = 0; column < size; column += 16)
        {
            var width = Math.Min(16, size - column);
            var v = kept.Values(layer, head) + column;
            if (rows.Length > 4) ValuesOfEight(probabilities, v, kept.ValueStride, count, outputs, rows.Length, column, width, fresh);
            else ValuesOfFour(probabilities, v, kept.ValueStride, count, outputs, rows.Length, column, width, fresh);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ValuesOfEight(float** p, float* v, int stride, int count, float** z, int rows, int column, int width, bool fresh)
    {
        float* p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3], p4 = p[4], p5 = p[5], p6 = p[6], p7 = p[7];
        var edge = stackalloc float[16];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        if (!fresh)
        {
            (a0, a1, a2, a3) = (Load(z[0] + column, width, edge), Load(z[1] + column, width, edge), Load(z[2] + column, width, edge), Load(z[3] + column, width, edge));
            (a4, a5, a6, a7) = (Load(z[4] + column, width, edge), Load(z[5] + column, width, edge), Load(z[6] + column, width, edge), Load(z[7] + column, width, edge));
        }
        for (var key = 0; key < count; key++, v += stride)
        {
            var value = Vector512.Load(v);
            a0 = Vector512.FusedMultiplyAdd(Vector512.Create(p0[key]), value, a0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Create(p1[key]), value, a1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Create(p2[key]), value, a2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Create(p3[key]), value, a3);
            a4 = Vector512.FusedMultiplyAdd(Vector512.Create(p4[key]), value, a4);
            a5 = Vector512.FusedMultiplyAdd(Vector512.Create(p5[key]), value, a5);
            a6 = Vector512.FusedMultiplyAdd(Vector512.Create(p6[key]), value, a6);
            a7 = Vector512.FusedMultiplyAdd(Vector512.Create(p7[key]), value, a7);
        }
        Keep(a0, z[0] + column, width, edge);
        Keep(a1, z[1] + column, width, edge);
        Keep(a2, z[2] + column, width, edge);
        Keep(a3, z[3] + column, width, edge);
        Keep(a4, z[4] + column, width, edge);
        if (rows > 5) Keep(a5, z[5] + column, width, edge);
        if (rows > 6) Keep(a6, z[6] + column, width, edge);
        if (rows > 7) Keep(a7, z[7] + column, width, edge);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ValuesOfFour(float** p, float* v, int stride, int count, float** z, int rows, int column, int width, bool fresh)
    {
        float* p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];
        var edge = stackalloc float[16];
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        if (!fresh) (a0, a1, a2, a3) = (Load(z[0] + column, width, edge), Load(z[1] + column, width, edge), Load(z[2] + column, width, edge), Load(z[3] + column, width, edge));
        for (var key = 0; key < count; key++, v += stride)
        {
            var value = Vector512.Load(v);
            a0 = Vector512.FusedMultiplyAdd(Vector512.Create(p0[key]), value, a0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Create(p1[key]), value, a1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Create(p2[key]), value, a2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Create(p3[key]), value, a3);
        }
        Keep(a0, z[0] + column, width, edge);
        if (rows > 1) Keep(a1, z[1] + column, width, edge);
        if (rows > 2) Keep(a2, z[2] + column, width, edge);
        if (rows > 3) Keep(a3, z[3] + column, width, edge);
    }

    private static Vector512<float> Load(float* z, int width, float* edge)
    {
        if (width == 16) return Vector512.Load(z);
        new Span<float>(z, width).CopyTo(new Span<float>(edge, width));
        return Vector512.Load(edge);
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
