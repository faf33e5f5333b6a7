namespace AnchorScope.Models;

/// <summary>What the reference takes where a decoder's configuration is silent.</summary>
/// <param name="Sizes">Layers, heads, width, MLP width and vocabulary; null: they must be there, as they are in every published file.</param>
/// <param name="Epsilon">rms_norm_eps.</param>
/// <param name="Theta">Base of the rotary embedding.</param>
/// <param name="ProjectionBias">Queries, keys and values have a bias whatever attention_bias says, the output has none.</param>
internal sealed record DecoderDefaults(DecoderDefaults.Shape? Sizes, double Epsilon, double Theta, bool ProjectionBias)
{
    /// <summary>What the tensors are called.</summary>
    public DecoderNames Names { get; init; } = DecoderNames.Llama;

    /// <summary>Whether all projections of attention have a bias where the configuration does not say.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Llama's: the published LLaVA-1.5 configurations rely on them.</summary>
    public static DecoderDefaults Llama { get; } = new(new Shape(32, 32, 4096, 11008, 32000), 1e-6, 10_000, false);

    /// <summary>Qwen2's.</summary>
    public static DecoderDefaults Qwen2 { get; } = new(null, 1e-6, 10_000, true);

    /// <summary>InternLM2's.</summary>
    public static DecoderDefaults InternLm2 { get; } = new(null, 1e-6, 10_000, false) { Names = DecoderNames.InternLm2, AttentionBias = true };

    /// <summary>Those of Qwen2-VL and Qwen2.5-VL.</summary>
    public static DecoderDefaults Qwen2Vl { get; } = new(null, 1e-5, 1_000_000, true);

    /// <summary>Default sizes.</summary>
    public sealed record Shape(int Layers, int Heads, int Width, int MlpSize, int Vocabulary);
}
