using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Reads a Llama decoder (RMSNorm, rotary embedding, grouped-query attention, SwiGLU) out of a checkpoint.</summary>
public static class Llama
{
    /// <summary>
    /// The decoder that <paramref name="config"/> (text_config) describes. Absent keys have the reference's defaults, which is what
    /// the published LLaVA-1.5 configurations rely on.
    /// </summary>
    /// <param name="prefix">What stands before <c>layers.0.…</c>, <c>embed_tokens</c> and <c>norm</c>.</param>
    /// <param name="headName">Name of the output head; when the checkpoint has none and ties it, the embedding serves.</param>
    public static Decoder Read(ConfigSection config, Weights weights, string prefix, string headName, bool tied)
    {
        var width = config.PositiveInt("hidden_size", 4096);
        var heads = config.PositiveInt("num_attention_heads", 32);
        var keyHeads = config.PositiveInt("num_key_value_heads", heads);
        if (!config.Has("head_dim") && width % heads != 0)
            throw InputException.At(config.File, $"{config.Path}.num_attention_heads", $"a divisor of hidden_size {width}", $"{heads}");
        if (heads % keyHeads != 0)
            throw InputException.At(config.File, $"{config.Path}.num_key_value_heads", $"a divisor of num_attention_heads {heads}", $"{keyHeads}");
        var shape = new DecoderShape(
            config.PositiveInt("num_hidden_layers", 32), heads, keyHeads, config.PositiveInt("head_dim", width / heads), width, config.PositiveInt("intermediate_size", 11008));
        var vocabulary = config.PositiveInt("vocab_size", 32000);
        var epsilon = config.Number("rms_norm_eps", 1e-6);
        var activationName = config.Text("hidden_act", "silu");
        var activation = Activations.Parse(activationName) ?? throw config.Unsupported("hidden_act", activationName, Activations.Names);
        var attentionBias = config.Flag("attention_bias", false);
        var mlpBias = config.Flag("mlp_bias", false);
        var (q, kv) = (shape.Width(Site.Query), shape.Width(Site.Key));

        var embedding = weights.Get(prefix + "embed_tokens.weight", vocabulary, width);
        var layers = Enumerable.Range(0, shape.Layers).Select(i =>
        {
            var at = $"{prefix}layers.{i}.";
            Linear Project(string name, int outputs, int inputs, bool bias) =>
                new(weights.Get($"{at}{name}.weight", outputs, inputs), bias ? weights.Get($"{at}{name}.bias", outputs) : null);
            var attn = new AttentionWeights(
                Project("self_attn.q_proj", q, width, attentionBias), Project("self_attn.k_proj", kv, width, attentionBias),
                Project("self_attn.v_proj", kv, width, attentionBias), Project("self_attn.o_proj", width, q, attentionBias));
            var mlp = new MlpWeights(
                Project("mlp.gate_proj", shape.MlpSize, width, mlpBias), Project("mlp.up_proj", shape.MlpSize, width, mlpBias),
                Project("mlp.down_proj", width, shape.MlpSize, mlpBias), activation);
            return new DecoderLayer(
                i, shape, new Norm(weights.Get(at + "input_layernorm.weight", width), null, epsilon), attn,
                new Norm(weights.Get(at + "post_attention_layernorm.weight", width), null, epsilon), mlp);
        }).ToArray();
        var head = weights.Has(headName) || !tied ? weights.Get(headName, vocabulary, width) : embedding;
        // Old checkpoints store the frequencies of the rotary embedding, which follow from the configuration.
        weights.MarkUnused(name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal));
        return new Decoder(shape, embedding, new Rope(shape.HeadSize, RopeTheta(config)), layers, new Norm(weights.Get(prefix + "norm.weight", width), null, epsilon), new Linear(head));
    }

    private static double RopeTheta(ConfigSection config)
    {
        foreach (var key in new[] { "rope_scaling", "rope_parameters" })
        {
            if (config.SectionOrNull(key) is not { } rope) continue;
            var type = rope.Text("rope_type", rope.Text("type", "default"));
            if (type != "default") throw rope.Unsupported(rope.Has("rope_type") ? "rope_type" : "type", type, ["default"]);
            if (rope.Has("rope_theta")) return rope.Number("rope_theta");
        }
        return config.Number("rope_theta", 10000);
    }
}
