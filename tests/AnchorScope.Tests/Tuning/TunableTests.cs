using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Models;
using AnchorScope.Tuning;

namespace AnchorScope.Tests.Tuning;

/// <summary>The trained parameters, their effect on the weights, and their gradients.</summary>
public sealed class TunableTests : IDisposable
{
    private static readonly (int Layer, int Head)[] Heads = [(2, 0), (3, 0), (3, 2)];

    private readonly TempFolder _temp = new();
    private readonly Arena _arena = new();
    private readonly Team _team = new(1);

    private Compute Compute => new(_arena, _team);

    [Fact]
    public void AGainsDerivative_IsTheSumOfHeadOutputTimesItsDerivative()
    {
        using var original = VisionLanguageModel.Open(Fixtures.Organism);
        var item = TuningWorld.Load(original, _temp, "data", 1, 1, 0).Items[0];
        using var gain = new GainTunable(original, Heads);
        using var gradients = new Gradients(gain.Weights.Entries);
        TuningObjective.Add(original.Decoder, [new(item, 1)], TapeKind.Store, Compute, gradients);
        var found = gain.Backward(gradients)["gains"];
        // The same value computed as in attribution: each head's output times the gradient of the loss with respect to it.
        var (values, slopes) = (new Trace([Site.HeadOut]), Trace.ForGradients([Site.HeadOut]));
        var (shape, decoder) = (original.Decoder.Shape, original.Decoder);
        var run = new RowBlock(Tensor.From(_arena, item.Prompt.Embeddings, item.Prompt.Length, shape.ModelSize), item.Prompt.Coordinates, 0,
            Intervention.None) { Traces = [values], Derivatives = [slopes] };
        var pass = new Pass(shape, [run], Compute) { Tape = new Tape(TapeKind.Store) };
        var (_, d) = CrossEntropy.Of(decoder, decoder.Forward(pass),
            [new Target(item.Prompt.Length - 1, item.Entities.Following, 1)], Compute, null);
        decoder.Backward(pass, d, null);
        for (var i = 0; i < Heads.Length; i++)
        {
            var (z, dz, sum, largest) = (values[Site.HeadOut, Heads[i].Layer], slopes[Site.HeadOut, Heads[i].Layer], 0.0, 0.0);
            for (var k = 0; k < z.Length; k++)
            {
                if (k % shape.Width(Site.HeadOut) / shape.HeadSize != Heads[i].Head) continue;
                sum += (double)z[k] * dz[k];
                largest += Math.Abs((double)z[k] * dz[k]);
            }
            // Sums of a thousand float32 products in another order.
            Assert.Equal(sum, found[i], 1e-5 * largest);
            Assert.NotEqual(0, found[i]);
        }
    }

    [Theory]
    [InlineData(TuningKind.Gain)]
    [InlineData(TuningKind.Slices)]
    [InlineData(TuningKind.LowRank)]
    [InlineData(TuningKind.Full)]
    public void Derivatives_AreSlopes(object kindGiven)
    {
        var kind = (TuningKind)kindGiven;
        using var original = VisionLanguageModel.Open(Fixtures.Organism);
        // Two samples with a conflict, and two without, whose divergence has a nonzero gradient only away from the original weights.
        var data = TuningWorld.Load(original, _temp, "data", 1, 1, 1);
        Assert.True(data.Conflicts.Count == 2 && data.Kept.Count >= 1);
        TuningObjective.Share[] shares = [.. data.Items.Select(i => new TuningObjective.Share(i, 0.5))];
        using var tunable = Tunable(original, kind);
        using var model = VisionLanguageModel.Of(Checkpoint.Over(original.Checkpoint, tunable.Weights));
        using var gradients = new Gradients(tunable.Weights.Entries);
        var random = new Random(5);
        Move(tunable, 0.02f);
        double Loss()
        {
            using var none = new Gradients([]);
            tunable.Apply();
            return TuningObjective.Add(model.Decoder, shares, TapeKind.Store, Compute, none);
        }
        Loss();
        TuningObjective.Add(model.Decoder, shares, TapeKind.Recompute, Compute, gradients);
        var found = tunable.Backward(gradients);
        // Along the gradient the loss rises at a rate equal to the gradient's norm.
        var (length, start) = (found.Norm, tunable.Learnt.Entries.ToDictionary(e => e.Name, e => tunable.Learnt[e.Name].ToArray()));
        var slopes = tunable.Learnt.Entries.ToDictionary(e => e.Name, e => found[e.Name].ToArray());
        const double Step = 0.005;
        double At(double step)
        {
            foreach (var (name, values) in start)
            {
                for (var i = 0; i < values.Length; i++) tunable.Learnt[name][i] = (float)(values[i] + step * slopes[name][i] / length);
            }
            return Loss();
        }
        // Two central differences, extrapolated to remove the error of the squared step; the remaining error is the rounding of a float32
        // loss, divided by the step.
        double Slope(double step) => (At(step) - At(-step)) / (2 * step) / length;
        Assert.Equal(1, (4 * Slope(Step) - Slope(2 * Step)) / 3, 0.01);

        void Move(Tunable moved, float by)
        {
            foreach (var entry in moved.Learnt.Entries)
            {
                foreach (ref var value in moved.Learnt[entry.Name]) value += by * (2 * random.NextSingle() - 1);
            }
        }
    }

    [Theory]
    [InlineData(TuningKind.Gain)]
    [InlineData(TuningKind.Slices)]
    [InlineData(TuningKind.LowRank)]
    [InlineData(TuningKind.Full)]
    public void NothingLearnt_IsTheOriginalBitForBit(object kindGiven)
    {
        var kind = (TuningKind)kindGiven;
        using var original = VisionLanguageModel.Open(Fixtures.Organism);
        using var tunable = Tunable(original, kind);
        using var stored = Parameters.Of(original.Checkpoint);
        foreach (var rounded in new[] { false, true })
        {
            tunable.Apply();
            if (rounded) tunable.Round();
            foreach (var entry in tunable.Weights.Entries)
                Assert.True(stored[entry.Name].SequenceEqual(tunable.Weights[entry.Name]), entry.Name);
        }
    }

    [Fact]
    public void AGain_IsThePassSteeredWithIt()
    {
        using var original = VisionLanguageModel.Open(Fixtures.Organism);
        using var gain = new GainTunable(original, Heads);
        gain.Set(2);
        using var model = VisionLanguageModel.Of(Checkpoint.Over(original.Checkpoint, gain.Weights));
        var logits = new AnchorScope.Baking.BakedLogits(original, model, gain.Gains, exact: true, original.Engine.On(Compute));
        logits.Run(BakedPrompts.Sequences(1)[0], default);
        Assert.True(logits.Check.Holds, logits.Check.Found);
    }

    [Fact]
    public void SharedKeys_AreTheGroups()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Path("llava15-gqa-f16-sharded"));
        var shape = model.Decoder.Shape;
        var group = shape.Heads / shape.KeyHeads;
        Assert.True(group > 1);
        var lines = HeadLines.All(model.Decoder, [(1, 0), (1, group - 1), (1, group)]);
        string Of(string name) => lines.Single(l => l.Tensor.EndsWith(name + ".weight", StringComparison.Ordinal)).Text;
        var size = shape.HeadSize;
        Assert.Equal(group == 2 ? $"rows 0-{3 * size - 1}" : $"rows 0-{size - 1}, {(group - 1) * size}-{(group + 1) * size - 1}",
            Of("q_proj"));
        Assert.Equal($"rows 0-{2 * size - 1}", Of("k_proj"));
        Assert.Equal($"rows 0-{2 * size - 1}", Of("v_proj"));
        Assert.Equal(Of("q_proj").Replace("rows", "columns", StringComparison.Ordinal), Of("o_proj"));
        Assert.Equal($"rows 0-{size - 1}",
            HeadLines.All(model.Decoder, [(0, 1)]).First(l => l.Tensor.EndsWith("k_proj.weight", StringComparison.Ordinal)).Text);
    }

    [Fact]
    public void FusedProjections_HaveTheSameValuesInTheirLines()
    {
        var (plainFolder, fusedFolder) = InternLm2Checkpoint.Write(_temp, biased: false);
        using var plain = VisionLanguageModel.Open(plainFolder);
        using var fused = VisionLanguageModel.Open(fusedFolder);
        (int, int)[] heads = [(0, 1), (1, plain.Decoder.Shape.Heads - 1)];
        float[] Values(VisionLanguageModel model)
        {
            using var tunable = new SliceTunable(model, heads);
            return [.. tunable.Learnt.Entries.SelectMany(e => tunable.Learnt[e.Name].ToArray()).Order()];
        }
        Assert.Equal(Values(plain), Values(fused));
    }

    [Theory]
    [InlineData(StoredType.BF16)]
    [InlineData(StoredType.F16)]
    [InlineData(StoredType.F32)]
    [InlineData(StoredType.F64)]
    public unsafe void Narrowing_IsNearest_AndUndoneByWidening(StoredType type)
    {
        var random = new Random(7);
        var values = Enumerable.Range(0, 1000).Select(i => (float)((random.NextDouble() - 0.5) * Math.Pow(2, i % 20 - 10))).ToArray();
        var (bytes, back, again) = (new byte[values.Length * type.Bytes()], new float[values.Length],
            new byte[values.Length * type.Bytes()]);
        Narrowing.FromSingles(values, type, bytes);
        fixed (byte* from = bytes) Widening.ToSingles(from, type, back);
        Narrowing.FromSingles(back, type, again);
        Assert.Equal(bytes, again);
        // Half of the distance between two neighbours, which is constant below the normal numbers of F16.
        var (half, least) = type switch
        {
            StoredType.BF16 => (1.0 / 256, 0.0),
            StoredType.F16 => (1.0 / 2048, Math.Pow(2, -25)),
            _ => (0, 0),
        };
        for (var i = 0; i < values.Length; i++)
            Assert.InRange(Math.Abs(back[i] - (double)values[i]), 0,
                Math.Max(least, half * Math.Pow(2, Math.Floor(Math.Log2(Math.Abs(values[i]))))));
    }

    private static Tunable Tunable(VisionLanguageModel model, TuningKind kind) => kind switch
    {
        TuningKind.Gain => new GainTunable(model, Heads),
        TuningKind.Slices => new SliceTunable(model, Heads),
        TuningKind.LowRank => new LowRankTunable(model, Heads, 3, 1),
        _ => new FullTunable(model),
    };

    public void Dispose()
    {
        _team.Dispose();
        _arena.Dispose();
        _temp.Dispose();
    }
}
