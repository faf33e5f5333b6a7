using System.Runtime.Intrinsics;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
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
        foreach (var rows in new[] { 1, 3, 4, 7, 8, 9, 12, 13, 17, 31 })
        {
            foreach (var (outputs, inputs) in new[] { (1, 1), (31, 5), (32, 16), (33, 17), (64, 300), (70, 33), (40, 128), (96, 129) })
                data.Add(rows, outputs, inputs);
        }
        return data;
    }

    /// <summary>Independent of type, number of rows, threads, and of whether the panels are kept.</summary>
    [Theory]
    [MemberData(nameof(Edges))]
    public void Product_IsOneChainOfFusedMultiplyAdds(int rows, int outputs, int inputs)
    {
        using var one = new Team(1);
        using var three = new Team(3);
        foreach (var type in new[] { StoredType.F32, StoredType.F16, StoredType.BF16 })
        {
            var weight = Stored(type, outputs, inputs);
            var w = weight.ToSingles();
            var x = Tensor.From(_arena, Random(rows * inputs, 1), rows, inputs);
            var kept = new Linear(weight);
            kept.Pack();
            foreach (var y in new[] { new Linear(weight).Forward(x, new Compute(_arena, one)),
                new Linear(weight).Forward(x, new Compute(_arena, three)), kept.Forward(x, new Compute(_arena, one)) })
            {
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
        }
    }

    /// <summary>More rows than are multiplied with the panels at once.</summary>
    [Fact]
    public void ManyRows_HaveTheBitsOfEachAlone()
    {
        using var two = new Team(2);
        var (kept, x) = (new Linear(Stored(StoredType.F32, 70, 33)), Tensor.From(_arena, Random(600 * 33, 5), 600, 33));
        kept.Pack();
        var y = kept.Forward(x, new Compute(_arena, two));
        for (var row = 0; row < x.Rows; row++)
            Assert.Equal(kept.Forward(x.RowRange(row, 1), new Compute(_arena, two)).ToArray(), y[row].ToArray());
    }

    /// <summary>
    /// Long rows and many outputs are copied into contiguous tiles piece by piece: just enough rows and panels for tiling, and several
    /// blocks of both with a remainder.
    /// </summary>
    [Theory]
    [InlineData(96, 2048, 1025)]
    [InlineData(523, 4129, 1537)]
    public void LongRows_HaveTheBitsOfEachAlone(int rows, int outputs, int inputs)
    {
        using var one = new Team(1);
        using var two = new Team(2);
        foreach (var type in new[] { StoredType.F32, StoredType.BF16 })
        {
            var (weight, bias) = (Stored(type, outputs, inputs), Stored(StoredType.F32, outputs, 1));
            var x = Tensor.From(_arena, Random(rows * inputs, 6), rows, inputs);
            var (linear, kept) = (new Linear(weight, bias), new Linear(weight, bias));
            kept.Pack();
            var y = linear.Forward(x, new Compute(_arena, one));
            Assert.Equal(y.ToArray(), linear.Forward(x, new Compute(_arena, two)).ToArray());
            Assert.Equal(y.ToArray(), kept.Forward(x, new Compute(_arena, two)).ToArray());
            for (var row = 0; row < rows; row += 5)
                Assert.Equal(kept.Forward(x.RowRange(row, 1), new Compute(_arena, one)).ToArray(), y[row].ToArray());
        }
    }

    [Theory]
    [MemberData(nameof(Edges))]
    public void PortableProduct_HasTheBitsOfTheWideOne(int rows, int outputs, int inputs)
    {
        var weight = Stored(StoredType.F32, outputs, inputs);
        var panel = _arena.TakeFloats(PanelMatMul.Width * inputs);
        PanelPack.Fill(weight, 0, panel);
        var x = Tensor.From(_arena, Random(rows * inputs, 2), rows, inputs);
        var (wide, portable) = (_arena.Take(rows, PanelMatMul.Width), _arena.Take(rows, PanelMatMul.Width));
        // In two pieces along the inputs; the second accumulates onto the first.
        foreach (var (from, count) in new[] { (0, inputs / 3), (inputs / 3, inputs - inputs / 3) })
        {
            var piece = panel + from * PanelMatMul.Width;
            PanelMatMul.Multiply(x.Data + from, inputs, rows, piece, count, wide.Data, PanelMatMul.Width,
                PanelMatMul.Width, fresh: from == 0);
            PanelMatMul.Portable(x.Data + from, inputs, rows, piece, count, portable.Data, PanelMatMul.Width, fresh: from == 0);
        }
        Assert.Equal(portable.ToArray(), wide.ToArray());
    }

    /// <summary>
    /// Packing into panels, in registers or one by one: every input of every output, at every length with a remainder, from every start.
    /// </summary>
    [Theory]
    [InlineData(StoredType.F32)]
    [InlineData(StoredType.F16)]
    [InlineData(StoredType.BF16)]
    public void Turning_MovesEveryWeight(StoredType type)
    {
        const int Inputs = 150;
        var rows = stackalloc byte*[PanelMatMul.Width];
        foreach (var outputs in new[] { 32, 64, 45, 5 })
        {
            var weight = Stored(type, outputs, Inputs);
            var w = weight.ToSingles();
            foreach (var (from, count) in new[] { (0, Inputs), (0, 16), (1, 32), (3, 64), (7, 97), (149, 1), (0, 15), (2, 33) })
            {
                var panel = _arena.TakeFloats(PanelMatMul.Width * count);
                for (var first = 0; first < outputs; first += PanelMatMul.Width)
                {
                    new Span<float>(panel, PanelMatMul.Width * count).Fill(float.NaN);
                    PanelPack.Fill(rows, PanelPack.Rows(weight, first, rows), type, from, count, panel);
                    for (var k = 0; k < count; k++)
                    {
                        for (var o = 0; o < PanelMatMul.Width; o++)
                            Assert.Equal(first + o < outputs ? w[(first + o) * Inputs + from + k] : 0, panel[k * PanelMatMul.Width + o]);
                    }
                }
            }
        }
    }

    [Fact]
    public void Turning_WidensEveryHalfAndEveryBrain()
    {
        foreach (var type in new[] { StoredType.F16, StoredType.BF16 })
        {
            // All 65,536 bit patterns as 32 outputs of 2,048 inputs.
            ushort[] bits = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
            var path = Path.Combine(_folder, $"all-{type}.safetensors");
            SafetensorsWriter.Write(path, [new TensorData("w", type, [32, 2048], bits.SelectMany(BitConverter.GetBytes).ToArray())]);
            using var file = SafetensorsFile.Open(path);
            var panel = _arena.TakeFloats(65536);
            PanelPack.Fill(new Weight(file, file.Entry("w")), 0, panel);
            for (var i = 0; i < bits.Length; i++)
            {
                var expected = type == StoredType.F16
                    ? (float)BitConverter.UInt16BitsToHalf(bits[i]) : BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
                var found = panel[i % 2048 * PanelMatMul.Width + i / 2048];
                Assert.True(float.IsNaN(expected)
                    ? float.IsNaN(found) : BitConverter.SingleToInt32Bits(expected) == BitConverter.SingleToInt32Bits(found),
                    $"{type} {bits[i]:x4}: {found}, expected {expected}");
            }
        }
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
        ushort[] halves = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)
            .Where(i => Half.IsFinite(BitConverter.UInt16BitsToHalf(i)))];
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
    public void Activations_AreTheirFormulas_AtAnyLength(object activationGiven)
    {
        var activation = (Activation)activationGiven;
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
