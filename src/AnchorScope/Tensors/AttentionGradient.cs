using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>One stretch of tokens that attend to each other, and the key/value head whose derivatives are taken.</summary>
/// <param name="Start">First row.</param>
/// <param name="Length">Rows.</param>
/// <param name="KeyHead">Key/value head.</param>
/// <param name="Causal">Whether a row sees itself and those before it only.</param>
internal readonly record struct AttentionStretch(int Start, int Length, int KeyHead, bool Causal);

/// <summary>Frozen keys and values of one head in front of a stretch, row after row [count, d_head].</summary>
internal readonly unsafe record struct AttentionPast(int Count, nint Keys, nint Values)
{
    /// <summary>None.</summary>
    public static AttentionPast None => default;
}

/// <summary>Queries, keys, values or heads' outputs of attention, or the derivatives by them.</summary>
/// <param name="Query">[row, head x d_head].</param>
/// <param name="Key">[row, kv_head x d_head].</param>
/// <param name="Value">[row, kv_head x d_head].</param>
internal readonly record struct AttentionRows(Tensor Query, Tensor Key, Tensor Value);

/// <summary>Backwards through softmax(q k^T / sqrt(d_head)) v, probabilities computed anew.</summary>
/// <remarks>
/// With P the probabilities: dV = P^T dZ, dP = dZ V^T, dS = P (dP - sum over keys of P dP), dQ = dS K / sqrt(d_head), dK = dS^T Q / sqrt(d_head). Products are those of the panel kernel, whose
/// order of summation depends on nothing; a stretch and head are one thread's work. A past is frozen: it is looked at, and has no derivatives.
/// </remarks>
internal static unsafe class AttentionGradient
{
    private const int Width = PanelMatMul.Width;

    /// <summary>Writes the derivatives by queries, keys and values of one stretch and key/value head.</summary>
    /// <param name="size">d_head.</param>
    /// <param name="group">Query heads that share the key/value head.</param>
    /// <param name="dz">Derivatives by the heads' outputs [row, head x d_head].</param>
    /// <param name="past">Frozen keys and values in front of the stretch's own.</param>
    /// <param name="edits">Scores changed of each query head, positions counted from the first of the past; null for none.</param>
    /// <param name="noted">Given dS before the division [query head of the group x row x key], or null.</param>
    /// <param name="scratch">Of <see cref="ScratchFloats"/>.</param>
    public static void Of(AttentionRows inputs, Tensor dz, AttentionRows derivatives, AttentionStretch stretch, int size, int group, AttentionPast past, Func<int, ScoreEdit[]?>? edits, float* noted, float* scratch)
    {
        var length = stretch.Length;
        var (keys, keyColumn) = (past.Count + length, stretch.KeyHead * size);
        var padded = Padded(keys);
        float* probabilities = scratch, slopes = probabilities + (long)length * padded, turned = slopes + (long)length * padded, panel = turned + (long)length * Padded(length);
        var scale = 1f / MathF.Sqrt(size);
        var (allKeys, allValues) = (new Rows(inputs.Key, keyColumn, stretch.Start, (float*)past.Keys, past.Count, size), new Rows(inputs.Value, keyColumn, stretch.Start, (float*)past.Values, past.Count, size));
        for (var i = 0; i < group; i++)
        {
            var head = stretch.KeyHead * group + i;
            var column = head * size;
            Products(inputs.Query, column, allKeys, stretch, size, probabilities, padded, panel);
            Softmax(probabilities, padded, stretch, past.Count, size, scale, edits?.Invoke(head));
            Products(dz, column, allValues, stretch, size, slopes, padded, panel);
            Slopes(probabilities, slopes, padded, length, keys, scale, noted == null ? null : noted + (long)i * length * keys);
            SumsOverKeys(slopes, padded, allKeys, stretch, size, derivatives.Query, column, panel);
            SumsOverQueries(slopes + past.Count, padded, inputs.Query, column, stretch, size, turned, derivatives.Key, keyColumn, panel, fresh: i == 0);
            SumsOverQueries(probabilities + past.Count, padded, dz, column, stretch, size, turned, derivatives.Value, keyColumn, panel, fresh: i == 0);
        }
    }

    /// <summary>Floats of scratch for stretches of up to <paramref name="length"/> rows behind a past of up to <paramref name="past"/>.</summary>
    public static long ScratchFloats(int length, int past, int size) => (long)length * (2 * Padded(past + length) + Padded(length)) + (long)Width * Math.Max(past + length, size);

    private static int Padded(int count) => (count + Width - 1) / Width * Width;

    /// <summary>a b^T [row, key]: every row with every key that it sees.</summary>
    private static void Products(Tensor a, int aColumn, Rows b, AttentionStretch stretch, int size, float* into, int stride, float* panel)
    {
        var rows = stackalloc byte*[Width];
        for (var first = 0; first < b.Count(stretch); first += Width)
        {
            var count = Math.Min(Width, b.Count(stretch) - first);
            for (var i = 0; i < count; i++) rows[i] = (byte*)b.At(first + i);
            PanelPack.Turn(rows, count, Checkpoints.StoredType.F32, 0, size, panel);
            var from = stretch.Causal ? Math.Max(0, first - b.Past) : 0;
            PanelMatMul.Multiply(a.Data + (long)(stretch.Start + from) * a.Columns + aColumn, a.Columns, stretch.Length - from, panel, size, into + (long)from * stride + first, stride, Width, fresh: true);
        }
    }

    /// <summary>weights [row, key] x keys, into [row, d_head].</summary>
    private static void SumsOverKeys(float* weights, int stride, Rows keys, AttentionStretch stretch, int size, Tensor into, int column, float* panel)
    {
        for (var part = 0; part < size; part += Width)
        {
            var columns = Math.Min(Width, size - part);
            for (var key = 0; key < keys.Count(stretch); key++) PanelMatMul.CopyPadded(keys.At(key) + part, columns, panel + key * Width);
            for (var first = 0; first < stretch.Length; first += Width)
            {
                var count = Math.Min(Width, stretch.Length - first);
                // Later keys have no weight.
                var depth = stretch.Causal ? keys.Past + first + count : keys.Count(stretch);
                PanelMatMul.Multiply(weights + (long)first * stride, stride, count, panel, depth, into.Data + (long)(stretch.Start + first) * into.Columns + column + part, into.Columns, columns, fresh: true);
            }
        }
    }

    /// <summary>The own keys' weights [row, key] turned, x rows of <paramref name="other"/>, into [key, d_head].</summary>
    private static void SumsOverQueries(float* weights, int stride, Tensor other, int otherColumn, AttentionStretch stretch, int size, float* turned, Tensor into, int column, float* panel, bool fresh)
    {
        var (length, turnedStride) = (stretch.Length, Padded(stretch.Length));
        Transpose.Of(weights, stride, length, length, turned, turnedStride);
        for (var part = 0; part < size; part += Width)
        {
            var columns = Math.Min(Width, size - part);
            for (var row = 0; row < length; row++) PanelMatMul.CopyPadded(other.Data + (long)(stretch.Start + row) * other.Columns + otherColumn + part, columns, panel + row * Width);
            for (var first = 0; first < length; first += Width)
            {
                // Earlier queries do not see the key.
                var from = stretch.Causal ? first : 0;
                PanelMatMul.Multiply(
                    turned + (long)first * turnedStride + from, turnedStride, Math.Min(Width, length - first), panel + from * Width, length - from,
                    into.Data + (long)(stretch.Start + first) * into.Columns + column + part, into.Columns, columns, fresh);
            }
        }
    }

    /// <summary>Scores to probabilities; what is not seen is zero.</summary>
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

    /// <summary>Derivatives by probabilities to those by q k^T.</summary>
    private static void Slopes(float* probabilities, float* slopes, int stride, int length, int keys, float scale, float* noted)
    {
        for (var row = 0; row < length; row++)
        {
            float* p = probabilities + (long)row * stride, d = slopes + (long)row * stride;
            var sums = Vector512<float>.Zero;
            for (var i = 0; i < stride; i += 16)
            {
                // What was not multiplied, as no row sees it, has no probability, and may be anything.
                var seen = Vector512.Load(p + i);
                var slope = Vector512.ConditionalSelect(Vector512.Equals(seen, Vector512<float>.Zero), Vector512<float>.Zero, Vector512.Load(d + i));
                slope.Store(d + i);
                sums = Vector512.FusedMultiplyAdd(seen, slope, sums);
            }
            var mean = Vector512.Create(DirectMatMul.Fold(sums));
            for (var i = 0; i < stride; i += 16) (Vector512.Load(p + i) * (Vector512.Load(d + i) - mean)).Store(d + i);
            if (noted != null) new Span<float>(d, keys).CopyTo(new Span<float>(noted + (long)row * keys, keys));
            for (var i = 0; i < stride; i += 16) (Vector512.Load(d + i) * scale).Store(d + i);
        }
    }

    /// <summary>Keys or values of one head: those of the past, then the stretch's own.</summary>
    private readonly struct Rows(Tensor own, int column, int start, float* past, int pastCount, int size)
    {
        public int Past => pastCount;

        public int Count(AttentionStretch stretch) => pastCount + stretch.Length;

        public float* At(int key) => key < pastCount ? past + (long)key * size : own.Data + (long)(start + key - pastCount) * own.Columns + column;
    }
}
