using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>One model in all its spellings: older and newer configurations, tensor names of the hub and of the library.</summary>
public sealed class DialectTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string> Models =>
        new("llava15", "qwen25vl", "qwen25vl-tied-bf16", "qwen2vl", "internvl3", "internvl3-qknorm-rms", "llava-onevision", "smolvlm");

    [Theory]
    [MemberData(nameof(Models))]
    public void NewerConfiguration_IsTheSameModel(string name)
    {
        var folder = Copy(name);
        File.Copy(Path.Combine(folder, "config.v5.json"), Path.Combine(folder, "config.json"), overwrite: true);
        Assert.Equal(Logits(Fixtures.Path(name), name), Logits(folder, name));
    }

    [Theory]
    [InlineData("llava15", "language_model.model.=model.language_model.", "language_model.lm_head.=lm_head.",
        "vision_tower.=model.vision_tower.", "multi_modal_projector.=model.multi_modal_projector.")]
    [InlineData("qwen25vl", "model.=model.language_model.", "visual.=model.visual.")]
    [InlineData("qwen2vl", "model.=model.language_model.", "visual.=model.visual.")]
    [InlineData("internvl3", "language_model.model.=model.language_model.", "language_model.lm_head.=lm_head.",
        "vision_tower.=model.vision_tower.", "multi_modal_projector.=model.multi_modal_projector.")]
    [InlineData("llava-onevision", "language_model.model.=model.language_model.", "vision_tower.=model.vision_tower.",
        "multi_modal_projector.=model.multi_modal_projector.", "image_newline=model.image_newline")]
    public void NamesOfTheLibrary_AreTheSameModel(string name, params string[] renamed)
    {
        var folder = Copy(name);
        var path = Path.Combine(folder, "model.safetensors");
        var tensors = new List<TensorData>();
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (var entry in file.Tensors.Values)
            {
                var rule = renamed.Select(r => r.Split('=')).FirstOrDefault(r => entry.Name.StartsWith(r[0], StringComparison.Ordinal));
                tensors.Add(TensorData.Of(rule is null ? entry.Name : rule[1] + entry.Name[rule[0].Length..],
                    file.ReadSingles(entry.Name), entry.Shape));
            }
        }
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>(StringComparer.Ordinal));
        Assert.Equal(Logits(Fixtures.Path(name), name), Logits(folder, name));
    }

    [Fact]
    public void Idefics3_IsTheSameModel()
    {
        var folder = Copy("smolvlm");
        foreach (var (file, from, to) in new[] { ("config.json", "\"smolvlm\"", "\"idefics3\""),
            ("config.json", "\"smolvlm_vision\"", "\"idefics3_vision\""),
            ("preprocessor_config.json", "\"SmolVLMImageProcessor\"", "\"Idefics3ImageProcessor\"") })
        {
            var path = Path.Combine(folder, file);
            var text = File.ReadAllText(path);
            Assert.Contains(from, text, StringComparison.Ordinal);
            File.WriteAllText(path, text.Replace(from, to, StringComparison.Ordinal));
        }
        Assert.Equal(Logits(Fixtures.Path("smolvlm"), "smolvlm"), Logits(folder, "smolvlm"));
    }

    /// <summary>
    /// InternVL 2 and 2.5 on InternLM2: the same weights under its names, queries, keys and values fused group by group.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void InternLm2_IsTheSameModel(bool biased)
    {
        var (plain, fused) = InternLm2Checkpoint.Write(_temp, biased);
        Assert.Equal(Logits(plain, "internvl3"), Logits(fused, "internvl3"));
    }

    [Theory]
    [InlineData("\"model_type\": \"qwen2_5_vl\"", "\"model_type\": \"qwen3_vl\"",
        "model_type: 'qwen3_vl' is not supported; supported: llava, qwen2_vl, qwen2_5_vl")]
    [InlineData("\"model_type\": \"qwen2_5_vl\"", "\"model_type\": \"qwen2_5_vl\", \"quantization_config\": {\"quant_method\": \"awq\"}",
        "quantization_config: 'awq' is not supported; supported: weights that are not quantised")]
    [InlineData("\"type\": \"mrope\"", "\"type\": \"ntk\"",
        "'ntk' is not supported; supported: default, mrope, linear, dynamic, llama3, yarn, longrope")]
    [InlineData("\"use_sliding_window\": false", "\"use_sliding_window\": true", "use_sliding_window")]
    [InlineData("\"window_size\": 112", "\"window_size\": 1", "vision_config.window_size: expected at least 28")]
    [InlineData("\"num_heads\": 4", "\"num_heads\": 7", "vision_config.num_heads")]
    [InlineData("\"hidden_size\": 64,", "", "hidden_size: the key is missing")]
    public void WhatIsNotSupported_IsNamed(string from, string to, string message)
    {
        var folder = Copy("qwen25vl");
        var config = Path.Combine(folder, "config.json");
        var text = File.ReadAllText(config);
        Assert.Contains(from, text, StringComparison.Ordinal);
        File.WriteAllText(config, text.Replace(from, to, StringComparison.Ordinal));
        Assert.Contains(message, Assert.Throws<InputException>(() => VisionLanguageModel.Open(folder).Dispose()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void BeyondDynamicScaling_IsRefused()
    {
        var folder = Copy("internvl3");
        var config = Path.Combine(folder, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"max_position_embeddings\": 32768", "\"max_position_embeddings\": 40",
            StringComparison.Ordinal));
        Assert.Contains("from 40 on (max_position_embeddings)", Assert.Throws<InputException>(() => Logits(folder, "internvl3")).Message,
            StringComparison.Ordinal);
    }

    private string Copy(string name) => _temp.Copy(Fixtures.Path(name), name);

    private static float[] Logits(string folder, string name)
    {
        var @case = Path.GetFileNameWithoutExtension(
            Directory.GetFiles(Fixtures.Path(name, "golden"), "*.png").Order(StringComparer.Ordinal).First())!.Split("_img")[0];
        using var golden = Golden.Open(name, @case);
        using var model = VisionLanguageModel.Open(folder);
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var pixels = model.Accept(golden.Inputs);
        var prompt = model.Prompt(golden.Ints("inputs.input_ids"), pixels, model.Engine.On(compute).Features(pixels));
        var entry = Tensor.From(arena, prompt.Embeddings, prompt.Length, model.Decoder.Shape.ModelSize);
        var resid = model.Decoder.Forward(
            new Pass(model.Decoder.Shape, [new RowBlock(entry, prompt.Coordinates, 0, Intervention.None)], compute));
        return model.Decoder.Unembed(resid, compute).ToArray();
    }

    public void Dispose() => _temp.Dispose();
}
