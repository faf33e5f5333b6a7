using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace AnchorScope.Tensors;

/// <summary>Products of queries with panels of keys [pos/16][d_head][16]. Each is one chain of fused multiply-adds over d_head.</summary>
/// <remarks>
/// The kernel repeats the last query to fill a group, and the last panel of keys extends up to 15 keys past the end. Scratch has space for
/// both.
/// </remarks>
internal static unsafe class AttentionScores
{
    /// <summary>Floats of keys that stay in the L1 cache while all queries are multiplied with them.</summary>
    private const int Near = 4096;

    /// <summary>
    /// Processes two panels of keys at a time, so that every loaded query element is used in two products; an odd last panel is processed
    /// alone.
    /// </summary>
    /// <param name="start">Position of the first of <paramref name="count"/> keys.</param>
    public static void Of(Span<QueryRow> rows, int size, float* panels, int start, int count, float* scores, int stride)
    {
        // Rows past the end repeat the last one. What they write is overwritten or never read.
        var queries = stackalloc float*[AttentionKernel.Rows + AttentionKernel.RowsPerBlock];
        for (var i = 0; i < rows.Length + AttentionKernel.RowsPerBlock; i++) queries[i] = rows[Math.Min(i, rows.Length - 1)].Query;
        var block = Math.Max(32, Near / size / 32 * 32);
        for (var key = 0; key < count; key += block)
        {
            var part = panels + (long)key * size;
            for (var row = 0; row < rows.Length; row += AttentionKernel.RowsPerBlock)
            {
                float** q = queries + row;
                float* target = scores + (long)row * stride + key;
                var some = Math.Min(block, AttentionKernel.Visible(rows, row, start, count) - key);
                if (some <= 0) continue;
                var done = rows.Length - row > 4
                    ? ScoresOfEightInPairs(q, size, part, some, target, stride) : ScoresOfFourInPairs(q, size, part, some, target, stride);
                if (done < some) ScoresOfEight(q, size, part + (long)done * size, some - done, target + done, stride);
            }
        }
    }

    /// <summary>Prefetches one cache line of each. Addresses past the end are allowed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Ask(float* a, float* b)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(a);
        Sse.Prefetch0(b);
    }

    /// <returns>Number of keys processed: whole pairs of panels.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int ScoresOfEightInPairs(float** q, int size, float* panels, int count, float* scores, int stride)
    {
        float* q0 = q[0], q1 = q[1], q2 = q[2], q3 = q[3], q4 = q[4], q5 = q[5], q6 = q[6], q7 = q[7];
        var key = 0;
        for (; key + 16 < count; key += 32)
        {
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
            Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default, b6 = default, b7 = default;
            var other = panels + 16 * size;
            for (var d = 0; d < size; d++, panels += 16, other += 16)
            {
                var k = Vector512.Load(panels);
                var l = Vector512.Load(other);
                Ask(panels + 32 * size, other + 32 * size);
                var s = Vector512.Create(q0[d]);
                a0 = Vector512.FusedMultiplyAdd(s, k, a0); b0 = Vector512.FusedMultiplyAdd(s, l, b0);
                s = Vector512.Create(q1[d]);
                a1 = Vector512.FusedMultiplyAdd(s, k, a1); b1 = Vector512.FusedMultiplyAdd(s, l, b1);
                s = Vector512.Create(q2[d]);
                a2 = Vector512.FusedMultiplyAdd(s, k, a2); b2 = Vector512.FusedMultiplyAdd(s, l, b2);
                s = Vector512.Create(q3[d]);
                a3 = Vector512.FusedMultiplyAdd(s, k, a3); b3 = Vector512.FusedMultiplyAdd(s, l, b3);
                s = Vector512.Create(q4[d]);
                a4 = Vector512.FusedMultiplyAdd(s, k, a4); b4 = Vector512.FusedMultiplyAdd(s, l, b4);
                s = Vector512.Create(q5[d]);
                a5 = Vector512.FusedMultiplyAdd(s, k, a5); b5 = Vector512.FusedMultiplyAdd(s, l, b5);
                s = Vector512.Create(q6[d]);
                a6 = Vector512.FusedMultiplyAdd(s, k, a6); b6 = Vector512.FusedMultiplyAdd(s, l, b6);
                s = Vector512.Create(q7[d]);
                a7 = Vector512.FusedMultiplyAdd(s, k, a7); b7 = Vector512.FusedMultiplyAdd(s, l, b7);
            }
            panels = other;
            var target = scores + key;
            a0.Store(target); b0.Store(target + 16);
            a1.Store(target + stride); b1.Store(target + stride + 16);
            a2.Store(target + 2L * stride); b2.Store(target + 2L * stride + 16);
            a3.Store(target + 3L * stride); b3.Store(target + 3L * stride + 16);
            a4.Store(target + 4L * stride); b4.Store(target + 4L * stride + 16);
            a5.Store(target + 5L * stride); b5.Store(target + 5L * stride + 16);
            a6.Store(target + 6L * stride); b6.Store(target + 6L * stride + 16);
            a7.Store(target + 7L * stride); b7.Store(target + 7L * stride + 16);
        }
        return Math.Min(key, count);
    }

    /// <returns>Number of keys processed: whole pairs of panels.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int ScoresOfFourInPairs(float** q, int size, float* panels, int count, float* scores, int stride)
    {
        float* q0 = q[0], q1 = q[1], q2 = q[2], q3 = q[3];
        var key = 0;
        for (; key + 16 < count; key += 32)
        {
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
            Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
            var other = panels + 16 * size;
            for (var d = 0; d < size; d++, panels += 16, other += 16)
            {
                var k = Vector512.Load(panels);
                var l = Vector512.Load(other);
                Ask(panels + 32 * size, other + 32 * size);
                var s = Vector512.Create(q0[d]);
                a0 = Vector512.FusedMultiplyAdd(s, k, a0); b0 = Vector512.FusedMultiplyAdd(s, l, b0);
                s = Vector512.Create(q1[d]);
                a1 = Vector512.FusedMultiplyAdd(s, k, a1); b1 = Vector512.FusedMultiplyAdd(s, l, b1);
                s = Vector512.Create(q2[d]);
                a2 = Vector512.FusedMultiplyAdd(s, k, a2); b2 = Vector512.FusedMultiplyAdd(s, l, b2);
                s = Vector512.Create(q3[d]);
                a3 = Vector512.FusedMultiplyAdd(s, k, a3); b3 = Vector512.FusedMultiplyAdd(s, l, b3);
            }
            panels = other;
            var target = scores + key;
            a0.Store(target); b0.Store(target + 16);
            a1.Store(target + stride); b1.Store(target + stride + 16);
            a2.Store(target + 2L * stride); b2.Store(target + 2L * stride + 16);
            a3.Store(target + 3L * stride); b3.Store(target + 3L * stride + 16);
        }
        return Math.Min(key, count);
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
}
