using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>RMSNorm, x / sqrt(mean(x^2) + eps) * gain; LayerNorm when there is a bias.</summary>
internal sealed unsafe class Norm
{
    private readonly Weight _gain;
    private readonly Weight? _bias;
    private readonly float _epsilon;

    /// <summary>RMSNorm with <paramref name="gain"/> [width], or LayerNorm with gain and <paramref name="bias"/> [width].</summary>
    public Norm(Weight gain, Weight? bias, double epsilon)
    {
        (_gain, _bias) = (gain, bias);
        _epsilon = (float)epsilon;
    }

    /// <summary>Name of the gain tensor.</summary>
    internal string GainName => _gain.Name;

    /// <summary>The gain [width].</summary>
    public ReadOnlySpan<float> Gain => _gain.Singles;

    /// <summary>The factor by which RMSNorm multiplies <paramref name="row"/> before the gain: 1 / sqrt(mean(x^2) + eps).</summary>
    public float Scale(ReadOnlySpan<float> row) => 1f / MathF.Sqrt(Sum(row, 0f, square: true) / row.Length + _epsilon);

    /// <summary>Normalises every row of <paramref name="x"/> [rows, width] into new memory.</summary>
    public Tensor Forward(Tensor x, Compute compute)
    {
        if (x.Columns != _gain.Count) throw new ArgumentException($"norm of width {_gain.Count} given {x.Columns} columns", nameof(x));
        var y = compute.Arena.Take(x.Rows, x.Columns);
        Rows.Each(compute, x.Rows, 8L * x.Columns, new Normalise(this, x, y));
        return y;
    }

    private readonly struct Normalise(Norm norm, Tensor x, Tensor y) : IRowWork
    {
        public void Do(int row) => norm.Row(x[row], y[row]);
    }

    private void Row(ReadOnlySpan<float> x, Span<float> y)
    {
        var gain = _gain.Singles;
        var mean = 0f;
        if (_bias is not null)
        {
            mean = Sum(x, 0f, square: false) / x.Length;
        }
        var scale = 1f / MathF.Sqrt(Sum(x, mean, square: true) / x.Length + _epsilon);
        var k = 0;
        for (; k + 16 <= x.Length; k += 16)
            ((Vector512.Create(x.Slice(k, 16)) - Vector512.Create(mean)) * Vector512.Create(scale) * Vector512.Create(gain.Slice(k, 16)))
                .CopyTo(y.Slice(k, 16));
        for (; k < x.Length; k++) y[k] = (x[k] - mean) * scale * gain[k];
        if (_bias is not null) System.Numerics.Tensors.TensorPrimitives.Add(y, _bias.Singles, y);
    }

    /// <summary>
    /// Backward pass: adds the gradient with respect to x to <paramref name="dx"/>, and the gradients with respect to gain and bias to
    /// <paramref name="gradients"/>.
    /// </summary>
    /// <param name="x">The input of the forward pass [rows, width].</param>
    /// <param name="dy">Gradient with respect to the output [rows, width].</param>
    /// <param name="dx">[rows, width].</param>
    internal void Backward(Tensor x, Tensor dy, Tensor dx, Gradients? gradients, Arena arena)
    {
        var mark = arena.Here();
        var sums = gradients?.Of(_gain) is null ? default : arena.Take(1, x.Columns);
        if (sums.Rows > 0) sums[0].Clear();
        var gain = _gain.Singles;
        for (var row = 0; row < x.Rows; row++) BackwardRow(x[row], dy[row], dx[row], gain, sums.Rows > 0 ? sums[0] : []);
        if (gradients?.Of(_gain) is { } into) Gradients.AddEach(into, sums[0]);
        if (gradients?.Of(_bias) is { } shifts) Gradients.AddEach(shifts, LinearGradient.Columns(dy, arena)[0]);
        arena.Release(mark);
    }

    // With n = (x - mean) * scale and g = gain * dy: dx = scale * (g - mean(g) - n * mean(g n)); RMSNorm has no mean(g) term.
    private void BackwardRow(ReadOnlySpan<float> x, ReadOnlySpan<float> dy, Span<float> dx, ReadOnlySpan<float> gain, Span<float> gainSums)
    {
        var mean = _bias is null ? 0f : Sum(x, 0f, square: false) / x.Length;
        var scale = 1f / MathF.Sqrt(Sum(x, mean, square: true) / x.Length + _epsilon);
        var (sumLanes, alongLanes) = (Vector512<float>.Zero, Vector512<float>.Zero);
        var k = 0;
        for (; k + 16 <= x.Length; k += 16)
        {
            var n = (Vector512.Create(x.Slice(k, 16)) - Vector512.Create(mean)) * scale;
            var d = Vector512.Create(dy.Slice(k, 16));
            var g = d * Vector512.Create(gain.Slice(k, 16));
            sumLanes += g;
            alongLanes = Vector512.FusedMultiplyAdd(g, n, alongLanes);
            if (gainSums.Length > 0)
                Vector512.FusedMultiplyAdd(d, n, Vector512.Create<float>(gainSums.Slice(k, 16))).CopyTo(gainSums.Slice(k, 16));
        }
        var (sum, along) = (DirectMatMul.Fold(sumLanes), DirectMatMul.Fold(alongLanes));
        for (; k < x.Length; k++)
        {
            var n = (x[k] - mean) * scale;
            sum += dy[k] * gain[k];
            along += dy[k] * gain[k] * n;
            if (gainSums.Length > 0) gainSums[k] += dy[k] * n;
        }
        var (shift, share) = (_bias is null ? 0f : sum / x.Length, along / x.Length);
        for (k = 0; k + 16 <= x.Length; k += 16)
        {
            var n = (Vector512.Create(x.Slice(k, 16)) - Vector512.Create(mean)) * scale;
            var g = Vector512.Create(dy.Slice(k, 16)) * Vector512.Create(gain.Slice(k, 16));
            (Vector512.Create<float>(dx.Slice(k, 16)) + (g - Vector512.Create(shift) - n * share) * scale).CopyTo(dx.Slice(k, 16));
        }
        for (; k < x.Length; k++) dx[k] += (dy[k] * gain[k] - shift - (x[k] - mean) * scale * share) * scale;
    }

    private static float Sum(ReadOnlySpan<float> x, float mean, bool square)
    {
        var lanes = Vector512<float>.Zero;
        var i = 0;
        for (; i + 16 <= x.Length; i += 16)
        {
            var v = Vector512.Create(x.Slice(i, 16)) - Vector512.Create(mean);
            lanes = square ? Vector512.FusedMultiplyAdd(v, v, lanes) : lanes + v;
        }
        var sum = DirectMatMul.Fold(lanes);
        for (; i < x.Length; i++)
        {
            var v = x[i] - mean;
            sum += square ? v * v : v;
        }
        return sum;
    }
}
