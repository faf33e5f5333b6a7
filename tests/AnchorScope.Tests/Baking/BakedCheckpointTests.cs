using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Baking;

/// <summary>Gains baked into weights equal the gains of a steered run, in every family, and nothing else changes.</summary>
public sealed class BakedCheckpointTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string, string> Models => BakedModels.All;

    public static TheoryData<string> Names => new(BakedModels.All.Select(row => (string)row[0]));

    /// <summary>
    /// Compares the bytes independently of the tested code: unnamed values are unchanged, named values are close to their product.
    /// </summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void OnlyTheHeadsColumns_Change(string name)
    {
        const float Factor = 1.7f;
        var original = BakedModels.Folder(name, _temp);
        var baked = BakedModels.Bake(original, _temp.File("baked"), Factor);
        foreach (var file in Directory.GetFiles(original, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(original, path)).Where(f => !f.EndsWith(".safetensors", StringComparison.Ordinal)))
            Assert.Equal(File.ReadAllBytes(Path.Combine(original, file)), File.ReadAllBytes(Path.Combine(baked, file)));
        using var model = VisionLanguageModel.Open(original);
        var shape = model.Decoder.Shape;
        var named = new Dictionary<string, int[]>(StringComparer.Ordinal)
        {
            [model.Decoder.Layers[0].OutputProjection.Weight.Name] = [0, shape.Heads - 1],
            [model.Decoder.Layers[^1].OutputProjection.Weight.Name] = [1],
        };
        var changed = 0;
        foreach (var file in model.Checkpoint.Files)
        {
            var (path, copy) = (file.Path, Path.Combine(baked, Path.GetFileName(file.Path)));
            Assert.Equal(RawSafetensors.Header(path), RawSafetensors.Header(copy));
            foreach (var (before, after) in RawSafetensors.Tensors(path).Zip(RawSafetensors.Tensors(copy)))
            {
                if (!named.TryGetValue(before.Name, out var heads))
                {
                    Assert.Equal(before.Bytes, after.Bytes);
                    continue;
                }
                changed++;
                var (was, now) = (file.ReadSingles(before.Name), SafetensorsFile.Open(copy).ReadSingles(before.Name));
                var error = RoundingBound.Roundoff(file.Entry(before.Name).Type);
                for (var i = 0; i < was.Length; i++)
                {
                    if (heads.Contains(i % (int)before.Shape[1] / shape.HeadSize))
                        Assert.True(Math.Abs(now[i] - (double)was[i] * Factor) <= error * Math.Abs((double)was[i] * Factor) + 3e-8,
                            $"{before.Name}[{i}]: {was[i]} became {now[i]}");
                    else Assert.Equal(was[i], now[i]);
                }
            }
        }
        Assert.Equal(2, changed);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void BakedIsSteered(string name, string @case)
    {
        var original = BakedModels.Folder(name, _temp);
        foreach (var factor in new[] { 0, 2, -0f, 0.5f, 1.7f, -3 })
        {
            var folder = BakedModels.Bake(original, _temp.File($"baked{factor}"), factor);
            using var model = VisionLanguageModel.Open(original);
            using var baked = VisionLanguageModel.Open(folder);
            var record = BakedRecord.Load(folder);
            var files = new BakedFiles(model, baked, record.Gains);
            Assert.All(files.Check(record), check => Assert.True(check.Holds, check.What + ": " + check.Found));
            var exact = record.Gains.OnlyShift && files.Rounded == 0;
            Assert.True(exact || factor is not (0 or 2), $"{files.Rounded} values times {factor} were rounded");
            foreach (var family in Enum.GetValues<KernelFamily>())
            {
                using var arena = new Arena();
                using var team = new Team(1);
                var compute = new Compute(arena, team, family);
                var logits = new BakedLogits(model, baked, record.Gains, exact, model.Engine.On(compute));
                logits.Run(BakedModels.Prompt(name, @case), default);
                Assert.True(logits.Check.Holds, $"{name} x {factor}, {family}: {logits.Check.Found}");
                if (exact) Assert.Equal(logits.Count, logits.Equal);
                else Assert.InRange(logits.Bound, logits.Difference, 0.1 * logits.Largest);
            }
        }
    }

    /// <summary>The bound is tight enough: a factor that is wrong by a tenth is not mistaken for rounding, in any type.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void AnotherFactor_IsSeenInTheLogits(string name, string @case)
    {
        var original = BakedModels.Folder(name, _temp);
        using var model = VisionLanguageModel.Open(original);
        using var baked = VisionLanguageModel.Open(BakedModels.Bake(original, _temp.File("baked"), 1.7f));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var other = HeadGains.Of(BakedModels.Heads(model).Set.Heads.Select(h => (h.Layer, h.Head)), 1.87f);
        var logits = new BakedLogits(model, baked, other, exact: false, model.Engine.On(compute));
        logits.Run(BakedModels.Prompt(name, @case), default);
        Assert.False(logits.Check.Holds, logits.Check.Found);
    }

    /// <summary>
    /// Not only the logits: including signs of zero, the attention output of a layer after its output projection equals that of a steered
    /// run.
    /// </summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void WhereNothingIsRounded_EveryAttentionOutputHasTheSameBits(string name)
    {
        var original = BakedModels.Folder(name, _temp);
        using var model = VisionLanguageModel.Open(original);
        using var arena = new Arena();
        using var team = new Team(1);
        foreach (var factor in new[] { 0, -0f, 4 })
        {
            var folder = BakedModels.Bake(original, _temp.File($"baked{factor}"), factor);
            using var baked = VisionLanguageModel.Open(folder);
            Assert.Equal(0, BakedRecord.Load(folder).Rounded);
            foreach (var family in Enum.GetValues<KernelFamily>())
            {
                var compute = new Compute(arena, team, family);
                var (steered, plain) = (Outputs(model, BakedRecord.Load(folder).Gains.Steering, compute),
                    Outputs(baked, Intervention.None, compute));
                for (var layer = 0; layer < model.Decoder.Shape.Layers; layer++)
                {
                    foreach (var site in new[] { Site.AttnOut, Site.ResidPost })
                        Assert.True(Bits(steered[site, layer]).SequenceEqual(Bits(plain[site, layer])),
                            $"{name} x {factor}, {family}: {site} of layer {layer}");
                }
            }
        }

        static ReadOnlySpan<byte> Bits(float[] values) => System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values);

        static Trace Outputs(VisionLanguageModel model, Intervention intervention, Compute compute)
        {
            var (prompt, trace) = (BakedPrompts.Sequences(1)[0](model, model.Engine.On(compute)),
                new Trace([Site.AttnOut, Site.ResidPost]));
            var entry = Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, model.Decoder.Shape.ModelSize);
            model.Decoder.Forward(
                new Pass(model.Decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, intervention) { Traces = [trace] }], compute));
            return trace;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void FactorOne_LeavesTheWeightFiles(string name)
    {
        var original = BakedModels.Folder(name, _temp);
        Assert.Equal(BakedModels.WeightFiles(original), BakedModels.WeightFiles(BakedModels.Bake(original, _temp.File("baked"), 1)));
        Assert.Empty(BakedRecord.Load(_temp.File("baked")).Tensors);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Doubled_ThenHalved_IsTheOriginal(string name)
    {
        var original = BakedModels.Folder(name, _temp);
        var doubled = BakedModels.Bake(original, _temp.File("doubled"), 2);
        Assert.NotEqual(BakedModels.WeightFiles(original), BakedModels.WeightFiles(doubled));
        Assert.Equal(BakedModels.WeightFiles(original), BakedModels.WeightFiles(BakedModels.Bake(doubled, _temp.File("halved"), 0.5f)));
    }

    [Fact]
    public void DifferentGains_AreFoldedEachIntoItsColumns()
    {
        var gains = new HeadGains(new Dictionary<(int, int), float> { [(1, 0)] = 0, [(1, 3)] = 2, [(2, 1)] = -0.5f });
        using var model = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        Assert.Null(gains.Common);
        Assert.True(gains.OnlyShift);
        var plan = new BakePlan(model, gains);
        var folder = _temp.Copy(Fixtures.Path("llava15"), "baked");
        File.Delete(Path.Combine(folder, "model.safetensors"));
        using (var stream = File.Create(Path.Combine(folder, "model.safetensors")))
        {
            foreach (var stretch in plan.Stretches(plan.Files[0]))
                plan.Read(plan.Files[0], stretch, (_, piece) => stream.Write(piece), default);
        }
        using var baked = VisionLanguageModel.Open(folder);
        using var arena = new Arena();
        using var team = new Team(1);
        var logits = new BakedLogits(model, baked, gains, exact: true, model.Engine.On(new Compute(arena, team)));
        logits.Run(BakedPrompts.Sequences(1)[0], default);
        Assert.True(logits.Check.Holds, logits.Check.Found);
    }

    [Fact]
    public void F64_RoundsInF64()
    {
        var folder = _temp.Copy(Fixtures.Path("llava15"), "double");
        var path = Path.Combine(folder, "model.safetensors");
        var tensors = new List<TensorData>();
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (var entry in file.Tensors.Values)
                tensors.Add(new TensorData(entry.Name, StoredType.F64, entry.Shape,
                    System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>([.. file.ReadSingles(entry.Name).Select(v => (double)v)])
                        .ToArray()));
        }
        SafetensorsWriter.Write(path, tensors);
        var baked = BakedModels.Bake(folder, _temp.File("baked"), 1.7f);
        using var model = VisionLanguageModel.Open(folder);
        using var other = VisionLanguageModel.Open(baked);
        var record = BakedRecord.Load(baked);
        // 24 bits times 24 bits fit into 53.
        Assert.Equal(0, record.Rounded);
        using var arena = new Arena();
        using var team = new Team(1);
        var logits = new BakedLogits(model, other, record.Gains, exact: false, model.Engine.On(new Compute(arena, team)));
        logits.Run(BakedPrompts.Sequences(1)[0], default);
        Assert.True(logits.Check.Holds, logits.Check.Found);
        Assert.All(new BakedFiles(model, other, record.Gains).Check(record), check => Assert.True(check.Holds, check.Found));
    }

    [Fact]
    public void Reports_SayThatTheModelIsBaked()
    {
        var baked = BakedModels.Bake(Fixtures.Organism, _temp.File("baked"), 0);
        Assert.Contains("3 heads of organism times 0, folded into the weights", Provenance.Read(baked)!, StringComparison.Ordinal);
        Assert.Contains(Provenance.Read(Fixtures.Organism)!, Provenance.Read(baked)!, StringComparison.Ordinal);
    }

    public void Dispose() => _temp.Dispose();
}
