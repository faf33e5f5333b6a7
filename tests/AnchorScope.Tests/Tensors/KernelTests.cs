using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Tensors;

public sealed unsafe class KernelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ascope-kernels").FullName;
    private readonly Arena _arena = new();

    public void Dispose()
    {
        _arena.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
    }

    private Weight Stored(StoredType type, int outputs, int inputs)
    {
        var values = Random(outputs * inputs, 7);
        var bytes = type switch
        {
            StoredType.F32 => values.SelectMany(BitConverter.GetBytes).ToArray(),
            StoredType.F16 => values.SelectMany(v => BitConverter.GetBytes((Half)v)).ToArray(),
            _ => values.SelectMany(v => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))).ToArray(),
        };
        var path = Path.Combine(_folder, $"{type}-{outputs}x{inputs}.safetensors");
        SafetensorsWriter.Write(path, [new TensorData("w", type, [outputs, inputs], bytes)]);
        var file = SafetensorsFile.Open(path);
        return new Weight(file, file.Entry("w"));
    }

    public static TheoryData<int, int, int> Edges()
    {
        var data = new TheoryData<int, int, int>();
        foreach (var rows in new[] { 1, 3, 4, 7, 8, 9, 17 })
        {
            foreach (var (outputs, inputs) in new[] { (1, 1), (31, 5), (32, 16), (33, 17), (64, 300), (70, 33) }) data.Add(rows, outputs, inputs);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Edges))]
    public void Panel_IsOneChainOfFusedMultiplyAdds(int rows, int outputs, int inputs)
    {
        var weight = Stored(StoredType.BF16, outputs, inputs);
        var w = weight.ToSingles();
        var x = Tensor.From(_arena, Random(rows * inputs, 1), rows, inputs);
        using var team = new Team(1);
        var y = new Linear(weight).Forward(x, new Compute(_arena, team));
        for (var r = 0; r < rows; r++)
        {
            for (var o = 0; o < outputs; o++)
            {
                var chain = 0f;
                for (var k = 0; k < inputs; k++) chain = MathF.FusedMultiplyAdd(x[r][k], w[o * inputs + k], chain);
                Assert.Equal(BitConverter.SingleToInt32Bits(chain), BitConverter.SingleToInt32Bits(y[r][o]));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Edges))]
    public void PortablePanel_HasTheBitsOfTheWideOne(int rows, int outputs, int inputs)
    {
        var weight = Stored(StoredType.F32, outputs, inputs);
        var panel = _arena.TakeFloats(PanelMatMul.Width * inputs);
        PanelMatMul.Pack(weight, 0, outputs, inputs, panel);
        var x = Tensor.From(_arena, Random(rows * inputs, 2), rows, inputs);
        var (wide, portable) = (_arena.Take(rows, PanelMatMul.Width), _arena.Take(rows, PanelMatMul.Width));
        PanelMatMul.Multiply(x, panel, wide.Data, PanelMatMul.Width, PanelMatMul.Width);
        PanelMatMul.Portable(x.Data, rows, inputs, panel, portable.Data, PanelMatMul.Width);
        Assert.Equal(portable.ToArray(), wide.ToArray());
    }

    [Theory]
    [InlineData(StoredType.F32)]
    [InlineData(StoredType.F16)]
    [InlineData(StoredType.BF16)]
    public void Direct_IsTheProduct_WhateverTheRows(StoredType type)
    {
        using var team = new Team(1);
        foreach (var (rows, outputs, inputs) in new[] { (1, 5, 16), (3, 33, 47), (4, 64, 128), (9, 40, 300) })
        {
            var weight = Stored(type, outputs, inputs);
            var w = weight.ToSingles();
            var x = Tensor.From(_arena, Random(rows * inputs, 3), rows, inputs);
            var direct = new Compute(_arena, team, KernelFamily.Direct);
            var y = new Linear(weight).Forward(x, direct);
            for (var r = 0; r < rows; r++)
            {
                for (var o = 0; o < outputs; o++)
                {
                    var exact = 0.0;
                    for (var k = 0; k < inputs; k++) exact += (double)x[r][k] * w[o * inputs + k];
                    Assert.Equal(exact, y[r][o], 1e-5);
                }
                Assert.Equal(new Linear(weight).Forward(x.RowRange(r, 1), direct).ToArray(), y[r].ToArray());
            }
        }
    }

    [Fact]
    public void Direct_WidensEveryFiniteHalf()
    {
        // One input per weight: the product with 1 is the weight itself.
        ushort[] halves = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i).Where(i => Half.IsFinite(BitConverter.UInt16BitsToHalf(i)))];
        var path = Path.Combine(_folder, "halves.safetensors");
        var padded = halves.SelectMany(h => new ushort[] { h }.Concat(new ushort[15])).SelectMany(BitConverter.GetBytes).ToArray();
        SafetensorsWriter.Write(path, [new TensorData("w", StoredType.F16, [halves.Length, 16], padded)]);
        using var file = SafetensorsFile.Open(path);
        using var team = new Team(1);
        var x = Tensor.From(_arena, [1, .. new float[15]], 1, 16);
        var y = new Linear(new Weight(file, file.Entry("w"))).Forward(x, new Compute(_arena, team, KernelFamily.Direct));
        for (var i = 0; i < halves.Length; i++) Assert.Equal((float)BitConverter.UInt16BitsToHalf(halves[i]), y[0][i]);
    }

    [Fact]
    public void Exp_IsWithinTwoUnitsInTheLastPlace_AndZeroForRemovedEdges()
    {
        for (var x = -87f; x < 88f; x += 0.0137f)
        {
            var got = Exp.Of(Vector512.Create(x))[3];
            var want = Math.Exp(x);
            Assert.True(Math.Abs(got - want) <= 2 * (MathF.BitIncrement((float)want) - (float)want), $"e^{x}: {got}, expected {want}");
        }
        Assert.Equal(0f, Exp.Of(Vector512.Create(float.NegativeInfinity))[0]);
        Assert.Equal(1f, Exp.Of(Vector512<float>.Zero)[0]);
        Assert.True(float.IsNaN(Exp.Of(Vector512.Create(float.NaN))[0]));
        Assert.Equal(float.PositiveInfinity, Exp.Of(Vector512.Create(89f))[0]);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.1, 0.1124629160182848922)]
    [InlineData(0.5, 0.5204998778130465377)]
    [InlineData(1, 0.8427007929497148693)]
    [InlineData(2, 0.9953222650189527342)]
    [InlineData(2.999, 0.9999777698314002)]
    [InlineData(3.5, 0.9999992569016276586)]
    [InlineData(5, 0.9999999999984625403)]
    [InlineData(7, 1)]
    public void Erf_IsTheTabledValue(double x, double want)
    {
        Assert.Equal(want, Erf.Of(x), 1e-14);
        Assert.Equal(-want, Erf.Of(-x), 1e-14);
    }

    [Theory]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.QuickGelu)]
    [InlineData(Activation.Gelu)]
    [InlineData(Activation.GeluTanh)]
    public void Activations_AreTheirFormulas_AtAnyLength(Activation activation)
    {
        for (var length = 1; length < 40; length++)
        {
            var x = Random(length, length).Select(v => v * 8).ToArray();
            var y = x.ToArray();
            Activations.Apply(activation, y);
            for (var i = 0; i < length; i++)
            {
                double v = x[i];
                var want = activation switch
                {
                    Activation.Silu => v / (1 + Math.Exp(-v)),
                    Activation.QuickGelu => v / (1 + Math.Exp(-1.702 * v)),
                    Activation.Gelu => 0.5 * v * (1 + Erf.Of(v / Math.Sqrt(2))),
                    _ => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v))),
                };
                Assert.Equal(want, y[i], 2e-6);
            }
        }
    }

    [Fact]
    public void Team_DoesEveryChunkOnce_AndPassesFailuresOn()
    {
        using var team = new Team(3);
        var counts = new int[1000];
        for (var round = 0; round < 50; round++) team.For(counts.Length, 10_000_000, (i, _) => Interlocked.Increment(ref counts[i]));
        Assert.All(counts, c => Assert.Equal(50, c));
        Assert.Throws<InvalidOperationException>(() => team.For(100, 10_000_000, (i, _) =>
        {
            if (i == 57) throw new InvalidOperationException("57");
        }));
        team.For(10, 10_000_000, (i, _) => Interlocked.Increment(ref counts[i]));
        Assert.Equal(51, counts[9]);
    }
}
