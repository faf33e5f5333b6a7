using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tensors;

/// <summary>RMSNorm, x / sqrt(mean(x^2) + eps) * gain, and LayerNorm when there is a bias.</summary>
public sealed unsafe class Norm
{
    private readonly float[] _gain;
    private readonly float[]? _bias;
    private readonly float _epsilon;

    /// <summary>RMSNorm with <paramref name="gain"/> [width], or LayerNorm with gain and <paramref name="bias"/> [width].</summary>
    public Norm(Weight gain, Weight? bias, double epsilon)
    {
        _gain = gain.ToSingles();
        _bias = bias?.ToSingles();
        _epsilon = (float)epsilon;
    }

    /// <summary>The gain [width].</summary>
    public ReadOnlySpan<float> Gain => _gain;

    /// <summary>What RMSNorm multiplies <paramref name="row"/> with before the gain: 1 / sqrt(mean(x^2) + eps).</summary>
    public float Scale(ReadOnlySpan<float> row) => 1f / MathF.Sqrt(Sum(row, 0f, square: true) / row.Length + _epsilon);

    /// <summary>Normalises every row of <paramref name="x"/> [rows, width] into new memory.</summary>
    public Tensor Forward(Tensor x, Arena arena)
    {
        if (x.Columns != _gain.Length) throw new ArgumentException($"norm of width {_gain.Length} given {x.Columns} columns", nameof(x));
        var y = arena.Take(x.Rows, x.Columns);
        for (var row = 0; row < x.Rows; row++) Row(x[row], y[row]);
        return y;
    }

    private void Row(ReadOnlySpan<float> x, Span<float> y)
    {
        var mean = 0f;
        if (_bias is not null)
        {
            mean = Sum(x, 0f, square: false) / x.Length;
        }
        var scale = 1f / MathF.Sqrt(Sum(x, mean, square: true) / x.Length + _epsilon);
        var k = 0;
        for (; k + 16 <= x.Length; k += 16)
            ((Vector512.Create(x.Slice(k, 16)) - Vector512.Create(mean)) * Vector512.Create(scale) * Vector512.Create(_gain.AsSpan(k, 16))).CopyTo(y.Slice(k, 16));
        for (; k < x.Length; k++) y[k] = (x[k] - mean) * scale * _gain[k];
        if (_bias is not null) System.Numerics.Tensors.TensorPrimitives.Add(y, _bias, y);
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
