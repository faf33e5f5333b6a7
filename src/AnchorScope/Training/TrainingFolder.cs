using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Training;

/// <summary>Writes checkpoint folders of models in training: the files of a template with other sizes and weights.</summary>
internal static class TrainingFolder
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    // Files about the template's own weights or training are not copied; config.json is written anew.
    private static readonly HashSet<string> OfItsOwn =
        new(StringComparer.Ordinal) { "config.json", "README.md", "provenance.json", "recipe.json", "curve.jsonl", "curve.svg" };

    /// <summary>Throws if a template is not a LLaVA checkpoint. Called before anything is written.</summary>
    public static void Check(string template)
    {
        var config = JsonField.Read(Path.Combine(template, "config.json"));
        if (config.Find("model_type")?.Text() is var type && type != "llava")
            throw InputException.At(config.File, "model_type", "llava, the family that a recipe grows", type ?? "nothing");
        _ = config.Get("text_config").Members().Any();
    }

    /// <summary>Writes everything except the weights.</summary>
    /// <param name="template">A folder with tokenizer, preprocessor, chat template and config.json (see <see cref="Check"/>).</param>
    /// <param name="type">Type of the weights in config.json.</param>
    public static void Describe(string template, DecoderSizes sizes, int layers, StoredType type, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(template))
        {
            var name = Path.GetFileName(file);
            if (OfItsOwn.Contains(name) || name.EndsWith(".safetensors", StringComparison.Ordinal)
                || name.EndsWith(".index.json", StringComparison.Ordinal))
                continue;
            File.Copy(file, Path.Combine(folder, name), overwrite: true);
        }
        var config = JsonNode.Parse(File.ReadAllBytes(Path.Combine(template, "config.json")))!.AsObject();
        var text = config["text_config"]!.AsObject();
        (text["num_hidden_layers"], text["hidden_size"], text["num_attention_heads"], text["num_key_value_heads"]) = (layers, sizes.Width,
            sizes.Heads, sizes.Heads);
        (text["head_dim"], text["intermediate_size"]) = (sizes.Width / sizes.Heads, sizes.MlpSize);
        foreach (var part in new[] { config, text, config["vision_config"] as JsonObject })
        {
            foreach (var key in new[] { "dtype", "torch_dtype" })
            {
                if (part?.ContainsKey(key) == true) part[key] = type == StoredType.F32 ? "float32" : "bfloat16";
            }
        }
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString(Indented) + "\n");
    }

    /// <summary>Names and shapes of the tensors that the model of a folder reads, and the sizes of its vision tower.</summary>
    public static (IReadOnlyList<(string Name, long[] Shape)> Tensors, (int Width, int Layers) Tower) Shapes(string folder)
    {
        using var asked = new RequestedTensors(folder, StoredType.F32);
        using var model = VisionLanguageModel.Of(Checkpoint.WithoutWeights(folder, asked));
        var family = (Llava)model.ModelFamily;
        return ([.. asked.Entries.Select(e => (e.Name, e.Shape))], (family.TowerWidth, family.TowerLayers));
    }

    /// <summary>Writes all tensors as <paramref name="type"/>: F32 unchanged, BF16 rounded to nearest.</summary>
    public static void Write(string file, Parameters parameters, StoredType type)
    {
        SafetensorsWriter.Write(
            file, [.. parameters.Entries.Select(e => new TensorEntry(e.Name, type, e.Shape, 0, e.Count * type.Bytes()))],
            (entry, stream) =>
            {
                var bytes = new byte[entry.Bytes];
                Narrowing.FromSingles(parameters[entry.Name], type, bytes);
                stream.Write(bytes);
            },
            new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
    }

    /// <summary>Fills <paramref name="parameters"/> from a file, which must have exactly these tensors.</summary>
    public static void Read(string file, Parameters parameters)
    {
        using var stored = SafetensorsFile.Open(file);
        var weights = new Weights(file, [stored]);
        foreach (var entry in parameters.Entries) weights.Get(entry.Name, entry.Shape).Widen(0, parameters[entry.Name]);
        weights.AssertAllRead();
    }
}
