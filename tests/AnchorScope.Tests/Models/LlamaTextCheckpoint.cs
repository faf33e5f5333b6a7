using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>
/// The language model of the tiny LLaVA as a separate checkpoint with the tensor names of LlamaForCausalLM; a base model without chat
/// template.
/// </summary>
internal static class LlamaTextCheckpoint
{
    /// <summary>The fixture that provides the weights.</summary>
    public const string Source = "llava15";

    private const string Prefix = "language_model.";

    public static string Write(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json" })
            File.Copy(Fixtures.Path(Source, name), Path.Combine(folder, name));
        var config = JsonNode.Parse(File.ReadAllText(Fixtures.Path(Source, "config.json")))!["text_config"]!;
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        using var file = SafetensorsFile.Open(Fixtures.Path(Source, "model.safetensors"));
        SafetensorsWriter.Write(
            Path.Combine(folder, "model.safetensors"),
            [.. file.Tensors.Values.Where(t => t.Name.StartsWith(Prefix, StringComparison.Ordinal))
                .Select(t => TensorData.Of(t.Name[Prefix.Length..], file.ReadSingles(t.Name), t.Shape))]);
        return folder;
    }
}
