using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Synthesis;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Synthesis;

/// <summary>
/// Checkpoints of random weights: complete in every family, of the requested sizes, and with the same bytes for the same seed.
/// </summary>
public sealed class SyntheticCheckpointTests : IDisposable
{
    private const int ImageTokens = 9;

    private readonly TempFolder _temp = new();

    public static TheoryData<string> Families => new(SyntheticFamily.All.Select(f => f.Name));

    [Theory]
    [MemberData(nameof(Families))]
    public void EveryFamily_RunsAPictureWithTheImageTokensAskedFor(string family)
    {
        using var model = VisionLanguageModel.Open(Write("model", Tiny(family)));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var picture = new Picture(64, 64, [.. Enumerable.Range(0, 3 * 64 * 64).Select(i => (byte)(i * 7))]);
        var pixels = model.Preprocess([picture]);
        var shape = pixels.Pictures[0];
        // In families with tiles the number is that of each tile; LLaVA-OneVision packs the tiles after the first, so a single one is
        // requested.
        var tiles = family switch { "internvl" or "smolvlm" => shape.Parts, _ => 1 };
        if (family == "llava-onevision") Assert.Equal(ImageTokens + 1, model.ImageTokens(new PictureShape(1, 0, 0, 64, 64)));
        else Assert.Equal(ImageTokens * tiles, model.ImageTokens(shape));
        var prompt = model.Prompt([new ChatMessage("user", [new ImagePart(), new TextPart("Grüße?")])], pixels,
            model.Engine.On(compute).Features(pixels));
        Assert.Equal(model.ImageTokens(shape), prompt.Span(SpanKind.Image).Count);
        var entry = Tensor.From(arena, prompt.Embeddings, prompt.Length, model.Decoder.Shape.ModelSize);
        var resid = model.Decoder.Forward(
            new Pass(model.Decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, Intervention.None)], compute));
        var logits = model.Decoder.Unembed(resid, compute).ToArray();
        Assert.All(logits, logit => Assert.True(float.IsFinite(logit)));
        Assert.True(logits.Distinct().Count() > model.Decoder.VocabularySize, "the logits do not depend on the position");
        Assert.Equal(new DecoderShape(2, 4, 2, 8, 32, model.Decoder.Shape.MlpSize), model.Decoder.Shape);
    }

    [Theory]
    [InlineData("qwen2-vl")]
    [InlineData("qwen2.5-vl")]
    public void SquarePicturesOfAnySize_HaveTheImageTokensAskedFor(string family)
    {
        foreach (var side in new[] { 1, 2, 5, 24, 128 })
        {
            var folder = Write($"of-{side}", Tiny(family) with { ImageTokens = side * side });
            var preprocessor = Qwen2VlPreprocessor.Load(folder);
            foreach (var pixels in Enumerable.Range(1, 999).Append(4096))
            {
                var (height, width) = Qwen2VlPreprocessor.SmartResize(pixels, pixels, 28, preprocessor.MinPixels, preprocessor.MaxPixels);
                Assert.Equal((28 * side, 28 * side), (height, width));
            }
        }
    }

    [Theory]
    [InlineData("llava", "llava15")]
    [InlineData("llava-onevision", "llava-onevision")]
    [InlineData("qwen2-vl", "qwen2vl")]
    [InlineData("qwen2.5-vl", "qwen25vl")]
    [InlineData("internvl", "internvl3")]
    [InlineData("smolvlm", "smolvlm")]
    public void TensorNames_AreThoseOfTheHub(string family, string fixture)
    {
        using var hub = Checkpoint.Open(Fixtures.Path(fixture));
        var vision = hub.Config.Section("vision_config");
        using var written = Checkpoint.Open(
            Write("model", Tiny(family) with { Layers = 4, VisionLayers = vision.Int("num_hidden_layers", vision.Int("depth", 0)) }));
        // Tied checkpoints have no separate output head.
        Assert.DoesNotContain(written.Weights.Names.Except(hub.Weights.Names),
            name => !name.EndsWith("lm_head.weight", StringComparison.Ordinal));
        Assert.Empty(hub.Weights.Names.Except(written.Weights.Names));
    }

    /// <summary>The reference's processors take the number of image tokens from here; with other numbers they make prompts that do not fit
    /// the pictures.</summary>
    [Theory]
    [InlineData("llava", "patch_size", 14)]
    [InlineData("llava-onevision", "num_image_tokens", ImageTokens)]
    [InlineData("internvl", "image_seq_length", ImageTokens)]
    [InlineData("smolvlm", "image_seq_len", ImageTokens)]
    public void ProcessorFile_SaysWhatThePicturesHave(string family, string key, int value)
    {
        var folder = Write("model", Tiny(family));
        Assert.Equal(value, ConfigSection.Load(Path.Combine(folder, "processor_config.json")).Int(key));
    }

    [Fact]
    public void SameSeed_SameBytes()
    {
        var (first, second, other) = (Write("first", Tiny("internvl")), Write("second", Tiny("internvl")),
            Write("other", Tiny("internvl") with { Seed = 2 }));
        var names = Directory.GetFiles(first).Select(file => Path.GetFileName(file)).ToList();
        Assert.Contains("model.safetensors", names);
        Assert.Equal(names.Order(), Directory.GetFiles(second).Select(file => Path.GetFileName(file)).Order());
        Assert.All(names, name => Assert.Equal(Bytes(first, name), Bytes(second, name)));
        Assert.NotEqual(Bytes(first, "model.safetensors"), Bytes(other, "model.safetensors"));

        static byte[] Bytes(string folder, string name) => File.ReadAllBytes(Path.Combine(folder, name));
    }

    [Fact]
    public void Shards_HoldTheSameTensorsAndNoMoreBytesThanAsked()
    {
        const int Most = 40_000;
        using var whole = Checkpoint.Open(Write("whole", Tiny("smolvlm")));
        using var sharded = Checkpoint.Open(Write("sharded", Tiny("smolvlm") with { ShardBytes = Most }));
        Assert.Single(whole.Files);
        Assert.True(sharded.Files.Count > 2);
        Assert.All(sharded.Files, file => Assert.True(file.Tensors.Count == 1 || file.Tensors.Values.Sum(t => t.Bytes) <= Most));
        foreach (var entry in whole.Files[0].Tensors.Values)
            Assert.Equal(whole.Files[0].ReadSingles(entry.Name), sharded.Weights.Get(entry.Name, entry.Shape).ToSingles());
        using var model = VisionLanguageModel.Open(sharded.Folder);
        Assert.Equal(2, model.Decoder.Shape.Layers);
    }

    [Fact]
    public void Types_AreRoundingsOfTheSameNumbers()
    {
        using var singles = Checkpoint.Open(Write("f32", Tiny("llava") with { Type = StoredType.F32 }));
        using var halves = Checkpoint.Open(Write("f16", Tiny("llava") with { Type = StoredType.F16 }));
        using var brains = Checkpoint.Open(Write("bf16", Tiny("llava") with { Type = StoredType.BF16 }));
        foreach (var (checkpoint, type, bits) in new[] { (singles, StoredType.F32, 24), (halves, StoredType.F16, 11),
            (brains, StoredType.BF16, 8) })
        {
            Assert.All(checkpoint.Files[0].Tensors.Values, entry => Assert.Equal(type, entry.Type));
            foreach (var name in checkpoint.Weights.Names)
            {
                var (exact, stored) = (singles.Files[0].ReadSingles(name), checkpoint.Files[0].ReadSingles(name));
                // Half a unit in the last place; half precision has no smaller one than 2^-24 near 0.
                for (var i = 0; i < exact.Length; i++)
                    Assert.True(Math.Abs(exact[i] - stored[i]) <= Math.Max(Math.Abs(exact[i]) * Math.Pow(2, -bits),
                        type == StoredType.F16 ? Math.Pow(2, -25) : 0), $"{name}[{i}]: {exact[i]} stored as {stored[i]}");
            }
        }
    }

    [Fact]
    public void Values_AreNormalExceptForNormsBiasesAndScales()
    {
        using var checkpoint = Checkpoint.Open(Write("model", Tiny("internvl") with { Vocabulary = 20001, Type = StoredType.F32 }));
        var file = checkpoint.Files[0];
        var sorted = file.ReadSingles("language_model.lm_head.weight").Order().ToArray();
        // 640,032 draws: the mean is within 5 standard errors, and the quantiles match the normal distribution.
        Assert.InRange(sorted.Average(), -0.000125, 0.000125);
        Assert.InRange(Math.Sqrt(sorted.Average(v => (double)v * v)), 0.0199, 0.0201);
        foreach (var (share, quantile) in new[] { (0.001, -3.0902), (0.0227501, -2), (0.1586553, -1), (0.5, 0), (0.8413447, 1),
            (0.9772499, 2), (0.999, 3.0902) })
            Assert.Equal(0.02 * quantile, sorted[(int)(share * sorted.Length)], 0.0005);
        Assert.NotEqual(file.ReadSingles("language_model.lm_head.weight"), file.ReadSingles("language_model.model.embed_tokens.weight"));
        Assert.All(file.ReadSingles("language_model.model.norm.weight"), v => Assert.Equal(1, v));
        Assert.All(file.ReadSingles("vision_tower.encoder.layer.0.layernorm_before.bias"), v => Assert.Equal(0, v));
        Assert.All(file.ReadSingles("vision_tower.encoder.layer.1.lambda_2"), v => Assert.Equal(0.1f, v));
        Assert.All(file.ReadSingles("vision_tower.embeddings.cls_token"), v => Assert.InRange(Math.Abs(v), 1e-9, 0.09));
    }

    [Fact]
    public void ItSaysWhatItIs()
    {
        var folder = Write("model", Tiny("llava"));
        Assert.StartsWith("# Random weights", File.ReadAllText(Path.Combine(folder, "README.md")), StringComparison.Ordinal);
        Assert.Contains("random weights, seed 1", File.ReadAllText(Path.Combine(folder, "config.json")), StringComparison.Ordinal);
        Assert.Contains("follows nothing", File.ReadAllText(Path.Combine(folder, "provenance.json")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void CancelledOrFailed_NothingIsLeft(bool fails)
    {
        using var cancel = new CancellationTokenSource();
        var seen = 0L;
        void Stop(long done, long all)
        {
            seen = done;
            Assert.True(done <= all);
            if (done * 2 < all) return;
            if (fails) throw new IOException("No space left on device");
            cancel.Cancel();
        }
        var written = Record.Exception(
            () => new SyntheticCheckpoint(Tiny("qwen2-vl") with { ShardBytes = 10_000 }).Write(_temp.File("model"), Stop, cancel.Token));
        Assert.True(seen > 0);
        if (fails) Assert.Contains("No space left", Assert.IsType<InputException>(written).Message, StringComparison.Ordinal);
        else Assert.IsAssignableFrom<OperationCanceledException>(written);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    [Fact]
    public void AnEmptyFolder_IsFilledAndAFullOneRefused()
    {
        Directory.CreateDirectory(_temp.File("model"));
        Write("model", Tiny("llava"));
        var error = Assert.Throws<InputException>(() => Write("model", Tiny("llava")));
        Assert.Contains("expected a new or empty folder, found one with files in it", error.Message, StringComparison.Ordinal);
        Assert.Single(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    private string Write(string name, SynthesisOptions options)
    {
        new SyntheticCheckpoint(options).Write(_temp.File(name));
        return _temp.File(name);
    }

    /// <summary>Sizes that differ pairwise where they can.</summary>
    private static SynthesisOptions Tiny(string family) => new()
    {
        Family = SyntheticFamily.Of(family), Layers = 2, Heads = 4, KeyHeads = 2, Width = 32, Vocabulary = 400, ImageTokens = ImageTokens,
        VisionLayers = 2, VisionWidth = 24, VisionHeads = 3, Seed = 1,
    };

    public void Dispose() => _temp.Dispose();
}
