using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>Backward pass of y = x W^T + b: dx = dy W, dW += dy^T x, db += the sum of the rows of dy.</summary>
/// <remarks>
/// Every number is one chain of fused multiply-adds, over outputs or over rows, first to last. The number of threads does not change any
/// bit.
/// </remarks>
internal static unsafe class LinearGradient
{
    private const int Width = PanelMatMul.Width;

    /// <summary>Rows of W whose gradients are computed at a time: four blocks of the kernel.</summary>
    private const int OutputsPerChunk = 48;

    /// <summary>
    /// Floats between transposed rows: one cache line more than a power of two. Otherwise all rows would map to the same few L1 cache sets.
    /// </summary>
    private const int TransposedStride = PanelMatMul.Depth + 16;

    /// <summary>dx [rows, inputs] in new memory.</summary>
    /// <param name="dy">[rows, outputs].</param>
    public static Tensor Input(Linear linear, Tensor dy, Compute compute)
    {
        if (dy.Columns != linear.Outputs)
            throw new ArgumentException($"{linear.Weight.Name} has {linear.Outputs} outputs, not {dy.Columns}", nameof(dy));
        var dx = compute.Arena.Take(dy.Rows, linear.Inputs);
        var mark = compute.Arena.Here();
        var pieces = compute.Arena.TakeFloats((long)compute.Team.Size * Width * PanelMatMul.Depth);
        compute.Team.For(PanelMatMul.Panels(linear.Inputs), 2L * dy.Rows * linear.Outputs * Width,
            new InputWork(linear.Weight, dy, dx, pieces));
        compute.Arena.Release(mark);
        return dx;
    }

    /// <summary>Adds the gradients with respect to weight and bias to <paramref name="gradients"/>, where they are requested.</summary>
    /// <param name="x">The input of the forward pass [rows, inputs].</param>
    /// <param name="dy">[rows, outputs].</param>
    public static void Weights(Linear linear, Tensor x, Tensor dy, Gradients? gradients, Compute compute) =>
        Weights([(linear, dy)], x, gradients, compute);

    /// <summary>
    /// Runs <see cref="Weights(Linear, Tensor, Tensor, Gradients?, Compute)"/> and returns dx as <see cref="Input"/> does.
    /// </summary>
    public static Tensor Both(Linear linear, Tensor x, Tensor dy, Gradients? gradients, Compute compute) =>
        Both([(linear, dy)], x, gradients, compute);

    /// <summary>The same for projections that read the same x. Returns the sum of their dx.</summary>
    public static Tensor Both(ReadOnlySpan<(Linear Linear, Tensor Dy)> projections, Tensor x, Gradients? gradients, Compute compute)
    {
        Weights(projections, x, gradients, compute);
        var dx = Input(projections[0].Linear, projections[0].Dy, compute);
        foreach (var (linear, dy) in projections[1..]) Tensors.Rows.Add(compute, dx, Input(linear, dy, compute));
        return dx;
    }

    private static void Weights(ReadOnlySpan<(Linear Linear, Tensor Dy)> projections, Tensor x, Gradients? gradients, Compute compute)
    {
        if (gradients is null) return;
        var (arena, panels, rows) = (compute.Arena, PanelMatMul.Panels(x.Columns), x.Rows);
        var mark = arena.Here();
        float* packed = null, scratch = null;
        // For each thread: a transposed piece of dy, and the gradients with respect to its rows of W.
        var size = (long)OutputsPerChunk * (TransposedStride + panels * Width);
        foreach (var (linear, dy) in projections)
        {
            if (gradients.Of(linear.Bias) is { } bias) Gradients.AddEach(bias, Columns(dy, arena)[0]);
            if (gradients.Of(linear.Weight) is not { } into) continue;
            if (packed == null)
            {
                packed = arena.TakeFloats((long)panels * rows * Width);
                compute.Team.For(panels, 16L * rows * Width, new PackWork(x, packed));
                scratch = arena.TakeFloats(size * compute.Team.Size);
            }
            compute.Team.For((linear.Outputs + OutputsPerChunk - 1) / OutputsPerChunk, 2L * rows * OutputsPerChunk * linear.Inputs,
                new WeightWork(x.Columns, packed, dy, into, scratch, size));
        }
        arena.Release(mark);
    }

    /// <summary>Sum of the rows [1, columns].</summary>
    public static Tensor Columns(Tensor rows, Arena arena)
    {
        var sum = arena.Take(1, rows.Columns);
        sum[0].Clear();
        for (var row = 0; row < rows.Rows; row++) System.Numerics.Tensors.TensorPrimitives.Add(sum[0], rows[row], sum[0]);
        return sum;
    }

    /// <summary>Packs 32 columns of <paramref name="count"/> rows into a panel; missing columns are zero.</summary>
    private static void Pack(float* from, long stride, int columns, int count, float* panel)
    {
        for (var row = 0; row < count; row++, from += stride, panel += Width) PanelMatMul.CopyPadded(from, columns, panel);
    }

    /// <summary>One panel of inputs: columns of W, with the outputs as depth.</summary>
    private readonly struct InputWork(Weight weight, Tensor dy, Tensor dx, float* pieces) : ITeamWork
    {
        public void Do(int chunk, int member)
        {
            var first = chunk * Width;
            var columns = Math.Min(Width, dx.Columns - first);
            var piece = pieces + (long)member * Width * PanelMatMul.Depth;
            for (var from = 0; from < dy.Columns; from += PanelMatMul.Depth)
            {
                var depth = Math.Min(PanelMatMul.Depth, dy.Columns - from);
                for (var k = 0; k < depth; k++)
                {
                    var source = weight.RowAddress(from + k) + (long)first * weight.Type.Bytes();
                    if (weight.Type == StoredType.F32)
                    {
                        PanelMatMul.CopyPadded((float*)source, columns, piece + k * Width);
                        continue;
                    }
                    var target = new Span<float>(piece + k * Width, Width);
                    Widening.ToSingles(source, weight.Type, target[..columns]);
                    target[columns..].Clear();
                }
                PanelMatMul.Multiply(dy.Data + from, dy.Columns, dy.Rows, piece, depth, dx.Data + first, dx.Columns,
                    columns, fresh: from == 0);
            }
        }
    }

    private readonly struct PackWork(Tensor x, float* packed) : ITeamWork
    {
        public void Do(int chunk, int member)
        {
            var first = chunk * Width;
            Pack(x.Data + first, x.Columns, Math.Min(Width, x.Columns - first), x.Rows, packed + (long)chunk * x.Rows * Width);
        }
    }

    /// <summary>Some rows of W, with the rows of x and dy as depth.</summary>
    private readonly struct WeightWork(int inputs, float* packed, Tensor dy, Weight into, float* scratch, long size) : ITeamWork
    {
        public void Do(int chunk, int member)
        {
            var (first, panels) = (chunk * OutputsPerChunk, PanelMatMul.Panels(inputs));
            var transposed = scratch + size * member;
            var outputs = Math.Min(OutputsPerChunk, dy.Columns - first);
            var sums = transposed + OutputsPerChunk * TransposedStride;
            for (var from = 0; from < dy.Rows; from += PanelMatMul.Depth)
            {
                var depth = Math.Min(PanelMatMul.Depth, dy.Rows - from);
                Transpose.Of(dy.Data + (long)from * dy.Columns + first, dy.Columns, depth, outputs, transposed, TransposedStride);
                for (var panel = 0; panel < panels; panel++)
                    PanelMatMul.Multiply(transposed, TransposedStride, outputs, packed + ((long)panel * dy.Rows + from) * Width, depth,
                        sums + panel * Width, panels * Width, Width, fresh: from == 0);
            }
            for (var i = 0; i < outputs; i++) Gradients.Add(into, first + i, new Span<float>(sums + (long)i * panels * Width, inputs));
        }
    }
}
