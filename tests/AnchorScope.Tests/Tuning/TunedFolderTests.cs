using System.Text.Json;
using System.Text.RegularExpressions;
using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Baking;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tuning;

namespace AnchorScope.Tests.Tuning;

/// <summary>Checkpoints and adapters of tuned heads, in every layout and type.</summary>
public sealed class TunedFolderTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string> Models =>
        ["llava15", "llava15-gqa-f16-sharded", "qwen25vl-tied-bf16", "smolvlm", "internlm2", "llama"];

    [Theory]
    [MemberData(nameof(Models))]
    public void OnlyTheHeadsLines_Change_AndThatIsProved(string name)
    {
        var folder = BakedModels.Folder(name, _temp);
        using var original = VisionLanguageModel.Open(folder);
        var shape = original.Decoder.Shape;
        (int Layer, int Head)[] heads = [(0, 1), (shape.Layers - 1, shape.Heads - 1)];
        using var tunable = new SliceTunable(original, heads);
        Shift(tunable, 0.01f);
        var out1 = Write(original, tunable, heads, "tuned");
        using var tuned = VisionLanguageModel.Open(out1);
        // What is measured in memory is what was written.
        tunable.Round();
        using var rounded = VisionLanguageModel.Of(Checkpoint.Over(original.Checkpoint, tunable.Weights));
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        float[] Logits(VisionLanguageModel model)
        {
            var prompt = BakedPrompts.Sequences(1)[0](model, model.Engine.On(compute));
            var entry = Tensor.From(arena, prompt.Embeddings, prompt.Length, shape.ModelSize);
            return model.Decoder.Unembed(
                model.Decoder.Forward(
                    new Pass(shape, [new RowBlock(entry, prompt.Coordinates, 0, AnchorScope.Interventions.Intervention.None)], compute)),
                compute).ToArray();
        }
        Assert.Equal(Logits(rounded), Logits(tuned));
        Assert.NotEqual(Logits(original), Logits(tuned));
        Assert.All(TunedFiles.Check(original, tuned), check => Assert.True(check.Holds, $"{check.What}: {check.Found}"));
        // Every value in the lines differs, none outside.
        using var before = Parameters.Of(original.Checkpoint);
        using var after = Parameters.Of(tuned.Checkpoint);
        var lines = HeadLines.All(original.Decoder, heads).ToDictionary(l => l.Tensor, StringComparer.Ordinal);
        foreach (var entry in before.Entries)
        {
            var differing = before[entry.Name].ToArray().Zip(after[entry.Name].ToArray()).Count(v => v.First != v.Second);
            Assert.Equal(lines.TryGetValue(entry.Name, out var own) ? own.Count : 0, differing);
        }
        // One value elsewhere in a tensor of the heads, and the proof fails.
        var target = tuned.Checkpoint.Files.First(f => f.Tensors.ContainsKey(lines.Keys.First()));
        var (path, at) = (target.Path, target.Tensors[lines.Keys.First()]);
        var free = lines[at.Name].Stretches.First();
        var outside = free.First > 0 ? 0 : free.First + free.Count;
        var bytes = File.ReadAllBytes(path);
        bytes[at.Offset + outside * at.Type.Bytes()] ^= 1;
        File.WriteAllBytes(path + ".new", bytes);
        File.Move(path + ".new", path, overwrite: true);
        using var broken = VisionLanguageModel.Open(out1);
        var fault = Assert.Single(TunedFiles.Check(original, broken), check => !check.Holds);
        Assert.Contains("in the heads' tensors", fault.What, StringComparison.Ordinal);
    }

    [Fact]
    public void ATunedModel_SaysSo()
    {
        using var original = VisionLanguageModel.Open(Fixtures.Organism);
        using var tunable = new SliceTunable(original, [(2, 0)]);
        Shift(tunable, 0.5f);
        var folder = Write(original, tunable, [(2, 0)], "tuned");
        Assert.StartsWith("Tuned (AnchorScope", Provenance.Read(folder), StringComparison.Ordinal);
        var card = File.ReadAllText(Path.Combine(folder, "README.md"));
        foreach (var part in new[] { "2:0", original.Checkpoint.Sha256, "rows 0-15", "columns 0-15", "1234" })
            Assert.Contains(part, card, StringComparison.Ordinal);
        var record = TunedRecord.Load(folder);
        Assert.Equal(File.ReadAllText(Path.Combine(folder, "tuned.json")), record.Text());
        Assert.All(record.Tensors, t => Assert.InRange(t.Rounded, 1, t.Values));
        foreach (var (from, to, message) in new[] { ("\"version\": 1", "\"version\": 2", "version: expected 1, found 2"),
            ("\"what\"", "\"why\"", "expected only"), ("\"layer\": 2", "\"layer\": true", "heads[0].layer") })
        {
            File.WriteAllText(Path.Combine(folder, "tuned.json"), record.Text().Replace(from, to, StringComparison.Ordinal));
            Assert.Contains(message, Assert.Throws<InputException>(() => TunedRecord.Load(folder)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void WhatIsTooLargeForTheType_IsNotWritten()
    {
        using var original = VisionLanguageModel.Open(Fixtures.Path("llava15-gqa-f16-sharded"));
        using var tunable = new SliceTunable(original, [(0, 0)]);
        Shift(tunable, 1e6f);
        Assert.Contains("expected a finite F16 value",
            Assert.Throws<InputException>(() => Write(original, tunable, [(0, 0)], "tuned")).Message, StringComparison.Ordinal);
        Assert.False(Path.Exists(_temp.File("tuned")));
    }

    /// <summary>
    /// Computed independently: the adapter's products, added to the original's weights, give the tuned weights, as in the library that
    /// reads adapters.
    /// </summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void AnAdapter_IsTheTunedWeights(string name)
    {
        using var original = VisionLanguageModel.Open(BakedModels.Folder(name, _temp));
        var shape = original.Decoder.Shape;
        (int Layer, int Head)[] heads = [(0, 0), (0, 2), (shape.Layers - 1, 1)];
        using var update = new LowRankTunable(original, heads, rank: 3, seed: 9);
        Shift(update, 0.02f);
        var type = original.Checkpoint.Config.Text("model_type");
        PeftAdapter.Write(_temp.File("adapter"), update, "some/model", type);
        using var config = JsonDocument.Parse(File.ReadAllText(_temp.File("adapter/adapter_config.json")));
        var root = config.RootElement;
        Assert.Equal(("LORA", Path.GetFullPath("some/model"), "none", 3),
            (root.GetProperty("peft_type").GetString(), root.GetProperty("base_model_name_or_path").GetString(), root.GetProperty("bias")
            .GetString(), root.GetProperty("r").GetInt32()));
        Assert.False(root.GetProperty("fan_in_fan_out").GetBoolean());
        Assert.True(root.GetProperty("inference_mode").GetBoolean());
        var scale = root.GetProperty("lora_alpha").GetDouble() / root.GetProperty("r").GetInt32();
        using var adapter = SafetensorsFile.Open(_temp.File("adapter/adapter_model.safetensors"));
        using var stored = Parameters.Of(original.Checkpoint);
        Assert.Equal(2 * update.Weights.Entries.Count, adapter.Tensors.Count);
        var modules = update.Weights.Entries.ToDictionary(e => PeftAdapter.Module(e.Name, type), e => e, StringComparer.Ordinal);
        foreach (var (module, entry) in modules)
        {
            var (a, b) = (adapter.ReadSingles($"base_model.model.{module}.lora_A.weight"),
                adapter.ReadSingles($"base_model.model.{module}.lora_B.weight"));
            var (outputs, inputs) = ((int)entry.Shape[0], (int)entry.Shape[1]);
            var tuned = update.Weights[entry.Name];
            Assert.Equal((3 * inputs, 3 * outputs), (a.Length, b.Length));
            for (var i = 0; i < outputs; i++)
            {
                for (var j = 0; j < inputs; j++)
                {
                    var sum = 0.0;
                    for (var k = 0; k < 3; k++) sum += (double)b[i * 3 + k] * a[k * inputs + j];
                    // Three products added in float32.
                    Assert.Equal(stored[entry.Name][i * inputs + j] + scale * sum, tuned[i * inputs + j], 1e-6);
                }
            }
        }
        // As the library chooses modules: the pattern has to match the whole name.
        var pattern = new Regex($"^(?:{root.GetProperty("target_modules").GetString()})$", RegexOptions.CultureInvariant,
            TimeSpan.FromSeconds(1));
        var all = stored.Entries.Where(e => e.Name.EndsWith(".weight", StringComparison.Ordinal))
            .Select(e => PeftAdapter.Module(e.Name, type));
        Assert.Equal(modules.Keys.Order(StringComparer.Ordinal), all.Where(m => pattern.IsMatch(m)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("llava", "language_model.model.layers.3.self_attn.q_proj.weight", "model.language_model.layers.3.self_attn.q_proj")]
    [InlineData("llava", "model.language_model.layers.3.self_attn.q_proj.weight", "model.language_model.layers.3.self_attn.q_proj")]
    [InlineData("internvl", "language_model.model.layers.0.self_attn.o_proj.weight", "model.language_model.layers.0.self_attn.o_proj")]
    [InlineData("internvl_chat", "language_model.model.layers.0.attention.wqkv.weight", "language_model.model.layers.0.attention.wqkv")]
    [InlineData("qwen2_5_vl", "model.layers.1.self_attn.v_proj.weight", "model.language_model.layers.1.self_attn.v_proj")]
    [InlineData("smolvlm", "model.text_model.layers.1.self_attn.v_proj.weight", "model.text_model.layers.1.self_attn.v_proj")]
    [InlineData("llama", "model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.k_proj")]
    public void Modules_AreCalledAsTheLibraryCallsThem(string type, string tensor, string module) =>
        Assert.Equal(module, PeftAdapter.Module(tensor, type));

    private static void Shift(Tunable tunable, float by)
    {
        var random = new Random(11);
        foreach (var entry in tunable.Learnt.Entries)
        {
            foreach (ref var value in tunable.Learnt[entry.Name]) value += by * (1 + random.NextSingle());
        }
        tunable.Apply();
    }

    private string Write(VisionLanguageModel original, SliceTunable tunable, (int Layer, int Head)[] heads, string name)
    {
        var changes = tunable.Changes();
        new ChangedCheckpoint(original, new BakePlan(original.Checkpoint, changes)).Write(
            _temp.File(name),
            tensors => new TunedRecord
            {
                Tool = AnchorScope.ToolVersion.Text, What = "the weights", Source = original.Checkpoint.Name,
                SourceSha256 = original.Checkpoint.Sha256, HeadSet = "heads.json", HeadSetSha256 = "1234",
                HeadSetRevision = original.Checkpoint.Sha256, Heads = heads, Tensors = tensors,
                Lines = changes.OfType<ReplacedTensor>().ToDictionary(c => c.Entry.Name, c => c.Lines.Text, StringComparer.Ordinal),
            },
            null, default);
        return _temp.File(name);
    }

    public void Dispose() => _temp.Dispose();
}
