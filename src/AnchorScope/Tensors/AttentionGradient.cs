using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>One stretch of tokens that attend to each other, and the key/value head whose derivatives are taken.</summary>
/// <param name="Start">First row.</param>
/// <param name="Length">Rows.</param>
/// <param name="KeyHead">Key/value head.</param>
/// <param name="Causal">Whether a row sees itself and those before it only.</param>
internal readonly record struct AttentionStretch(int Start, int Length, int KeyHead, bool Causal);

/// <summary>Queries, keys, values or heads' outputs of attention, or the derivatives by them.</summary>
/// <param name="Query">[row, head x d_head].</param>
/// <param name="Key">[row, kv_head x d_head].</param>
/// <param name="Value">[row, kv_head x d_head].</param>
internal readonly record struct AttentionRows(Tensor Query, Tensor Key, Tensor Value);

/// <summary>Backwards through softmax(q k^T / sqrt(d_head)) v, probabilities computed anew.</summary>
/// <remarks>
/// With P the probabilities: dV = P^T dZ, dP = dZ V^T, dS = P (dP - sum over keys of P dP), dQ = dS K / sqrt(d_head), dK = dS^T Q / sqrt(d_head). Products are those of the panel kernel, whose
/// order of summation depends on nothing; a stretch and head are one thread's work.
/// </remarks>
internal static unsafe class AttentionGradient
{
    private const int Width = PanelMatMul.Width;

    /// <summary>Writes the derivatives by queries, keys and values of one stretch and key/value head.</summary>
    /// <param name="size">d_head.</param>
    /// <param name="group">Query heads that share the key/value head.</param>
    /// <param name="dz">Derivatives by the heads' outputs [row, head x d_head].</param>
    /// <param name="cuts">Removed edges of each query head, positions counted from the stretch's first row; null for none.</param>
    /// <param name="noted">Given dS before the division [query head of the group x length x length], or null.</param>
    /// <param name="scratch">Of <see cref="ScratchFloats"/>.</param>
    public static void Of(AttentionRows inputs, Tensor dz, AttentionRows derivatives, AttentionStretch stretch, int size, int group, Func<int, CutEdge[]?>? cuts, float* noted, float* scratch)
    {
        var length = stretch.Length;
        var (padded, panels) = (Padded(length), Padded(size) / Width);
        float* probabilities = scratch, slopes = probabilities + (long)length * padded, turned = slopes + (long)length * padded, panel = turned + (long)length * padded;
        var scale = 1f / MathF.Sqrt(size);
        var keyColumn = stretch.KeyHead * size;
        for (var i = 0; i < group; i++)
        {
            var head = stretch.KeyHead * group + i;
            Products(inputs.Query, head * size, inputs.Key, keyColumn, stretch, size, probabilities, padded, panel);
            Softmax(probabilities, padded, stretch, scale, cuts?.Invoke(head));
            Products(dz, head * size, inputs.Value, keyColumn, stretch, size, slopes, padded, panel);
            Slopes(probabilities, slopes, padded, length, scale, noted == null ? null : noted + (long)i * length * length);
            // Keys, then queries, as depth.
            Sums(slopes, padded, inputs.Key, keyColumn, stretch, size, panels, derivatives.Query, head * size, panel, byKeys: true, fresh: true);
            Transpose.Of(slopes, padded, length, length, turned, padded);
            Sums(turned, padded, inputs.Query, head * size, stretch, size, panels, derivatives.Key, keyColumn, panel, byKeys: false, fresh: i == 0);
            Transpose.Of(probabilities, padded, length, length, turned, padded);
            Sums(turned, padded, dz, head * size, stretch, size, panels, derivatives.Value, keyColumn, panel, byKeys: false, fresh: i == 0);
        }
    }

    /// <summary>Floats of scratch for stretches of up to <paramref name="length"/> rows.</summary>
    public static long ScratchFloats(int length, int size) => 3L * length * Padded(length) + (long)Width * Math.Max(length, size);

    private static int Padded(int count) => (count + Width - 1) / Width * Width;

    /// <summary>a b^T [row, row]: every row of one with every row of the other that it sees.</summary>
    private static void Products(Tensor a, int aColumn, Tensor b, int bColumn, AttentionStretch stretch, int size, float* into, int stride, float* panel)
    {
        var rows = stackalloc byte*[Width];
        for (var first = 0; first < stretch.Length; first += Width)
        {
            var count = Math.Min(Width, stretch.Length - first);
            for (var i = 0; i < count; i++) rows[i] = (byte*)(b.Data + (long)(stretch.Start + first + i) * b.Columns + bColumn);
            PanelTurn.Turn(rows, count, Checkpoints.StoredType.F32, 0, size, panel);
            var from = stretch.Causal ? first : 0;
            PanelMatMul.Multiply(a.Data + (long)(stretch.Start + from) * a.Columns + aColumn, a.Columns, stretch.Length - from, panel, size, into + (long)from * stride + first, stride, Width, fresh: true);
        }
    }

    /// <summary>weights x rows of <paramref name="other"/>, written to or added to <paramref name="into"/> [row, d_head].</summary>
    /// <param name="byKeys">A row of the weights is a query and its columns are keys; otherwise the other way round, and in a causal stretch the first columns are zero instead of the last.</param>
    private static void Sums(float* weights, int stride, Tensor other, int otherColumn, AttentionStretch stretch, int size, int panels, Tensor into, int column, float* panel, bool byKeys, bool fresh)
    {
        var length = stretch.Length;
        for (var p = 0; p < panels; p++)
        {
            var columns = Math.Min(Width, size - p * Width);
            for (var row = 0; row < length; row++)
            {
                var target = new Span<float>(panel + row * Width, Width);
                new Span<float>(other.Data + (long)(stretch.Start + row) * other.Columns + otherColumn + p * Width, columns).CopyTo(target);
                target[columns..].Clear();
            }
            for (var first = 0; first < length; first += Width)
            {
                var count = Math.Min(Width, length - first);
                var (from, to) = !stretch.Causal ? (0, length) : byKeys ? (0, first + count) : (first, length);
                PanelMatMul.Multiply(
                    weights + (long)first * stride + from, stride, count, panel + from * Width, to - from,
                    into.Data + (long)(stretch.Start + first) * into.Columns + column + p * Width, into.Columns, columns, fresh);
            }
        }
    }

    /// <summary>Scores to probabilities; what is not seen is zero.</summary>
    private static void Softmax(float* scores, int stride, AttentionStretch stretch, float scale, CutEdge[]? cuts)
    {
        var next = 0;
        for (var row = 0; row < stretch.Length; row++)
        {
            var s = new Span<float>(scores + (long)row * stride, stride);
            s[(stretch.Causal ? row + 1 : stretch.Length)..].Fill(float.NegativeInfinity);
            for (; cuts is not null && next < cuts.Length && cuts[next].Query == row; next++) s[cuts[next].From..cuts[next].To].Fill(float.NegativeInfinity);
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
    private static void Slopes(float* probabilities, float* slopes, int stride, int length, float scale, float* noted)
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
            if (noted != null) new Span<float>(d, length).CopyTo(new Span<float>(noted + (long)row * length, length));
            for (var i = 0; i < stride; i += 16) (Vector512.Load(d + i) * scale).Store(d + i);
        }
    }
}
