using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Reads the rotary embedding of a decoder, in the older spelling (rope_theta, rope_scaling) and the newer (rope_parameters).</summary>
internal static class RopeSettings
{
    private static readonly string[] Supported = ["default", "mrope", "dynamic"];

    /// <summary>The angles that <paramref name="config"/> (text_config) describes.</summary>
    public static Rope Read(ConfigSection config, int headSize, double defaultTheta)
    {
        double? theta = config.Has("rope_theta") ? config.Number("rope_theta") : null;
        IReadOnlyList<int>? sections = null;
        int? limit = null;
        foreach (var key in new[] { "rope_scaling", "rope_parameters" })
        {
            if (config.SectionOrNull(key) is not { } rope) continue;
            var type = rope.Text("rope_type", rope.Text("type", "default"));
            if (!Supported.Contains(type)) throw rope.Unsupported(rope.Has("rope_type") ? "rope_type" : "type", type, Supported);
            if (rope.Has("rope_theta")) theta = rope.Number("rope_theta");
            if (rope.Has("mrope_section")) sections = Sections(rope, headSize);
            // Up to the length it was trained on, dynamic scaling changes nothing.
            if (type == "dynamic") limit = config.PositiveInt("max_position_embeddings");
        }
        return new Rope(headSize, theta ?? defaultTheta, sections) { Limit = limit };
    }

    private static IReadOnlyList<int> Sections(ConfigSection rope, int headSize)
    {
        var sections = rope.Ints("mrope_section");
        return sections.Count == 3 && sections.All(s => s > 0) && sections.Sum() == headSize / 2
            ? sections
            : throw InputException.At(rope.File, $"{rope.Path}.mrope_section", $"three numbers that add up to {headSize / 2}, half of a head", string.Join(", ", sections));
    }
}
