namespace AnchorScope.Models;

/// <summary>What a family of Llama decoders calls its tensors, each without <c>.weight</c>; those of a layer stand behind <c>layers.N.</c></summary>
/// <param name="Embedding">Token embeddings.</param>
/// <param name="AttnNorm">Norm in front of attention.</param>
/// <param name="MlpNorm">Norm in front of the MLP.</param>
/// <param name="Fused">Queries, keys and values in one projection, or null where there are three.</param>
/// <param name="Output">o_proj.</param>
/// <param name="AttentionBias">Key of the configuration that gives all projections of attention a bias.</param>
internal sealed record DecoderNames(
    string Embedding, string AttnNorm, string MlpNorm, string? Fused, string Query, string Key, string Value, string Output, string Gate, string Up, string Down, string AttentionBias)
{
    /// <summary>Those of Llama and Qwen2.</summary>
    public static DecoderNames Llama { get; } = new(
        "embed_tokens", "input_layernorm", "post_attention_layernorm", null, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "attention_bias");

    /// <summary>
    /// Those of InternLM2. Its fused projection goes by groups: the queries that share a key and value head, that key head, that value head.
    /// </summary>
    public static DecoderNames InternLm2 { get; } = new(
        "tok_embeddings", "attention_norm", "ffn_norm", "attention.wqkv", "", "", "", "attention.wo", "feed_forward.w1", "feed_forward.w3", "feed_forward.w2", "bias");
}
