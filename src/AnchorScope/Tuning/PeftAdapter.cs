using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tuning;

/// <summary>Writes a low-rank addition as an adapter of the PEFT library: adapter_config.json and adapter_model.safetensors.</summary>
internal static class PeftAdapter
{
    private const string Suffix = ".weight";

    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the folder.</summary>
    /// <param name="original">Folder of the checkpoint that the addition belongs to. Its full path is written, because a bare name would be
    /// looked up on the hub, where another model may have it.</param>
    /// <param name="type">model_type of the original's config.json, which determines the module names after loading by the library.</param>
    public static void Write(string folder, LowRankTunable update, string original, string type) => NewFolder.Write(folder, partial =>
    {
        var modules = update.Pairs.Select(p => Module(p.Lines.Tensor, type)).ToArray();
        var config = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["auto_mapping"] = null,
            ["base_model_name_or_path"] = Path.GetFullPath(original),
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
            ["init_lora_weights"] = true,
            ["layers_pattern"] = null,
            ["layers_to_transform"] = null,
            ["lora_alpha"] = update.Rank,
            ["lora_dropout"] = 0.0,
            ["modules_to_save"] = null,
            ["peft_type"] = "LORA",
            ["r"] = update.Rank,
            ["rank_pattern"] = new Dictionary<string, int>(StringComparer.Ordinal),
            ["alpha_pattern"] = new Dictionary<string, int>(StringComparer.Ordinal),
            ["revision"] = null,
            // A regular expression for whole names. A list would also match modules of the vision tower with the same ending.
            ["target_modules"] = $"({string.Join('|', modules.Select(m => Regex.Escape(m)))})",
            ["task_type"] = null,
            ["use_dora"] = false,
            ["use_rslora"] = false,
        };
        AtomicFile.Write(Path.Combine(partial, "adapter_config.json"), stream => JsonSerializer.Serialize(stream, config, Indented));
        var tensors = new List<TensorData>();
        for (var i = 0; i < modules.Length; i++) tensors.AddRange(Factors(update, update.Pairs[i], $"base_model.model.{modules[i]}"));
        SafetensorsWriter.Write(Path.Combine(partial, "adapter_model.safetensors"), tensors,
            new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
        return 0;
    });

    /// <summary>
    /// The module name of a stored weight in the reference library (4.52 and later). It moved the language model of some families under
    /// "model." but kept the stored names. In remote code and text models, modules are named as stored.
    /// </summary>
    internal static string Module(string tensor, string type)
    {
        var stored = tensor[..^Suffix.Length];
        return type switch
        {
            "llava" or "llava_onevision" or "internvl" when stored.StartsWith("language_model.model.", StringComparison.Ordinal) =>
                "model.language_model." + stored["language_model.model.".Length..],
            "qwen2_vl" or "qwen2_5_vl" when stored.StartsWith("model.layers.", StringComparison.Ordinal) =>
                "model.language_model." + stored["model.".Length..],
            _ => stored,
        };
    }

    /// <summary>
    /// The factors of a whole tensor, [rank, input] and [output, rank], with zeros outside the heads' rows of B or columns of A.
    /// </summary>
    private static IEnumerable<TensorData> Factors(LowRankTunable update, LowRankPair pair, string module)
    {
        var (lines, rank) = (pair.Lines, update.Rank);
        var (outputs, inputs) = (lines.Shape[0], lines.Shape[1]);
        var (a, b) = (update.Learnt[pair.A].ToArray(), update.Learnt[pair.B].ToArray());
        if (lines.Columns) a = Spread(lines with { Shape = [rank, inputs] }, a);
        else b = Spread(lines with { Shape = [outputs, rank] }, b);
        yield return TensorData.Of($"{module}.lora_A.weight", (ReadOnlySpan<float>)a, rank, inputs);
        yield return TensorData.Of($"{module}.lora_B.weight", (ReadOnlySpan<float>)b, outputs, rank);
    }

    private static float[] Spread(TensorLines lines, float[] packed)
    {
        var whole = new float[lines.Shape[0] * lines.Shape[1]];
        lines.Scatter(packed, whole);
        return whole;
    }
}
