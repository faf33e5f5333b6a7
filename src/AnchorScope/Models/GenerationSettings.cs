using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;

namespace AnchorScope.Models;

/// <summary>What generation_config.json states of how text is generated; without that file config.json.</summary>
/// <param name="MaxNewTokens">max_new_tokens, where it is there.</param>
/// <param name="MaxLength">max_length, where it is there.</param>
/// <param name="StopTokens">Tokens that end a text.</param>
/// <param name="Rules">Which token may follow.</param>
internal sealed record GenerationSettings(int? MaxNewTokens, int? MaxLength, IReadOnlySet<int> StopTokens, GenerationRules Rules)
{
    /// <summary>How tokens are sampled if a request does not say it.</summary>
    public required SamplingDefaults Sampling { get; init; }

    /// <summary>Reads them.</summary>
    public static GenerationSettings Of(Checkpoint checkpoint, int vocabulary)
    {
        var (file, config) = (Path.Combine(checkpoint.Folder, "generation_config.json"), checkpoint.Config);
        // Without the file the reference library takes what config.json states, at its root or of its language model.
        var section = File.Exists(file) ? ConfigSection.Load(file)
            : (config.SectionOrNull("text_config") ?? config.SectionOrNull("llm_config")) is { } text ? config.Or(text) : config;
        var stop = Stop(section);
        return new GenerationSettings(
            section.Has("max_new_tokens") ? section.PositiveInt("max_new_tokens") : null,
            section.Has("max_length") ? section.PositiveInt("max_length") : null, stop, new GenerationRules(section, stop, vocabulary))
        {
            Sampling = SamplingDefaults.Of(section),
        };
    }

    private static HashSet<int> Stop(ConfigSection section) => !section.Has("eos_token_id") ? []
        : section.Json.GetProperty("eos_token_id").ValueKind == JsonValueKind.Array ? section.Ints("eos_token_id").ToHashSet()
        : [section.Int("eos_token_id")];
}
