using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Reads a Llama decoder (RMSNorm, rotary embedding, grouped-query attention, SwiGLU) from a checkpoint.</summary>
internal static class Llama
{
    /// <summary>
    /// The decoder described by <paramref name="config"/> (text_config). Also reads Qwen2, which has a bias on queries, keys and values,
    /// and InternLM2, which has other tensor names.
    /// </summary>
    /// <param name="prefix">Prefix of the tensor names before <c>layers.0.…</c>, the embeddings and <c>norm</c>.</param>
    /// <param name="headName">Name of the output head. If it is absent and tied, the embedding is used.</param>
    /// <param name="defaults">Values for absent keys, and the tensor names.</param>
    public static Decoder Read(ConfigSection config, Weights weights, string prefix, string headName, bool tied, DecoderDefaults defaults)
    {
        var settings = LlamaSettings.Read(config, defaults);
        var (shape, width) = (settings.Shape, settings.Shape.ModelSize);
        var embedding = weights.Get($"{prefix}{defaults.Names.Embedding}.weight", settings.Vocabulary, width);
        var layers = Enumerable.Range(0, shape.Layers)
            .Select(i => new LlamaLayer(weights, $"{prefix}layers.{i}.", settings, defaults.Names).Read(i)).ToArray();
        var head = weights.Has(headName) || !tied ? weights.Get(headName, settings.Vocabulary, width) : embedding;
        // Old checkpoints store the frequencies of the rotary embedding, which follow from the configuration.
        weights.MarkUnused(name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal));
        var rope = RopeSettings.Read(config, shape.HeadSize, defaults.Theta);
        int? longest = config.Has("max_position_embeddings") ? config.PositiveInt("max_position_embeddings") : null;
        var norm = new Norm(weights.Get(prefix + "norm.weight", width), null, settings.Epsilon);
        return new Decoder(shape, embedding, rope, layers, norm, new Linear(head))
        {
            MaximumPositions = rope.Limit is { } limit && (longest is null || limit < longest) ? limit : longest,
        };
    }
}
