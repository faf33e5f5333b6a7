namespace AnchorScope.Models;

/// <summary>The reference library's values for absent keys of a decoder's configuration.</summary>
/// <param name="Sizes">Layers, heads, width, MLP width and vocabulary; null if these keys are required, as they are present in every
/// published file.</param>
/// <param name="Epsilon">rms_norm_eps.</param>
/// <param name="Theta">Base of the rotary embedding.</param>
/// <param name="ProjectionBias">Whether queries, keys and values have a bias and the output has none, whatever attention_bias is.</param>
internal sealed record DecoderDefaults(DecoderDefaults.Shape? Sizes, double Epsilon, double Theta, bool ProjectionBias)
{
    /// <summary>Names of the tensors.</summary>
    public DecoderNames Names { get; init; } = DecoderNames.Llama;

    /// <summary>Whether all projections of attention have a bias when the key is absent.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Llama. The published LLaVA-1.5 configurations rely on these values.</summary>
    public static DecoderDefaults Llama { get; } = new(new Shape(32, 32, 4096, 11008, 32000), 1e-6, 10_000, false);

    /// <summary>Qwen2.</summary>
    public static DecoderDefaults Qwen2 { get; } = new(null, 1e-6, 10_000, true);

    /// <summary>InternLM2.</summary>
    public static DecoderDefaults InternLm2 { get; } =
        new(null, 1e-6, 10_000, false) { Names = DecoderNames.InternLm2, AttentionBias = true };

    /// <summary>Qwen2-VL and Qwen2.5-VL.</summary>
    public static DecoderDefaults Qwen2Vl { get; } = new(null, 1e-5, 1_000_000, true);

    /// <summary>Default sizes.</summary>
    public sealed record Shape(int Layers, int Heads, int Width, int MlpSize, int Vocabulary);
}
