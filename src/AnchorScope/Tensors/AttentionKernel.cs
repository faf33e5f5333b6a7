using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>An edit of pre-softmax scores: one query and a half-open range of key positions.</summary>
/// <param name="Query">Absolute position of the query.</param>
/// <param name="From">First key position.</param>
/// <param name="To">First key position after the range.</param>
/// <param name="Added">Added to q k^T / sqrt(d_head); minus infinity removes the edge.</param>
internal readonly record struct ScoreEdit(int Query, int From, int To, float Added = float.NegativeInfinity)
{
    /// <summary>Applies the edit to a row of products q k^T that are not yet divided by sqrt(d_head).</summary>
    /// <param name="row">Indexed by key position; positions of the range at or beyond its end are ignored.</param>
    public void Apply(Span<float> row, int size)
    {
        if (From >= row.Length) return;
        var keys = row[From..Math.Min(To, row.Length)];
        if (float.IsNegativeInfinity(Added)) keys.Fill(float.NegativeInfinity);
        else System.Numerics.Tensors.TensorPrimitives.Add(keys, Added * MathF.Sqrt(size), keys);
    }
}

/// <summary>One query of one head: a row of scores.</summary>
internal unsafe struct QueryRow
{
    /// <summary>The query [d_head].</summary>
    public float* Query;

    /// <summary>Destination of its output z [d_head].</summary>
    public float* Output;

    /// <summary>Number of keys it attends to, including those of the prefix.</summary>
    public int Seen;

    /// <summary>Keys and values after those of the prefix.</summary>
    public KeyValues Own;

    /// <summary>Score edits of this head, ordered by query; null for none.</summary>
    public ScoreEdit[]? Scores;

    /// <summary>Absolute position of the query, used to find its edits in <see cref="Scores"/>.</summary>
    public int Position;

    /// <summary>Probabilities of a donor run [keys] that replace the query's own; null for none.</summary>
    public float* Given;

    /// <summary>Destination of the probabilities [keys]; null to discard them.</summary>
    public float* Pattern;

    /// <summary>Length of <see cref="Pattern"/> and <see cref="Given"/>.</summary>
    public int Keys;
}

/// <summary>softmax(q k^T / sqrt(d_head)) v for queries, of any runs, that share one key/value head and one frozen prefix.</summary>
/// <remarks>
/// The scores of a query form one row, indexed by absolute key position, wherever its keys are stored. Maximum, sum (sixteen lanes, by
/// position modulo 16) and weighted values (keys first to last) are therefore computed in the same order with or without a prefix, alone or
/// in a packed pass. Causality is by position. A removed edge has probability exactly 0. Softmax is in float32.
/// </remarks>
internal static unsafe class AttentionKernel
{
    /// <summary>Queries per call. They share one read of keys and values from the outer cache.</summary>
    public const int Rows = 16;

    /// <summary>Queries multiplied at a time: as many as fit in registers.</summary>
    public const int RowsPerBlock = 8;

    /// <summary>Attention of up to <see cref="Rows"/> queries of one key/value head.</summary>
    /// <param name="past">Frozen keys and values before each row's own, of which the first <paramref name="pastCount"/> are used; or
    /// null.</param>
    /// <param name="scratch">At least <see cref="ScratchFloats"/> floats.</param>
    public static void Attend(Span<QueryRow> rows, int layer, int keyHead, KeyValues? past, int pastCount, float* scratch)
    {
        var size = rows[0].Own.HeadSize;
        var most = 0;
        foreach (ref var row in rows) most = Math.Max(most, row.Seen);
        var stride = Padded(most);
        var inPast = Math.Min(pastCount, most);
        if (inPast > 0) AttentionScores.Of(rows, size, past!.Keys(layer, keyHead), 0, inPast, scratch, stride);
        for (var (from, to) = (0, 0); from < rows.Length; from = to)
        {
            to = SameOwn(rows, from, out var seen);
            if (seen > pastCount)
                AttentionScores.Of(rows[from..to], size, rows[from].Own.Keys(layer, keyHead), pastCount, seen - pastCount,
                    scratch + (long)from * stride + pastCount, stride);
        }
        for (var i = 0; i < rows.Length; i++) Change(ref rows[i], size, new Span<float>(scratch + (long)i * stride, (most + 15) / 16 * 16));
        Softmax(scratch, stride, rows.Length, (most + 15) / 16 * 16, 1f / MathF.Sqrt(size));
        for (var i = 0; i < rows.Length; i++) Replace(ref rows[i], new Span<float>(scratch + (long)i * stride, (most + 15) / 16 * 16));
        for (var i = 0; i < rows.Length; i++) Note(ref rows[i], new Span<float>(scratch + (long)i * stride, (most + 15) / 16 * 16));
        if (inPast > 0) AttentionValues.Of(rows, scratch, stride, size, past!, 0, inPast, layer, keyHead, fresh: true);
        for (var (from, to) = (0, 0); from < rows.Length; from = to)
        {
            to = SameOwn(rows, from, out var seen);
            if (seen > pastCount)
                AttentionValues.Of(rows[from..to], scratch + (long)from * stride + pastCount, stride, size, rows[from].Own, pastCount,
                    seen - pastCount, layer, keyHead, fresh: inPast == 0);
        }
    }

    /// <summary>Floats of scratch that <see cref="Attend"/> needs for <paramref name="keys"/> keys.</summary>
    public static long ScratchFloats(int keys) => (long)(Rows + RowsPerBlock) * Padded(keys);

    // Key panels of the prefix and of a row's own keys each write up to 15 scores past their end.
    private static int Padded(int keys) => (keys + 15) / 16 * 16 + 32;

    /// <summary>
    /// Number of keys, of <paramref name="count"/> from position <paramref name="start"/> on, that at least one row of the group of
    /// <see cref="RowsPerBlock"/> starting at <paramref name="first"/> attends to.
    /// </summary>
    internal static int Visible(Span<QueryRow> rows, int first, int start, int count)
    {
        var seen = 0;
        for (var i = first; i < Math.Min(first + RowsPerBlock, rows.Length); i++) seen = Math.Max(seen, rows[i].Seen);
        return Math.Clamp(seen - start, 0, count);
    }

    /// <returns>The first row after <paramref name="from"/> whose own keys are in another <see cref="KeyValues"/>.</returns>
    private static int SameOwn(Span<QueryRow> rows, int from, out int seen)
    {
        (var to, seen) = (from, 0);
        for (; to < rows.Length && rows[to].Own == rows[from].Own; to++) seen = Math.Max(seen, rows[to].Seen);
        return to;
    }

    /// <summary>
    /// Applies causality and the score edits to one row. Masked and removed keys get a score of minus infinity, so their probability is
    /// exactly 0.
    /// </summary>
    private static void Change(ref QueryRow query, int size, Span<float> row)
    {
        row[query.Seen..].Fill(float.NegativeInfinity);
        if (query.Scores is not { } edits) return;
        for (var i = First(edits, query.Position); i < edits.Length && edits[i].Query == query.Position; i++)
            edits[i].Apply(row[..query.Seen], size);
    }

    private static void Replace(ref QueryRow query, Span<float> row)
    {
        if (query.Given == null) return;
        var seen = Math.Min(query.Seen, query.Keys);
        new Span<float>(query.Given, seen).CopyTo(row);
        row[seen..].Clear();
    }

    private static void Note(ref QueryRow query, Span<float> row)
    {
        if (query.Pattern == null) return;
        var pattern = new Span<float>(query.Pattern, query.Keys);
        var kept = Math.Min(row.Length, query.Keys);
        row[..kept].CopyTo(pattern);
        pattern[kept..].Clear();
    }

    private static int First(ScoreEdit[] edits, int position)
    {
        var (low, high) = (0, edits.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (edits[middle].Query < position) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /// <summary>Replaces scores by probabilities. Each step runs over all rows, so that no row waits for its own previous result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(float* scores, int stride, int rows, int length, float scale)
    {
        float* shifts = stackalloc float[Rows], sums = stackalloc float[Rows * 16];
        for (var row = 0; row < rows; row++)
        {
            var s = scores + (long)row * stride;
            var (highest, other) = (Vector512.Load(s), Vector512.Load(s + length - 16));
            for (var i = 16; i + 16 < length; i += 32)
            {
                highest = Vector512.MaxNative(highest, Vector512.Load(s + i));
                other = Vector512.MaxNative(other, Vector512.Load(s + i + 16));
            }
            highest = Vector512.MaxNative(highest, other);
            var eight = Vector256.MaxNative(highest.GetLower(), highest.GetUpper());
            var four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
            shifts[row] = MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3])) * scale;
        }
        for (var row = 0; row < rows; row++)
        {
            var s = scores + (long)row * stride;
            var (sum, shift) = (Vector512<float>.Zero, Vector512.Create(shifts[row]));
            for (var i = 0; i < length; i += 16)
            {
                var e = Exp.OfAtMostZero(Vector512.Load(s + i) * scale - shift);
                e.Store(s + i);
                sum += e;
            }
            sum.Store(sums + 16 * row);
        }
        for (var row = 0; row < rows; row++)
        {
            var s = scores + (long)row * stride;
            var share = Vector512.Create(1f / DirectMatMul.Fold(Vector512.Load(sums + 16 * row)));
            for (var i = 0; i < length; i += 16) (Vector512.Load(s + i) * share).Store(s + i);
        }
    }
}
