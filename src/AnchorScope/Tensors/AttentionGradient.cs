using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>A range of rows that attend to each other, and the key/value head whose gradients are computed.</summary>
/// <param name="Start">First row.</param>
/// <param name="Length">Number of rows.</param>
/// <param name="KeyHead">Key/value head.</param>
/// <param name="Causal">Whether a row attends only to itself and the rows before it.</param>
internal readonly record struct AttentionStretch(int Start, int Length, int KeyHead, bool Causal);

/// <summary>Keys and values of one head in the frozen prefix before a stretch, row-major [count, d_head].</summary>
internal readonly unsafe record struct AttentionPast(int Count, nint Keys, nint Values)
{
    /// <summary>No prefix.</summary>
    public static AttentionPast None => default;
}

/// <summary>Queries, keys and values of attention, or the gradients with respect to them.</summary>
/// <param name="Query">[row, head x d_head].</param>
/// <param name="Key">[row, kv_head x d_head].</param>
/// <param name="Value">[row, kv_head x d_head].</param>
internal readonly record struct AttentionRows(Tensor Query, Tensor Key, Tensor Value);

/// <summary>Backward pass of softmax(q k^T / sqrt(d_head)) v. Probabilities are recomputed, not stored.</summary>
/// <remarks>
/// With P the probabilities: dV = P^T dZ, dP = dZ V^T, dS = P (dP - sum over keys of P dP), dQ = dS K / sqrt(d_head), dK = dS^T Q /
/// sqrt(d_head). Products use the panel kernel, whose order of summation does not depend on shapes or threads. One stretch and key/value
/// head is the work of one thread. The prefix is frozen: it is attended to, but no gradient is computed for it.
/// </remarks>
internal static unsafe class AttentionGradient
{
    private const int Width = PanelMatMul.Width;

    /// <summary>Writes the gradients with respect to queries, keys and values of one stretch and key/value head.</summary>
    /// <param name="size">d_head.</param>
    /// <param name="group">Number of query heads that share the key/value head.</param>
    /// <param name="dz">Gradient with respect to the head outputs [row, head x d_head].</param>
    /// <param name="past">Frozen keys and values before the stretch's own.</param>
    /// <param name="edits">Score edits of each query head, positions counted from the first of the prefix; null for none.</param>
    /// <param name="noted">Receives dS before the division by sqrt(d_head) [query head of the group x row x key]; may be null.</param>
    /// <param name="scratch">At least <see cref="ScratchFloats"/> floats.</param>
    public static void Of(AttentionRows inputs, Tensor dz, AttentionRows derivatives, AttentionStretch stretch, int size, int group,
        AttentionPast past, Func<int, ScoreEdit[]?>? edits, float* noted, float* scratch)
    {
        var length = stretch.Length;
        var (keys, keyColumn) = (past.Count + length, stretch.KeyHead * size);
        var padded = Padded(keys);
        float* probabilities = scratch, gradients = probabilities + (long)length * padded, transposed = gradients + (long)length * padded,
            panel = transposed + (long)length * Padded(length);
        var scale = 1f / MathF.Sqrt(size);
        var (allKeys, allValues) = (new Rows(inputs.Key, keyColumn, stretch.Start, (float*)past.Keys, past.Count, size),
            new Rows(inputs.Value, keyColumn, stretch.Start, (float*)past.Values, past.Count, size));
        for (var i = 0; i < group; i++)
        {
            var head = stretch.KeyHead * group + i;
            var column = head * size;
            Products(inputs.Query, column, allKeys, stretch, size, probabilities, padded, panel);
            Softmax(probabilities, padded, stretch, past.Count, size, scale, edits?.Invoke(head));
            Products(dz, column, allValues, stretch, size, gradients, padded, panel);
            ScoreGradients(probabilities, gradients, padded, length, keys, scale, noted == null ? null : noted + (long)i * length * keys);
            SumsOverKeys(gradients, padded, allKeys, stretch, size, derivatives.Query, column, panel);
            SumsOverQueries(gradients + past.Count, padded, inputs.Query, column, stretch, size, transposed, derivatives.Key,
                keyColumn, panel, fresh: i == 0);
            SumsOverQueries(probabilities + past.Count, padded, dz, column, stretch, size, transposed, derivatives.Value,
                keyColumn, panel, fresh: i == 0);
        }
    }

    /// <summary>
    /// Floats of scratch for stretches of up to <paramref name="length"/> rows after a prefix of up to <paramref name="past"/> positions.
    /// </summary>
    public static long ScratchFloats(int length, int past, int size) =>
        (long)length * (2 * Padded(past + length) + Padded(length)) + (long)Width * Math.Max(past + length, size);

    private static int Padded(int count) => (count + Width - 1) / Width * Width;

    /// <summary>a b^T [row, key], for every row and every key it attends to.</summary>
    private static void Products(Tensor a, int aColumn, Rows b, AttentionStretch stretch, int size, float* into, int stride, float* panel)
    {
        var rows = stackalloc byte*[Width];
        for (var first = 0; first < b.Count(stretch); first += Width)
        {
            var count = Math.Min(Width, b.Count(stretch) - first);
            for (var i = 0; i < count; i++) rows[i] = (byte*)b.At(first + i);
            PanelPack.Fill(rows, count, Checkpoints.StoredType.F32, 0, size, panel);
            var from = stretch.Causal ? Math.Max(0, first - b.Past) : 0;
            PanelMatMul.Multiply(a.Data + (long)(stretch.Start + from) * a.Columns + aColumn, a.Columns, stretch.Length - from, panel, size,
                into + (long)from * stride + first, stride, Width, fresh: true);
        }
    }

    /// <summary>weights [row, key] x keys, written to <paramref name="into"/> [row, d_head].</summary>
    private static void SumsOverKeys(float* weights, int stride, Rows keys, AttentionStretch stretch, int size, Tensor into,
        int column, float* panel)
    {
        for (var part = 0; part < size; part += Width)
        {
            var columns = Math.Min(Width, size - part);
            for (var key = 0; key < keys.Count(stretch); key++) PanelMatMul.CopyPadded(keys.At(key) + part, columns, panel + key * Width);
            for (var first = 0; first < stretch.Length; first += Width)
            {
                var count = Math.Min(Width, stretch.Length - first);
                // Keys after the last query of the block have weight 0.
                var depth = stretch.Causal ? keys.Past + first + count : keys.Count(stretch);
                PanelMatMul.Multiply(weights + (long)first * stride, stride, count, panel, depth,
                    into.Data + (long)(stretch.Start + first) * into.Columns + column + part, into.Columns, columns, fresh: true);
            }
        }
    }

    /// <summary>
    /// Transposes the weights [row, key] of the stretch's own keys, multiplies them with rows of <paramref name="other"/> and writes the
    /// product to <paramref name="into"/> [key, d_head].
    /// </summary>
    private static void SumsOverQueries(float* weights, int stride, Tensor other, int otherColumn, AttentionStretch stretch, int size,
        float* transposed, Tensor into, int column, float* panel, bool fresh)
    {
        var (length, transposedStride) = (stretch.Length, Padded(stretch.Length));
        Transpose.Of(weights, stride, length, length, transposed, transposedStride);
        for (var part = 0; part < size; part += Width)
        {
            var columns = Math.Min(Width, size - part);
            for (var row = 0; row < length; row++)
                PanelMatMul.CopyPadded(other.Data + (long)(stretch.Start + row) * other.Columns + otherColumn + part,
                    columns, panel + row * Width);
            for (var first = 0; first < length; first += Width)
            {
                // Earlier queries do not attend to the key.
                var from = stretch.Causal ? first : 0;
                PanelMatMul.Multiply(
                    transposed + (long)first * transposedStride + from, transposedStride, Math.Min(Width, length - first),
                    panel + from * Width, length - from,
                    into.Data + (long)(stretch.Start + first) * into.Columns + column + part, into.Columns, columns, fresh);
            }
        }
    }

    /// <summary>Replaces scores by probabilities. Masked keys get probability 0.</summary>
    private static void Softmax(float* scores, int stride, AttentionStretch stretch, int past, int size, float scale, ScoreEdit[]? edits)
    {
        var next = 0;
        for (var row = 0; row < stretch.Length; row++)
        {
            var s = new Span<float>(scores + (long)row * stride, stride);
            s[(past + (stretch.Causal ? row + 1 : stretch.Length))..].Fill(float.NegativeInfinity);
            for (; edits is not null && next < edits.Length && edits[next].Query == past + row; next++) edits[next].Apply(s, size);
            var highest = Vector512.Create<float>(s);
            for (var i = 16; i < stride; i += 16) highest = Vector512.MaxNative(highest, Vector512.Create<float>(s.Slice(i, 16)));
            var shift = float.NegativeInfinity;
            for (var i = 0; i < 16; i++) shift = MathF.Max(shift, highest[i]);
            var sums = Vector512<float>.Zero;
            for (var i = 0; i < stride; i += 16)
            {
                var e = Exp.OfAtMostZero(Vector512.Create<float>(s.Slice(i, 16)) * scale - Vector512.Create(shift * scale));
                e.CopyTo(s.Slice(i, 16));
                sums += e;
            }
            var share = Vector512.Create(1f / DirectMatMul.Fold(sums));
            for (var i = 0; i < stride; i += 16) (Vector512.Create<float>(s.Slice(i, 16)) * share).CopyTo(s.Slice(i, 16));
        }
    }

    /// <summary>Replaces the gradient with respect to the probabilities by the gradient with respect to q k^T.</summary>
    private static void ScoreGradients(float* probabilities, float* gradients, int stride, int length, int keys, float scale, float* noted)
    {
        for (var row = 0; row < length; row++)
        {
            float* p = probabilities + (long)row * stride, d = gradients + (long)row * stride;
            var sums = Vector512<float>.Zero;
            for (var i = 0; i < stride; i += 16)
            {
                // Masked entries were never multiplied: their gradient is undefined memory, but their probability is 0.
                var seen = Vector512.Load(p + i);
                var gradient = Vector512.ConditionalSelect(Vector512.Equals(seen, Vector512<float>.Zero),
                    Vector512<float>.Zero, Vector512.Load(d + i));
                gradient.Store(d + i);
                sums = Vector512.FusedMultiplyAdd(seen, gradient, sums);
            }
            var mean = Vector512.Create(DirectMatMul.Fold(sums));
            for (var i = 0; i < stride; i += 16) (Vector512.Load(p + i) * (Vector512.Load(d + i) - mean)).Store(d + i);
            if (noted != null) new Span<float>(d, keys).CopyTo(new Span<float>(noted + (long)row * keys, keys));
            for (var i = 0; i < stride; i += 16) (Vector512.Load(d + i) * scale).Store(d + i);
        }
    }

    /// <summary>Keys or values of one head: those of the prefix, then the stretch's own.</summary>
    private readonly struct Rows(Tensor own, int column, int start, float* past, int pastCount, int size)
    {
        public int Past => pastCount;

        public int Count(AttentionStretch stretch) => pastCount + stretch.Length;

        public float* At(int key) =>
            key < pastCount ? past + (long)key * size : own.Data + (long)(start + key - pastCount) * own.Columns + column;
    }
}
