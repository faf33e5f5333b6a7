using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Sizes and switches of a Llama decoder, read from its configuration and validated.</summary>
internal sealed record LlamaSettings(DecoderShape Shape, int Vocabulary, double Epsilon, Activation Activation)
{
    /// <summary>Whether the projections to queries, keys and values have a bias.</summary>
    public bool ProjectionBias { get; private init; }

    /// <summary>Whether the output projection of attention has a bias.</summary>
    public bool OutputBias { get; private init; }

    /// <summary>Whether the projections of the MLP have a bias.</summary>
    public bool MlpBias { get; private init; }

    /// <summary>Reads <paramref name="config"/>.</summary>
    /// <param name="defaults">Values for absent keys.</param>
    /// <exception cref="InputException">A size is missing or does not divide another, or a feature is not supported.</exception>
    public static LlamaSettings Read(ConfigSection config, DecoderDefaults defaults)
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
        var attentionBias = !defaults.ProjectionBias && config.Flag(defaults.Names.AttentionBias, defaults.AttentionBias);
        return new LlamaSettings(shape, vocabulary, epsilon, activation)
        {
            ProjectionBias = defaults.ProjectionBias || attentionBias, OutputBias = attentionBias, MlpBias = config.Flag("mlp_bias", false),
        };
    }
}
