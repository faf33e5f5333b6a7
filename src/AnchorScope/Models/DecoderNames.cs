namespace AnchorScope.Models;

/// <summary>
/// Tensor names of a family of Llama decoders, without <c>.weight</c>. Names of a layer's tensors follow <c>layers.N.</c>
/// </summary>
/// <param name="Embedding">Token embeddings.</param>
/// <param name="AttnNorm">Norm before attention.</param>
/// <param name="MlpNorm">Norm before the MLP.</param>
/// <param name="Fused">One projection of queries, keys and values; null if there are three.</param>
/// <param name="Output">o_proj.</param>
/// <param name="AttentionBias">Configuration key that gives all projections of attention a bias.</param>
internal sealed record DecoderNames(
    string Embedding, string AttnNorm, string MlpNorm, string? Fused, string Query, string Key, string Value, string Output, string Gate, string Up, string Down, string AttentionBias)
{
    /// <summary>Llama and Qwen2.</summary>
    public static DecoderNames Llama { get; } = new(
        "embed_tokens", "input_layernorm", "post_attention_layernorm", null, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "attention_bias");

    /// <summary>
    /// InternLM2. Its fused projection is ordered by groups: the query heads that share a key/value head, then that key head, then that
    /// value head.
    /// </summary>
    public static DecoderNames InternLm2 { get; } = new(
        "tok_embeddings", "attention_norm", "ffn_norm", "attention.wqkv", "", "", "", "attention.wo", "feed_forward.w1", "feed_forward.w3", "feed_forward.w2", "bias");
}
