using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
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
        int Size(string key, int? otherwise) => otherwise is { } value ? config.PositiveInt(key, value) : config.PositiveInt(key);
        var width = Size("hidden_size", defaults.Sizes?.Width);
        var heads = Size("num_attention_heads", defaults.Sizes?.Heads);
        var keyHeads = config.PositiveInt("num_key_value_heads", heads);
        if (!config.Has("head_dim") && width % heads != 0)
            throw InputException.At(config.File, config.PathOf("num_attention_heads"), $"a divisor of hidden_size {width}", $"{heads}");
        if (heads % keyHeads != 0)
            throw InputException.At(config.File, config.PathOf("num_key_value_heads"),
                $"a divisor of num_attention_heads {heads}", $"{keyHeads}");
        if (config.Flag("use_sliding_window", false)) throw config.Unsupported("use_sliding_window", "true", ["false"]);
        var shape = new DecoderShape(
            Size("num_hidden_layers", defaults.Sizes?.Layers), heads, keyHeads, config.PositiveInt("head_dim", width / heads), width,
            Size("intermediate_size", defaults.Sizes?.MlpSize));
        var vocabulary = Size("vocab_size", defaults.Sizes?.Vocabulary);
        var epsilon = config.Number("rms_norm_eps", defaults.Epsilon);
        var activationName = config.Text("hidden_act", "silu");
        var activation = Activations.Parse(activationName) ?? throw config.Unsupported("hidden_act", activationName, Activations.Names);
        var names = defaults.Names;
        var attentionBias = !defaults.ProjectionBias && config.Flag(names.AttentionBias, defaults.AttentionBias);
        var projectionBias = defaults.ProjectionBias || attentionBias;
        var mlpBias = config.Flag("mlp_bias", false);
        var group = heads / keyHeads;
        var (q, kv) = (shape.Width(Site.Query), shape.Width(Site.Key));

        var embedding = weights.Get($"{prefix}{names.Embedding}.weight", vocabulary, width);
        var layers = Enumerable.Range(0, shape.Layers).Select(i =>
        {
            var at = $"{prefix}layers.{i}.";
            Linear Project(string name, int outputs, int inputs, bool bias) =>
                new(weights.Get($"{at}{name}.weight", outputs, inputs), bias ? weights.Get($"{at}{name}.bias", outputs) : null);
            Linear Fused(int from, int count)
            {
                var every = (group + 2) * shape.HeadSize;
                var (weight, bias) = (weights.Get($"{at}{names.Fused}.weight", q + 2 * kv, width),
                    projectionBias ? weights.Get($"{at}{names.Fused}.bias", q + 2 * kv) : null);
                return new Linear(weight.Blocks(from * shape.HeadSize, count * shape.HeadSize, every),
                    bias?.Blocks(from * shape.HeadSize, count * shape.HeadSize, every));
            }
            var attn = names.Fused is not null
                ? new AttentionWeights(Fused(0, group), Fused(group, 1), Fused(group + 1, 1),
                    Project(names.Output, width, q, attentionBias))
                : new AttentionWeights(
                    Project(names.Query, q, width, projectionBias), Project(names.Key, kv, width, projectionBias),
                    Project(names.Value, kv, width, projectionBias), Project(names.Output, width, q, attentionBias));
            var mlp = new MlpWeights(
                Project(names.Gate, shape.MlpSize, width, mlpBias), Project(names.Up, shape.MlpSize, width, mlpBias),
                Project(names.Down, width, shape.MlpSize, mlpBias), activation);
            return new DecoderLayer(
                i, shape, new Norm(weights.Get($"{at}{names.AttnNorm}.weight", width), null, epsilon), attn,
                new Norm(weights.Get($"{at}{names.MlpNorm}.weight", width), null, epsilon), mlp);
        }).ToArray();
        var head = weights.Has(headName) || !tied ? weights.Get(headName, vocabulary, width) : embedding;
        // Old checkpoints store the frequencies of the rotary embedding, which follow from the configuration.
        weights.MarkUnused(name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal));
        var rope = RopeSettings.Read(config, shape.HeadSize, defaults.Theta);
        int? longest = config.Has("max_position_embeddings") ? config.PositiveInt("max_position_embeddings") : null;
        return new Decoder(shape, embedding, rope, layers, new Norm(weights.Get(prefix + "norm.weight", width), null, epsilon),
            new Linear(head))
        {
            MaximumPositions = rope.Limit is { } limit && (longest is null || limit < longest) ? limit : longest,
        };
    }
}
