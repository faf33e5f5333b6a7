using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Tensors;

/// <summary>The backward pass of each operator compared with central differences of a plain float64 implementation.</summary>
public sealed class OperatorGradientTests : IDisposable
{
    private const double Step = 1e-5;

    private readonly Arena _arena = new();
    private readonly Team _team = new(2);
    private readonly Random _random = new(3);

    private Compute Compute => new(_arena, _team);

    public void Dispose()
    {
        _team.Dispose();
        _arena.Dispose();
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 5, 7)]
    [InlineData(33, 70, 25)]
    [InlineData(40, 31, 64)]
    [InlineData(600, 12, 33)]
    [InlineData(9, 530, 40)]
    public void Linear(int rows, int outputs, int inputs)
    {
        using var weights = Random(("w", [outputs, inputs]), ("b", [outputs]));
        var (x, dy) = (Take(rows, inputs), Take(rows, outputs));
        var linear = new Linear(Weight(weights, "w"), Weight(weights, "b"));
        using var gradients = new Gradients(weights.Entries);
        var dx = LinearGradient.Both(linear, x, dy, gradients, Compute);
        // Linear in each argument, so the gradients are plain sums in float64.
        for (var trial = 0; trial < 200; trial++)
        {
            var (r, o, i) = (_random.Next(rows), _random.Next(outputs), _random.Next(inputs));
            Near(Enumerable.Range(0, outputs).Sum(k => (double)dy[r][k] * weights["w"][k * inputs + i]), dx[r][i], Math.Sqrt(outputs));
            Near(Enumerable.Range(0, rows).Sum(k => (double)dy[k][o] * x[k][i]), gradients["w"][o * inputs + i], Math.Sqrt(rows));
            Near(Enumerable.Range(0, rows).Sum(k => (double)dy[k][o]), gradients["b"][o], Math.Sqrt(rows));
        }
        // Gradients accumulate: a second call adds to the values that exist.
        var before = gradients["w"].ToArray();
        LinearGradient.Weights(linear, x, dy, gradients, Compute);
        for (var i = 0; i < before.Length; i++) Assert.Equal(before[i] + before[i], gradients["w"][i]);
    }

    [Fact]
    public void LinearOverAPartOfAFusedWeight_AddsToThatPartAlone()
    {
        using var weights = Random(("w", [24, 10]));
        var part = new Linear(Weight(weights, "w").Blocks(2, 3, 8));
        var (x, dy) = (Take(5, 10), Take(5, 9));
        using var gradients = new Gradients(weights.Entries);
        var dx = LinearGradient.Both(part, x, dy, gradients, Compute);
        for (var row = 0; row < 24; row++)
        {
            var own = row % 8 is >= 2 and < 5;
            for (var i = 0; i < 10; i++)
            {
                if (own)
                    Near(Enumerable.Range(0, 5).Sum(r => (double)dy[r][row / 8 * 3 + row % 8 - 2] * x[r][i]), gradients["w"][row * 10 + i]);
                else Assert.Equal(0, gradients["w"][row * 10 + i]);
            }
        }
        Near(Enumerable.Range(0, 9).Sum(o => (double)dy[2][o] * weights["w"][(o / 3 * 8 + 2 + o % 3) * 10 + 4]), dx[2][4]);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(16, false)]
    [InlineData(37, false)]
    [InlineData(37, true)]
    [InlineData(128, true)]
    public void Norm(int width, bool centred)
    {
        using var weights = Random(("gain", [width]), ("bias", [width]));
        var norm = new Norm(Weight(weights, "gain"), centred ? Weight(weights, "bias") : null, 1e-5);
        var (x, dy) = (Take(3, width), Take(3, width));
        using var gradients = new Gradients(weights.Entries);
        var dx = _arena.TakeZeros(3, width);
        norm.Backward(x, dy, dx, gradients, _arena);
        double Loss(double[] input, double[] gain, double[] bias)
        {
            var sum = 0.0;
            for (var row = 0; row < 3; row++)
            {
                var r = input.AsSpan(row * width, width).ToArray();
                var mean = centred ? r.Average() : 0;
                var scale = 1 / Math.Sqrt(r.Average(v => (v - mean) * (v - mean)) + (float)1e-5);
                for (var i = 0; i < width; i++) sum += dy[row][i] * ((r[i] - mean) * scale * gain[i] + (centred ? bias[i] : 0));
            }
            return sum;
        }
        var (values, g, b) = (Doubles(x), Doubles(weights["gain"]), Doubles(weights["bias"]));
        Compare(values, () => Loss(values, g, b), dx.ToArray());
        Compare(g, () => Loss(values, g, b), gradients["gain"].ToArray());
        Compare(b, () => Loss(values, g, b), gradients["bias"].ToArray());
    }

    [Theory]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.QuickGelu)]
    [InlineData(Activation.Gelu)]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.Relu)]
    [InlineData(Activation.ReluSquared)]
    [InlineData(Activation.Relu6)]
    [InlineData(Activation.LeakyRelu)]
    [InlineData(Activation.Mish)]
    [InlineData(Activation.Sigmoid)]
    [InlineData(Activation.Tanh)]
    [InlineData(Activation.Linear)]
    public void Activations(object activationGiven)
    {
        var activation = (Activation)activationGiven;
        double Of(double x) => activation switch
        {
            Activation.Silu => x / (1 + Math.Exp(-x)),
            Activation.QuickGelu => x / (1 + Math.Exp(-1.702f * x)),
            Activation.Gelu => 0.5 * x * (1 + Erf.Of(x * Math.Sqrt(0.5))),
            Activation.Relu => Math.Max(x, 0),
            Activation.ReluSquared => Math.Max(x, 0) * Math.Max(x, 0),
            Activation.Relu6 => Math.Clamp(x, 0, 6),
            Activation.LeakyRelu => x > 0 ? x : x / 100,
            Activation.Mish => x * Math.Tanh(x > 30 ? x : Math.Log(1 + Math.Exp(x))),
            Activation.Sigmoid => 1 / (1 + Math.Exp(-x)),
            Activation.Tanh => Math.Tanh(x),
            Activation.Linear => x,
            _ => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
        };
        // Not at 0 and 6, where some activations have a kink.
        float[] at = [.. Enumerable.Range(-60, 121).Select(i => (i + 0.3f) / 7), -90, 90];
        float[] derivatives = [.. at];
        AnchorScope.Tensors.Activations.Derive(activation, derivatives);
        for (var i = 0; i < at.Length; i++) Assert.Equal((Of(at[i] + Step) - Of(at[i] - Step)) / (2 * Step), derivatives[i], 3e-6);
    }

    [Fact]
    public void Rotation_GoesBackByTheSameAngle()
    {
        var rope = new Rope(48, 10_000, [8, 10, 6]);
        rope.Reserve(50);
        var (x, dy) = (Take(1, 96), Take(1, 96));
        var (turned, back) = (x.ToArray(), dy.ToArray());
        rope.Rotate(turned, new Coordinate(3, 17, 41));
        rope.RotateBack(back, new Coordinate(3, 17, 41));
        // RotateBack is the adjoint of Rotate: the inner product of Rotate(x) and dy equals that of x and RotateBack(dy).
        Near(turned.Zip(dy.ToArray(), (a, b) => (double)a * b).Sum(), x.ToArray().Zip(back, (a, b) => (double)a * b).Sum(), 10);
        rope.RotateBack(turned, new Coordinate(3, 17, 41));
        for (var i = 0; i < turned.Length; i++) Assert.Equal(x[0][i], turned[i], 1e-6);
    }

    [Theory]
    [InlineData(1, 4, 1, 1, true, false)]
    [InlineData(5, 8, 2, 1, true, false)]
    [InlineData(37, 12, 3, 2, true, false)]
    [InlineData(37, 12, 3, 2, true, true)]
    [InlineData(70, 40, 1, 1, false, false)]
    public unsafe void Attention(int length, int size, int group, int keyHeads, bool causal, bool cut)
    {
        var (start, heads) = (2, group * keyHeads);
        var inputs = new AttentionRows(Take(length + start, heads * size), Take(length + start, keyHeads * size),
            Take(length + start, keyHeads * size));
        var dz = Take(length + start, heads * size);
        var derivatives = new AttentionRows(Take(length + start, heads * size), Take(length + start, keyHeads * size),
            Take(length + start, keyHeads * size));
        ScoreEdit[] cuts = cut
            ? [new ScoreEdit(4, 0, 3), new ScoreEdit(4, 4, 5), new ScoreEdit(20, 7, 19), new ScoreEdit(length - 1, 1, length)] : [];
        var scratch = _arena.TakeFloats(AttentionGradient.ScratchFloats(length, 0, size));
        var noted = _arena.Take(heads * length, length);
        for (var keyHead = 0; keyHead < keyHeads; keyHead++)
            AttentionGradient.Of(inputs, dz, derivatives, new AttentionStretch(start, length, keyHead, causal), size, group,
                AttentionPast.None, cut ? head => head == 1 ? cuts : null : null,
                noted.Data + (long)keyHead * group * length * length, scratch);
        var (q, k, v, more) = (Doubles(inputs.Query), Doubles(inputs.Key), Doubles(inputs.Value), new double[heads * length * length]);
        double Loss()
        {
            var sum = 0.0;
            for (var head = 0; head < heads; head++)
            {
                for (var i = 0; i < length; i++)
                {
                    var (scores, kv) = (new double[length], head / group * size);
                    for (var j = 0; j < length; j++)
                    {
                        var seen = (!causal || j <= i) && !(cut && head == 1 && cuts.Any(c => c.Query == i && c.From <= j && j < c.To));
                        for (var d = 0; d < size && seen; d++)
                            scores[j] += q[(start + i) * heads * size + head * size + d] * k[(start + j) * keyHeads * size + kv + d];
                        scores[j] = seen ? Math.Exp(scores[j] / Math.Sqrt(size) + more[(head * length + i) * length + j]) : 0;
                    }
                    var all = scores.Sum();
                    for (var j = 0; j < length; j++)
                    {
                        for (var d = 0; d < size && scores[j] > 0; d++)
                            sum += scores[j] / all * v[(start + j) * keyHeads * size + kv + d] * dz[start + i][head * size + d];
                    }
                }
            }
            return sum;
        }
        // Only some entries: each difference takes a full pass in float64.
        Compare(q, Loss, derivatives.Query.ToArray(), start * heads * size, 25);
        Compare(k, Loss, derivatives.Key.ToArray(), start * keyHeads * size, 25);
        Compare(v, Loss, derivatives.Value.ToArray(), start * keyHeads * size, 25);
        Compare(more, Loss, noted.ToArray(), 0, 60);
    }

    [Fact]
    public void PixelShuffle_GoesBackToWhereItCameFrom()
    {
        var (x, dy) = (Take(2 * 17, 6), Take(2 * 4, 24));
        var (y, dx) = (PixelShuffle.Forward(x, 17, 4, 2, _arena), PixelShuffle.Backward(dy, 17, 4, 2, _arena));
        Near(Dot(y, dy), Dot(x, dx), 10);
        for (var i = 0; i < 6; i++) Assert.Equal(0, dx[17][i]);
    }

    [Theory]
    [InlineData(30, 50, 2, 2, 1)]
    [InlineData(50, 30, 3, 2, 9)]
    public void ShrunkMap_GoesBackInTheSameShares(int height, int width, int rows, int columns, int most)
    {
        const int Side = 4;
        var packing = TilePacking.Of(new PictureShape(1 + rows * columns, rows, columns, height, width), Side, most);
        var (tiles, dy) = (Take(rows * columns * Side * Side, 3), Take(packing.Rows * packing.Columns, 3));
        var (y, dTiles) = (_arena.Take(dy.Rows, 3), _arena.TakeZeros(tiles.Rows, 3));
        for (var i = 0; i < dy.Rows; i++)
        {
            packing.Sample(tiles, 0, Side, i / packing.Columns, i % packing.Columns, y[i]);
            packing.SampleBackward(dTiles, 0, Side, i / packing.Columns, i % packing.Columns, dy[i]);
        }
        Near(Dot(y, dy), Dot(tiles, dTiles), 10);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 4)]
    [InlineData(7, 9)]
    [InlineData(65, 34)]
    public unsafe void Transposed_EveryElementIsThere(int rows, int columns)
    {
        var (x, y) = (Take(rows, columns), _arena.Take(columns, rows));
        AnchorScope.Tensors.Transpose.Of(x.Data, columns, rows, columns, y.Data, rows);
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++) Assert.Equal(x[row][column], y[column][row]);
        }
    }

    private void Compare(double[] values, Func<double> loss, float[] derivatives, int first = 0, int most = int.MaxValue)
    {
        // Each is a sum of products of numbers of about 1, which may cancel: float32 rounding of that size is unavoidable.
        var largest = Math.Max(0.1, derivatives.Max(d => Math.Abs((double)d)));
        var places = Enumerable.Range(first, values.Length - first).ToArray();
        if (places.Length > most) places = [.. places.OrderBy(_ => _random.Next()).Take(most)];
        foreach (var i in places)
        {
            var before = values[i];
            values[i] = before + Step;
            var more = loss();
            values[i] = before - Step;
            var less = loss();
            values[i] = before;
            Assert.Equal((more - less) / (2 * Step), derivatives[i], 1e-5 * largest);
        }
    }

    private static void Near(double expected, double found, double size = 1) =>
        Assert.Equal(expected, found, 2e-6 * (size + Math.Abs(expected)));

    private static double Dot(Tensor a, Tensor b) => a.ToArray().Zip(b.ToArray(), (x, y) => (double)x * y).Sum();

    private static double[] Doubles(Tensor x) => Doubles(x.ToArray());

    private static double[] Doubles(ReadOnlySpan<float> x) => [.. x.ToArray().Select(v => (double)v)];

    private Tensor Take(int rows, int columns)
    {
        var tensor = _arena.Take(rows, columns);
        for (var row = 0; row < rows; row++) Fill(tensor[row]);
        return tensor;
    }

    private Parameters Random(params (string Name, long[] Shape)[] tensors)
    {
        var parameters = Parameters.Zeros("test", tensors);
        foreach (var (name, _) in tensors) Fill(parameters[name]);
        return parameters;
    }

    private void Fill(Span<float> values)
    {
        foreach (ref var value in values) value = (float)(2 * _random.NextDouble() - 1);
    }

    private static Weight Weight(Parameters parameters, string name) => new(parameters, parameters.Entries.Single(e => e.Name == name));
}
