using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Reads one layer of a Llama decoder.</summary>
/// <param name="at">Prefix of its tensor names.</param>
internal sealed class LlamaLayer(Weights weights, string at, LlamaSettings settings, DecoderNames names)
{
    private DecoderShape Shape => settings.Shape;

    private int Width => settings.Shape.ModelSize;

    /// <summary>The layer with this index.</summary>
    public DecoderLayer Read(int index)
    {
        var attention = names.Fused is { } fused ? Grouped(fused) : Separate();
        var mlp = new MlpWeights(
            Project(names.Gate, Shape.MlpSize, Width, settings.MlpBias), Project(names.Up, Shape.MlpSize, Width, settings.MlpBias),
            Project(names.Down, Width, Shape.MlpSize, settings.MlpBias), settings.Activation);
        return new DecoderLayer(index, Shape, RmsNorm(names.AttnNorm), attention, RmsNorm(names.MlpNorm), mlp);
    }

    /// <summary>Llama and Qwen2: one tensor each for queries, keys and values.</summary>
    private AttentionWeights Separate()
    {
        var (q, kv) = (Shape.Width(Site.Query), Shape.Width(Site.Key));
        return new AttentionWeights(
            Project(names.Query, q, Width, settings.ProjectionBias), Project(names.Key, kv, Width, settings.ProjectionBias),
            Project(names.Value, kv, Width, settings.ProjectionBias), Project(names.Output, Width, q, settings.OutputBias));
    }

    /// <summary>
    /// InternLM2: one tensor, ordered by groups: the query heads that share a key/value head, then that key head, then that value head.
    /// </summary>
    private AttentionWeights Grouped(string fused)
    {
        var (group, rows) = (Shape.Heads / Shape.KeyHeads, Shape.Width(Site.Query) + 2 * Shape.Width(Site.Key));
        var weight = weights.Get($"{at}{fused}.weight", rows, Width);
        var bias = settings.ProjectionBias ? weights.Get($"{at}{fused}.bias", rows) : null;
        var every = (group + 2) * Shape.HeadSize;
        Linear Blocks(int from, int count) => new(
            weight.Blocks(from * Shape.HeadSize, count * Shape.HeadSize, every),
            bias?.Blocks(from * Shape.HeadSize, count * Shape.HeadSize, every));
        return new AttentionWeights(
            Blocks(0, group), Blocks(group, 1), Blocks(group + 1, 1),
            Project(names.Output, Width, Shape.Width(Site.Query), settings.OutputBias));
    }

    private Linear Project(string name, int outputs, int inputs, bool bias) =>
        new(weights.Get($"{at}{name}.weight", outputs, inputs), bias ? weights.Get($"{at}{name}.bias", outputs) : null);

    private Norm RmsNorm(string name) => new(weights.Get($"{at}{name}.weight", Width), null, settings.Epsilon);
}
