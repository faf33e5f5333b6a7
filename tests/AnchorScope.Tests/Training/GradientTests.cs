using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;
using AnchorScope.Training;

namespace AnchorScope.Tests.Training;

/// <summary>The backward pass of whole models, compared with the reference library's autograd, and laws.</summary>
public sealed class GradientTests
{
    /// <summary>
    /// Tolerance relative to the largest gradient of one tensor. Central differences in float64 show the reference's own values to be up to
    /// 2.9e-5 from the truth (qwen25vl, visual.blocks.1.norm1.weight; ours 2.4e-5), so neither can be held to less.
    /// </summary>
    private const double Each = 3e-5;

    public static TheoryData<string> Checkpoints => ["llava15", "llava15-gqa-f16-sharded", "qwen25vl", "internvl3"];

    public static TheoryData<string, string> Families => new()
    {
        { "llava15", "one_image" }, { "qwen25vl-tied-bf16", "one_image" }, { "qwen2vl", "one_image_nonsquare" },
        { "internvl3-qknorm-rms", "tiled_image" }, { "internvl3-remote", "tiled_image" },
        { "llava-onevision", "one_image_anyres" }, { "smolvlm", "one_image_split" },
    };

    /// <param name="together">Tolerance for all gradients together. If it is more than 1e-5, the reference's own distance from float64 is
    /// as well, as above.</param>
    [Theory]
    [InlineData("llava15", 1e-5)]
    [InlineData("llava15-gqa-f16-sharded", 1e-5)]
    [InlineData("qwen25vl", 1.5e-5)]
    [InlineData("internvl3", 1e-5)]
    public void DerivativesByEveryTensor_AreTheReferences(string name, double together)
    {
        using var manifest = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("gradients", name + ".json")));
        using var golden = SafetensorsFile.Open(Fixtures.Path("gradients", name + ".safetensors"));
        using var tiny = Tiny.Open(name, manifest.RootElement.GetProperty("case").GetString()!);
        using var gradients = new Gradients(Entries(tiny.Model));
        var loss = TrainingSequence.Add(tiny.Model, [Sequence(tiny)], TapeKind.Store, tiny.Compute, gradients);
        Assert.Equal(manifest.RootElement.GetProperty("value").GetDouble(), loss, 1e-5 * loss);
        var tensors = golden.Tensors.Keys.Where(n => n != "loss").ToList();
        Assert.Equal(manifest.RootElement.GetProperty("tensors").GetInt32(), tensors.Count);
        var (difference, length) = (0.0, 0.0);
        foreach (var tensor in tensors)
        {
            var (expected, found) = (golden.ReadSingles(tensor), gradients[tensor].ToArray());
            difference += expected.Zip(found, (a, b) => ((double)a - b) * ((double)a - b)).Sum();
            length += expected.Sum(a => (double)a * a);
            // A bias of keys that are not rotated adds the same to all scores of a query: its gradient is only rounding, on both sides.
            if (tensor.Contains("vision", StringComparison.Ordinal) && tensor.EndsWith("k_proj.bias", StringComparison.Ordinal))
                Assert.All(found, d => Assert.Equal(0, d, 1e-7));
            else Assert.True(Error(expected, found) <= Each, $"{tensor}: {Error(expected, found):0.0e0}");
        }
        Assert.InRange(Math.Sqrt(difference / length), 0, together);
        // A tensor on which no output depends has no gradient.
        foreach (var tensor in gradients.Names.Where(n => !golden.Tensors.ContainsKey(n)))
            Assert.True(gradients[tensor].IndexOfAnyExcept(0f) < 0, tensor);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void ChangingATensorALittle_ChangesTheLossAsItsDerivativesSay(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        SlopesHold(tiny.Model, Sequence(tiny), tiny.Compute, _ => true);
    }

    /// <summary>Several feature layers, a map without columns, patches that share a position.</summary>
    [Theory]
    [InlineData("llava three features", "vision_tower", "projector")]
    [InlineData("onevision features", "vision_tower", "projector")]
    [InlineData("onevision tall", "image_newline", "projector")]
    [InlineData("large smolvlm", "position_embedding")]
    public void TheSameHoldsOfVariants(string name, params string[] parts)
    {
        using var temp = new AnchorScope.Tests.Checkpoints.TempFolder();
        using var arena = new Arena();
        using var team = new Team(2);
        var @case = VariantCheckpoints.Case(name);
        using var original = VisionLanguageModel.Open(VariantCheckpoints.Write(temp, @case));
        var (tokens, pixels) = VariantCheckpoints.InputsOf(original, @case);
        var sequence = new TrainingSequence(tokens, pixels,
            [new Target(tokens.Length - 2, tokens[^1], 0.5f), new Target(tokens.Length - 1, 7, 0.5f)]);
        // A bias of keys that are not rotated adds the same to all scores of a query: its gradient is only rounding, and so is the measured
        // difference.
        SlopesHold(
            original, sequence, new Compute(arena, team),
            tensor => !tensor.EndsWith("k_proj.bias", StringComparison.Ordinal)
                && parts.Any(part => tensor.Contains(part, StringComparison.Ordinal)));
    }

    private static void SlopesHold(VisionLanguageModel original, TrainingSequence sequence, Compute compute, Func<string, bool> which)
    {
        using var parameters = Parameters.Of(original.Checkpoint);
        using var model = VisionLanguageModel.Of(Checkpoint.Over(original.Checkpoint.Folder, parameters));
        using var gradients = new Gradients(parameters.Entries);
        using var none = new Gradients([]);
        double Loss() => TrainingSequence.Add(model, [sequence], TapeKind.Recompute, compute, none);
        TrainingSequence.Add(model, [sequence], TapeKind.Store, compute, gradients);
        var random = new Random(5);
        Assert.Contains(gradients.Names, which.Invoke);
        foreach (var tensor in gradients.Names.Where(which))
        {
            // A step along the gradient and a little across, large enough to change the loss by about a thousandth.
            var (before, slope) = (parameters[tensor].ToArray(), gradients[tensor].ToArray());
            var length = Math.Sqrt(slope.Sum(v => (double)v * v));
            if (length == 0) continue;
            var way = slope.Select(v => (float)(v / length + 0.3 * (random.NextDouble() - 0.5) / Math.Sqrt(slope.Length))).ToArray();
            var expected = slope.Zip(way, (a, b) => (double)a * b).Sum();
            double At(double step)
            {
                for (var i = 0; i < before.Length; i++) parameters[tensor][i] = (float)(before[i] + step * way[i]);
                return Loss();
            }
            var step = Math.Min(0.01 / expected, 0.05 * Math.Sqrt(before.Sum(v => (double)v * v) + 0.01));
            var (near, far) = ((At(step) - At(-step)) / (2 * step), (At(2 * step) - At(-2 * step)) / (4 * step));
            before.CopyTo(parameters[tensor]);
            // Float32 rounds the loss to about 1e-6 of itself.
            Assert.Equal(expected, (4 * near - far) / 3, 0.01 * expected + 2e-6 / step);
        }
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void StoredOrComputedAgain_OneThreadOrThree_TheBitsAreTheSame(string name)
    {
        using var tiny = Tiny.Open(name, Case(name));
        using var team = new Team(3);
        float[][] All(TapeKind kind, Team with)
        {
            using var gradients = new Gradients(Entries(tiny.Model));
            TrainingSequence.Add(tiny.Model, [Sequence(tiny), Sequence(tiny)], kind, tiny.Compute with { Team = with }, gradients);
            return [.. gradients.Names.Select(n => gradients[n].ToArray())];
        }
        var once = All(TapeKind.Store, tiny.Compute.Team);
        Assert.Equal(once, All(TapeKind.Recompute, tiny.Compute.Team));
        Assert.Equal(once, All(TapeKind.Store, team));
    }

    [Fact]
    public void WhatIsNotAskedFor_ChangesNoBitOfWhatIs()
    {
        using var tiny = Tiny.Open();
        using var all = new Gradients(Entries(tiny.Model));
        TrainingSequence.Add(tiny.Model, [Sequence(tiny)], TapeKind.Store, tiny.Compute, all);
        foreach (var part in new[] { "layers.1.", "lm_head", "projector", "embed_tokens", "layers.0.self_attn.o_proj" })
        {
            using var some = new Gradients(Entries(tiny.Model).Where(e => e.Name.Contains(part, StringComparison.Ordinal)));
            TrainingSequence.Add(tiny.Model, [Sequence(tiny)], TapeKind.Store, tiny.Compute, some);
            Assert.NotEmpty(some.Names);
            foreach (var tensor in some.Names) Assert.Equal(all[tensor].ToArray(), some[tensor].ToArray());
        }
    }

    [Theory]
    [InlineData("llava15", "one_image")]
    [InlineData("qwen25vl", "one_image_nonsquare")]
    [InlineData("internvl3", "tiled_image")]
    public void DerivativeByAHeadsGain_IsTheSlopeOfTheExactSweep(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (shape, compute, last) = (tiny.Decoder.Shape, tiny.Compute, tiny.Prompt.Length - 1);
        var at = Positions.Range(last - 4, last);
        var (z, dz) = (new Trace([Site.HeadOut]), new Trace([Site.HeadOut]));
        var entry = Tensor.From(compute.Arena, tiny.Prompt.Embeddings, tiny.Prompt.Length, shape.ModelSize);
        var run = new RowBlock(entry, tiny.Prompt.Coordinates, 0, Intervention.None) { Traces = [z], Derivatives = [dz] };
        var pass = new Pass(shape, [run], compute) { Tape = new Tape(TapeKind.Store) };
        var resid = tiny.Decoder.Forward(pass);
        var (loss, d) = CrossEntropy.Of(tiny.Decoder, resid, [new Target(last, 3, 1)], compute, null);
        tiny.Decoder.Backward(pass, d, null);
        double Loss(Intervention intervention) => LogLoss(tiny.LastAlone(intervention), 3);
        Assert.Equal(Loss(Intervention.None), loss, 1e-6 * loss);
        const float Step = 1f / 64;
        var (largest, slopes) = (0.0, new List<(double Slope, double Measured)>());
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            for (var head = 0; head < shape.Heads; head++)
            {
                var slope = 0.0;
                foreach (var (from, to) in at.Ranges(tiny.Prompt.Length))
                {
                    for (var i = from * shape.Width(Site.HeadOut) + head * shape.HeadSize; i < to * shape.Width(Site.HeadOut);
                        i += shape.Width(Site.HeadOut))
                    {
                        for (var k = 0; k < shape.HeadSize; k++)
                            slope += (double)z[Site.HeadOut, layer][i + k] * dz[Site.HeadOut, layer][i + k];
                    }
                }
                double Gain(float gain) => Loss(Intervention.HeadGain(layer, head, gain, at));
                // Two central differences, extrapolated: the remaining error is float32 rounding of the logits.
                var (near, far) = ((Gain(1 + Step) - Gain(1 - Step)) / (2 * Step), (Gain(1 + 2 * Step) - Gain(1 - 2 * Step)) / (4 * Step));
                slopes.Add((slope, (4 * near - far) / 3));
                largest = Math.Max(largest, Math.Abs(slope));
            }
        }
        Assert.All(slopes, s => Assert.Equal(s.Measured, s.Slope, 1e-3 * largest));
    }

    private static string Case(string name) => name switch
    {
        "qwen25vl" => "one_image_nonsquare",
        "internvl3" => "tiled_image",
        _ => "one_image",
    };

    private static double LogLoss(float[] logits, int target)
    {
        double highest = logits.Max();
        return highest + Math.Log(logits.Sum(l => Math.Exp(l - highest))) - logits[target];
    }

    private static List<TensorEntry> Entries(VisionLanguageModel model) =>
        [.. model.Checkpoint.Files.SelectMany(f => f.Tensors.Values).Where(e => e.Type.IsFloat)];

    /// <summary>The mean over every token that follows another and is no image token.</summary>
    private static TrainingSequence Sequence(Tiny tiny)
    {
        var tokens = tiny.Golden.Ints("inputs.input_ids");
        var wanted = Enumerable.Range(0, tokens.Length - 1).Where(i => tokens[i + 1] != tiny.Model.ImageToken).ToList();
        return new TrainingSequence(tokens, tiny.Pixels, [.. wanted.Select(i => new Target(i, tokens[i + 1], 1f / wanted.Count))]);
    }

    /// <summary>The largest difference against the largest value.</summary>
    private static double Error(float[] expected, ReadOnlySpan<float> found)
    {
        double difference = 0, largest = 0;
        for (var i = 0; i < expected.Length; i++)
            (difference, largest) = (Math.Max(difference, Math.Abs((double)expected[i] - found[i])),
                Math.Max(largest, Math.Abs(expected[i])));
        return difference / largest;
    }
}
