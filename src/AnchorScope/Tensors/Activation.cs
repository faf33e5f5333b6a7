using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AnchorScope.Tensors;

/// <summary>Activation functions, named after the strings in checkpoint configurations.</summary>
internal enum Activation
{
    /// <summary>x * sigmoid(x).</summary>
    Silu,

    /// <summary>x * sigmoid(1.702 x), CLIP's approximation of GELU.</summary>
    QuickGelu,

    /// <summary>x * Phi(x), computed with the error function.</summary>
    Gelu,

    /// <summary>The tanh approximation of GELU.</summary>
    GeluTanh,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>max(x, 0)^2.</summary>
    ReluSquared,

    /// <summary>x clamped to 0..6.</summary>
    Relu6,

    /// <summary>x where x is at least 0, otherwise x / 100.</summary>
    LeakyRelu,

    /// <summary>x * tanh(log(1 + e^x)).</summary>
    Mish,

    /// <summary>1 / (1 + e^-x).</summary>
    Sigmoid,

    /// <summary>The hyperbolic tangent.</summary>
    Tanh,

    /// <summary>x itself.</summary>
    Linear,
}

/// <summary>Element-wise activation functions on rows.</summary>
internal static class Activations
{
    /// <summary>The names that <see cref="Parse"/> accepts.</summary>
    public static IReadOnlyList<string> Names { get; } = 
    [
        "silu", "swish", "quick_gelu", "gelu", "gelu_python", "gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate",
            "gelu_python_tanh", "relu", "relu2", "relu6",
        "leaky_relu", "mish", "sigmoid", "tanh", "linear",
    ];

    /// <summary>The function with this configuration name, or null for an unknown name.</summary>
    public static Activation? Parse(string name) => name switch
    {
        "silu" or "swish" => Activation.Silu,
        "quick_gelu" => Activation.QuickGelu,
        "gelu" or "gelu_python" => Activation.Gelu,
        "gelu_pytorch_tanh" or "gelu_new" or "gelu_fast" or "gelu_accurate" or "gelu_python_tanh" => Activation.GeluTanh,
        "relu" => Activation.Relu,
        "relu2" => Activation.ReluSquared,
        "relu6" => Activation.Relu6,
        "leaky_relu" => Activation.LeakyRelu,
        "mish" => Activation.Mish,
        "sigmoid" => Activation.Sigmoid,
        "tanh" => Activation.Tanh,
        "linear" => Activation.Linear,
        _ => null,
    };

    /// <summary>Replaces every x by f(x).</summary>
    public static void Apply(Activation activation, Span<float> values)
    {
        switch (activation)
        {
            case Activation.Silu:
                Sigmoidal(values, 1f);
                break;
            case Activation.QuickGelu:
                Sigmoidal(values, 1.702f);
                break;
            case Activation.Gelu:
                for (var i = 0; i < values.Length; i++) values[i] = (float)(0.5 * values[i] * (1 + Erf.Of(values[i] * Math.Sqrt(0.5))));
                break;
            case Activation.GeluTanh:
                var c = Math.Sqrt(2 / Math.PI);
                for (var i = 0; i < values.Length; i++)
                {
                    double x = values[i];
                    values[i] = (float)(0.5 * x * (1 + Math.Tanh(c * (x + 0.044715 * x * x * x))));
                }
                break;
            default:
                for (var i = 0; i < values.Length; i++) values[i] = (float)Plain(activation, values[i]).Value;
                break;
        }
    }

    /// <summary>Replaces every x of <paramref name="values"/> [rows, width] by f(x).</summary>
    internal static void Apply(Activation activation, Tensor values, Compute compute) =>
        Rows.Each(compute, values.Rows, CostOf(activation) * values.Columns, new Applied(activation, values));

    /// <summary>Replaces <paramref name="gate"/> [rows, width] by f(gate) * <paramref name="up"/>, element by element.</summary>
    internal static void Gated(Activation activation, Tensor gate, Tensor up, Compute compute) =>
        Rows.Each(compute, gate.Rows, CostOf(activation) * gate.Columns, new Gate(activation, gate, up));

    /// <summary>
    /// Backward pass of f(gate) * up. Returns the gradient with respect to gate in new memory, and overwrites <paramref name="d"/>, the
    /// gradient with respect to the output, with the gradient with respect to up. All are [rows, width].
    /// </summary>
    internal static Tensor GatedBack(Activation activation, Tensor gate, Tensor up, Tensor d, Compute compute)
    {
        var dGate = compute.Arena.Take(gate.Rows, gate.Columns);
        Rows.Each(compute, gate.Rows, 2 * CostOf(activation) * gate.Columns, new Back(activation, gate, up, d, dGate));
        return dGate;
    }

    private readonly struct Back(Activation activation, Tensor gate, Tensor up, Tensor d, Tensor dGate) : IRowWork
    {
        public void Do(int row)
        {
            var done = activation switch
            {
                Activation.Silu => Sigmoidal(gate[row], up[row], d[row], dGate[row], 1f),
                Activation.QuickGelu => Sigmoidal(gate[row], up[row], d[row], dGate[row], 1.702f),
                _ => 0,
            };
            Rest(gate[row][done..], up[row][done..], d[row][done..], dGate[row][done..]);
        }

        /// <summary>Value and slope from the same exponential, 16 elements at a time.</summary>
        /// <returns>Number of elements processed.</returns>
        private static int Sigmoidal(Span<float> gate, Span<float> up, Span<float> d, Span<float> dGate, float slope)
        {
            var i = 0;
            for (; i + 16 <= gate.Length; i += 16)
            {
                var x = Vector512.Create<float>(gate.Slice(i, 16));
                var onePlus = Vector512<float>.One + Exp.Of(x * -slope);
                var by = Vector512.Create<float>(d.Slice(i, 16));
                (Slope(x * slope, onePlus) * Vector512.Create<float>(up.Slice(i, 16)) * by).CopyTo(dGate.Slice(i, 16));
                (by * (x / onePlus)).CopyTo(d.Slice(i, 16));
            }
            return i;
        }

        private void Rest(Span<float> gate, Span<float> up, Span<float> d, Span<float> dGate)
        {
            gate.CopyTo(dGate);
            Derive(activation, dGate);
            System.Numerics.Tensors.TensorPrimitives.Multiply(dGate, up, dGate);
            System.Numerics.Tensors.TensorPrimitives.Multiply(dGate, d, dGate);
            Span<float> active = stackalloc float[16];
            for (var i = 0; i < gate.Length; i += 16)
            {
                var part = d[i..Math.Min(i + 16, gate.Length)];
                gate.Slice(i, part.Length).CopyTo(active);
                Apply(activation, active[..part.Length]);
                System.Numerics.Tensors.TensorPrimitives.Multiply(part, active[..part.Length], part);
            }
        }
    }

    // Relative cost in multiplications: the error function and tanh are computed one element at a time in float64.
    private static long CostOf(Activation activation) => activation is Activation.Silu or Activation.QuickGelu ? 20 : 200;

    private readonly struct Applied(Activation activation, Tensor values) : IRowWork
    {
        public void Do(int row) => Apply(activation, values[row]);
    }

    private readonly struct Gate(Activation activation, Tensor gate, Tensor up) : IRowWork
    {
        public void Do(int row)
        {
            Apply(activation, gate[row]);
            System.Numerics.Tensors.TensorPrimitives.Multiply(gate[row], up[row], gate[row]);
        }
    }

    /// <summary>Replaces every x by the derivative f'(x).</summary>
    public static void Derive(Activation activation, Span<float> values)
    {
        switch (activation)
        {
            case Activation.Silu:
                SigmoidalDerivative(values, 1f);
                break;
            case Activation.QuickGelu:
                SigmoidalDerivative(values, 1.702f);
                break;
            case Activation.Gelu:
                for (var i = 0; i < values.Length; i++)
                {
                    double x = values[i];
                    values[i] = (float)(0.5 * (1 + Erf.Of(x * Math.Sqrt(0.5))) + x * Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI));
                }
                break;
            case Activation.GeluTanh:
                var c = Math.Sqrt(2 / Math.PI);
                for (var i = 0; i < values.Length; i++)
                {
                    double x = values[i];
                    var t = Math.Tanh(c * (x + 0.044715 * x * x * x));
                    values[i] = (float)(0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x));
                }
                break;
            default:
                for (var i = 0; i < values.Length; i++) values[i] = (float)Plain(activation, values[i]).Slope;
                break;
        }
    }

    /// <summary>Value and slope, one element at a time, of the functions that occur at most between two layers of a projector.</summary>
    private static (double Value, double Slope) Plain(Activation activation, double x)
    {
        var sigmoid = 1 / (1 + Math.Exp(-x));
        switch (activation)
        {
            case Activation.Relu: return x > 0 ? (x, 1) : (0, 0);
            case Activation.ReluSquared: return x > 0 ? (x * x, 2 * x) : (0, 0);
            case Activation.Relu6: return x <= 0 ? (0, 0) : x >= 6 ? (6, 0) : (x, 1);
            case Activation.LeakyRelu: return x > 0 ? (x, 1) : (0.01 * x, 0.01);
            case Activation.Sigmoid: return (sigmoid, sigmoid * (1 - sigmoid));
            case Activation.Tanh: return (Math.Tanh(x), 1 - Math.Tanh(x) * Math.Tanh(x));
            case Activation.Linear: return (x, 1);
            case Activation.Mish:
                // Above 20 the logarithm is x to the last digit, as in the reference.
                var t = Math.Tanh(x > 20 ? x : Math.Log(1 + Math.Exp(x)));
                return (x * t, t + x * sigmoid * (1 - t * t));
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "computed elsewhere");
        }
    }

    private static void SigmoidalDerivative(Span<float> values, float slope)
    {
        Span<float> edge = stackalloc float[16];
        for (var i = 0; i < values.Length; i += 16)
        {
            var part = values[i..Math.Min(i + 16, values.Length)];
            part.CopyTo(edge);
            var x = Vector512.Create<float>(edge) * slope;
            Slope(x, Vector512<float>.One + Exp.Of(-x)).CopyTo(edge);
            edge[..part.Length].CopyTo(part);
        }
    }

    // With s = sigmoid(a x): s + a x s (1 - s).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Slope(Vector512<float> scaled, Vector512<float> onePlus)
    {
        var s = Vector512<float>.One / onePlus;
        return Vector512.FusedMultiplyAdd(scaled * s, Vector512<float>.One - s, s);
    }

    private static void Sigmoidal(Span<float> values, float slope)
    {
        Span<float> edge = stackalloc float[16];
        for (var i = 0; i < values.Length; i += 16)
        {
            var part = values[i..Math.Min(i + 16, values.Length)];
            if (part.Length == 16)
            {
                var x = Vector512.Create<float>(part);
                (x / (Vector512<float>.One + Exp.Of(x * -slope))).CopyTo(part);
            }
            else
            {
                part.CopyTo(edge);
                var x = Vector512.Create<float>(edge);
                (x / (Vector512<float>.One + Exp.Of(x * -slope))).CopyTo(edge);
                edge[..part.Length].CopyTo(part);
            }
        }
    }
}
