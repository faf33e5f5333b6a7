using AnchorScope.Baking;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Baking;

/// <summary>Checkpoints of every family, and what is baked into them.</summary>
internal static class BakedModels
{
    private const string Fused = "internlm2", Text = "llama";

    /// <summary>Fixture, and the golden case whose inputs are run; InternLM2 and Llama are made of fixtures.</summary>
    public static TheoryData<string, string> All => new()
    {
        { "llava15", "one_image" }, { "llava15-gqa-f16-sharded", "one_image" }, { "qwen25vl", "two_images" },
        { "qwen25vl-tied-bf16", "one_image" }, { "qwen2vl", "one_image_nonsquare" },
        { "internvl3", "tiled_image" }, { "internvl3-qknorm-rms", "tiled_image" }, { "internvl3-remote", "tiled_image" },
        { "llava-onevision", "one_image_anyres" }, { "smolvlm", "one_image_split" },
        { Fused, "tiled_image" }, { Text, "" },
    };

    /// <summary>The folder of one of them.</summary>
    public static string Folder(string name, TempFolder temp) => name switch
    {
        Fused => InternLm2Checkpoint.Write(temp, biased: true).Fused,
        Text => LlamaTextCheckpoint.Write(temp.File("llama")),
        _ => Fixtures.Path(name),
    };

    /// <summary>Two heads of one layer and one of the last.</summary>
    public static HeadSetFile Heads(VisionLanguageModel model)
    {
        var shape = model.Decoder.Shape;
        ScoredHead[] heads = [new(shape.Layers - 1, 1, 0.5), new(0, 0, 0.25), new(0, shape.Heads - 1, double.NaN)];
        return new HeadSetFile("heads.json", "1234", new HeadSet("tiny", model.Checkpoint.Sha256, "", "", HeadSet.ByHand, heads));
    }

    /// <summary>Bakes and returns the new folder.</summary>
    public static string Bake(string original, string folder, float factor)
    {
        using var model = VisionLanguageModel.Open(original);
        new BakedCheckpoint(model, Heads(model), factor).Write(folder);
        return folder;
    }

    /// <summary>A prompt with the golden inputs of a case; random tokens without one.</summary>
    public static Func<VisionLanguageModel, ISession, Prompt> Prompt(string name, string @case)
    {
        if (@case.Length == 0) return BakedPrompts.Sequences(1)[0];
        return (model, session) =>
        {
            using var golden = Golden.Open(name == Fused ? "internvl3" : name, @case);
            var pixels = model.Accept(golden.Inputs);
            return model.Prompt(golden.Ints("inputs.input_ids"), pixels, session.Features(pixels));
        };
    }

    /// <summary>The weight files of a folder by name.</summary>
    public static SortedDictionary<string, byte[]> WeightFiles(string folder) =>
        new(Directory.GetFiles(folder, "*.safetensors").ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes),
            StringComparer.Ordinal);
}
