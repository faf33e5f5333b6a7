using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Optimization;

/// <summary>Hyperparameters of <see cref="AdamW"/>.</summary>
/// <param name="FirstDecay">beta 1, the decay of the mean of gradients.</param>
/// <param name="SecondDecay">beta 2, the decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="WeightDecay">Decay of tensors with two or more axes, multiplied by the learning rate.</param>
internal sealed record AdamWOptions(float FirstDecay, float SecondDecay, float Epsilon, float WeightDecay);

/// <summary>
/// AdamW: exponential means of gradients and of squared gradients, both with bias correction, and decoupled weight decay (Loshchilov and
/// Hutter 2019).
/// </summary>
internal sealed class AdamW : IDisposable
{
    private readonly Parameters _parameters;
    private readonly AdamWOptions _options;
    private readonly List<TensorEntry> _tensors;

    /// <summary>Starts at step 0 with means of zero.</summary>
    /// <param name="tensors">The tensors of <paramref name="parameters"/> to update.</param>
    public AdamW(Parameters parameters, IEnumerable<TensorEntry> tensors, AdamWOptions options)
    {
        (_parameters, _options, _tensors) = (parameters, options, [.. tensors]);
        Means = Parameters.Zeros("adamw means", _tensors.Select(t => (t.Name, t.Shape)));
        Squares = Parameters.Zeros("adamw squares", _tensors.Select(t => (t.Name, t.Shape)));
    }

    /// <summary>Means of gradients, stored in training states.</summary>
    public Parameters Means { get; }

    /// <summary>Means of squared gradients, stored in training states.</summary>
    public Parameters Squares { get; }

    /// <summary>Number of steps done.</summary>
    public long Steps { get; set; }

    /// <summary>Performs one step.</summary>
    /// <param name="scale">Factor applied to all gradients first: 1, or less if their norm is clipped.</param>
    public void Step(Gradients gradients, double learningRate, double scale)
    {
        Steps++;
        var (first, second) = (1 - Math.Pow(_options.FirstDecay, Steps), 1 - Math.Pow(_options.SecondDecay, Steps));
        foreach (var tensor in _tensors)
        {
            var factors = new Factors
            {
                Gradient = (float)scale,
                Rate = (float)(learningRate / first),
                Correction = (float)(1 / Math.Sqrt(second)),
                Decay = tensor.Shape.Length > 1 ? (float)(1 - learningRate * _options.WeightDecay) : 1f,
            };
            Step(_parameters[tensor.Name], gradients[tensor.Name], Means[tensor.Name], Squares[tensor.Name], factors);
        }
    }

    private void Step(Span<float> values, ReadOnlySpan<float> gradients, Span<float> means, Span<float> squares, in Factors factors)
    {
        var (b1, b2) = (_options.FirstDecay, _options.SecondDecay);
        var (scale, rate, correction, decay) = (factors.Gradient, factors.Rate, factors.Correction, factors.Decay);
        var i = 0;
        for (; i + 16 <= values.Length; i += 16)
        {
            var g = Vector512.Create(gradients.Slice(i, 16)) * scale;
            var m = Vector512.Create<float>(means.Slice(i, 16)) * b1 + g * (1 - b1);
            var s = Vector512.Create<float>(squares.Slice(i, 16)) * b2 + g * g * (1 - b2);
            m.CopyTo(means.Slice(i, 16));
            s.CopyTo(squares.Slice(i, 16));
            (Vector512.Create<float>(values.Slice(i, 16)) * decay
                - m * rate / (Vector512.Sqrt(s) * correction + Vector512.Create(_options.Epsilon))).CopyTo(values.Slice(i, 16));
        }
        for (; i < values.Length; i++)
        {
            var g = gradients[i] * scale;
            means[i] = means[i] * b1 + g * (1 - b1);
            squares[i] = squares[i] * b2 + g * g * (1 - b2);
            values[i] = values[i] * decay - means[i] * rate / (MathF.Sqrt(squares[i]) * correction + _options.Epsilon);
        }
    }

    /// <summary>What one step multiplies.</summary>
    private readonly struct Factors
    {
        /// <summary>Factor of the gradients.</summary>
        public required float Gradient { get; init; }

        /// <summary>Learning rate, with the bias correction of the means.</summary>
        public required float Rate { get; init; }

        /// <summary>Bias correction of the root of the squares.</summary>
        public required float Correction { get; init; }

        /// <summary>Factor of the values.</summary>
        public required float Decay { get; init; }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Means.Dispose();
        Squares.Dispose();
    }
}
