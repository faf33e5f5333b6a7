using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// Reads the rotary embedding of a decoder. If rope_scaling (the older key) is present it is used, otherwise rope_parameters; the two are
/// never combined, as in the reference. A key that does not belong to the scaling type is an error, because it would be silently ignored.
/// </summary>
internal static class RopeSettings
{
    private static readonly string[] Everywhere = ["rope_type", "type", "rope_theta", "mrope_section", "partial_rotary_factor"];

    /// <summary>The keys of each type, in addition to those of all types.</summary>
    private static readonly Dictionary<string, string[]> Kinds = new(StringComparer.Ordinal)
    {
        ["default"] = [],
        ["mrope"] = [],
        ["linear"] = ["factor"],
        ["dynamic"] = ["factor"],
        ["llama3"] = ["factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"],
        ["yarn"] =
        [
            "factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim",
                "truncate",
        ],
        ["longrope"] = ["factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"],
    };

    /// <summary>The rotary embedding described by <paramref name="config"/> (text_config).</summary>
    /// <param name="headSize">Even.</param>
    /// <param name="defaultTheta">Base if the configuration has none.</param>
    /// <exception cref="InputException">A type, key or value that is not supported.</exception>
    public static Rope Read(ConfigSection config, int headSize, double defaultTheta)
    {
        double? outer = config.Has("rope_theta") ? config.Number("rope_theta") : null;
        if (Section(config) is not { } rope) return new Rope(headSize, outer ?? defaultTheta);
        var kind = rope.Text("rope_type", rope.Text("type", "default"));
        if (!Kinds.TryGetValue(kind, out var keys)) throw rope.Unsupported(rope.Has("rope_type") ? "rope_type" : "type", kind, Kinds.Keys);
        foreach (var key in rope.Json.EnumerateObject().Select(p => p.Name)
            .Where(key => rope.Has(key) && !Everywhere.Contains(key) && !keys.Contains(key)))
            throw new InputException(
                $"{rope.File}: {rope.PathOf(key)}: rope_type {kind} has no such key; it has {string.Join(", ", Everywhere.Concat(keys))}");
        if (rope.Number("partial_rotary_factor", 1) is var part && part != 1) throw rope.Unsupported("partial_rotary_factor", $"{part}",
            ["1, whole heads"]);
        var theta = rope.Has("rope_theta") ? rope.Number("rope_theta") : outer ?? defaultTheta;
        var sections = rope.Has("mrope_section") ? Sections(rope, headSize) : null;
        var frequencies = Rope.Frequencies(headSize, theta);
        return kind switch
        {
            "linear" => new Rope(RopeScaling.Linear(frequencies, Factor(rope)), sections),
            // Up to the length it was trained on, dynamic scaling changes nothing.
            "dynamic" => new Rope(frequencies, sections) { Limit = config.PositiveInt("max_position_embeddings") },
            "llama3" => new Rope(
                RopeScaling.Llama3(frequencies, Factor(rope), rope.Number("low_freq_factor"), rope.Number("high_freq_factor"),
                    Original(config, rope)), sections),
            "yarn" => Yarn(config, rope, frequencies, theta, sections),
            "longrope" => Long(config, rope, headSize, theta, sections),
            _ => new Rope(frequencies, sections),
        };
    }

    private static ConfigSection? Section(ConfigSection config) => new[] { "rope_scaling", "rope_parameters" }
        .Select(config.SectionOrNull).FirstOrDefault(section => section?.Json.EnumerateObject().Any() == true);

    private static Rope Yarn(ConfigSection config, ConfigSection rope, float[] frequencies, double theta, IReadOnlyList<int>? sections)
    {
        var original = Original(config, rope);
        var factor = FactorOrRatio(config, rope, original);
        // mscale is used only together with mscale_all_dim, and neither if there is an attention_factor.
        var (scale, all) = (rope.Number("mscale", 0), rope.Number("mscale_all_dim", 0));
        var attention = rope.Has("attention_factor") ? rope.Number("attention_factor")
            : scale != 0 && all != 0 ? Magnitude(factor, scale) / Magnitude(factor, all) : Magnitude(factor, 1);
        var (fast, slow) = (OrDefault(rope, "beta_fast", 32), OrDefault(rope, "beta_slow", 1));
        return new Rope(RopeScaling.Yarn(frequencies, theta, factor, fast, slow, original, rope.Flag("truncate", true)),
            sections) { Magnitude = (float)attention };

        static double Magnitude(double factor, double scale) => factor <= 1 ? 1 : 0.1 * scale * Math.Log(factor) + 1;

        static double OrDefault(ConfigSection rope, string key, double otherwise) => rope.Number(key, 0) is var number && number != 0
            ? number : otherwise;
    }

    private static Rope Long(ConfigSection config, ConfigSection rope, int headSize, double theta, IReadOnlyList<int>? sections)
    {
        var original = Original(config, rope);
        var factor = FactorOrRatio(config, rope, original);
        var attention = rope.Has("attention_factor") ? rope.Number("attention_factor") : factor <= 1 ? 1
            : Math.Sqrt(1 + Math.Log(factor) / Math.Log(original));
        _ = Factors(rope, "long_factor", headSize);
        // For longer prompts, the long factors would apply to all positions.
        return new Rope(RopeScaling.Long(headSize, theta, Factors(rope, "short_factor", headSize)), sections) { Magnitude =
            (float)attention, Limit = original, LimitName = "original_max_position_embeddings" };
    }

    private static float[] Factors(ConfigSection rope, string key, int headSize)
    {
        var factors = rope.Numbers(key);
        return factors.Count == headSize / 2 && factors.All(f => f > 0)
            ? [.. factors.Select(f => (float)f)]
            : throw InputException.At(rope.File, rope.PathOf(key), $"{headSize / 2} positive numbers, one for each pair of a head",
                $"{factors.Count} numbers");
    }

    private static double Factor(ConfigSection rope) => rope.Number("factor") is var factor && factor > 0
        ? factor
        : throw InputException.At(rope.File, rope.PathOf("factor"), "a positive number", $"{factor}");

    private static double FactorOrRatio(ConfigSection config, ConfigSection rope, int original) =>
        rope.Has("factor") ? Factor(rope) : (double)config.PositiveInt("max_position_embeddings") / original;

    /// <summary>The length the model was trained on before scaling; a key outside the section takes precedence.</summary>
    private static int Original(ConfigSection config, ConfigSection rope)
    {
        const string Key = "original_max_position_embeddings";
        return config.Has(Key) ? config.PositiveInt(Key) : rope.Has(Key) ? rope.PositiveInt(Key)
            : config.PositiveInt("max_position_embeddings");
    }

    private static IReadOnlyList<int> Sections(ConfigSection rope, int headSize)
    {
        var sections = rope.Ints("mrope_section");
        return sections.Count == 3 && sections.All(s => s > 0) && sections.Sum() == headSize / 2
            ? sections
            : throw InputException.At(rope.File, $"{rope.Path}.mrope_section",
                $"three numbers that add up to {headSize / 2}, half of a head", string.Join(", ", sections));
    }
}
