namespace AnchorScope.Models;

/// <summary>
/// Tensor names of a family of Llama decoders, without <c>.weight</c>. Names of a layer's tensors follow <c>layers.N.</c>
/// </summary>
internal sealed record DecoderNames
{
    /// <summary>Token embeddings.</summary>
    public required string Embedding { get; init; }

    /// <summary>Norm before attention.</summary>
    public required string AttnNorm { get; init; }

    /// <summary>Norm before the MLP.</summary>
    public required string MlpNorm { get; init; }

    /// <summary>One projection of queries, keys and values; null if there are three.</summary>
    public required string? Fused { get; init; }

    public required string Query { get; init; }

    public required string Key { get; init; }

    public required string Value { get; init; }

    /// <summary>o_proj.</summary>
    public required string Output { get; init; }

    public required string Gate { get; init; }

    public required string Up { get; init; }

    public required string Down { get; init; }

    /// <summary>Configuration key that gives all projections of attention a bias.</summary>
    public required string AttentionBias { get; init; }

    /// <summary>Llama and Qwen2.</summary>
    public static DecoderNames Llama { get; } = new DecoderNames
    {
        Embedding = "embed_tokens",
        AttnNorm = "input_layernorm",
        MlpNorm = "post_attention_layernorm",
        Fused = null,
        Query = "self_attn.q_proj",
        Key = "self_attn.k_proj",
        Value = "self_attn.v_proj",
        Output = "self_attn.o_proj",
        Gate = "mlp.gate_proj",
        Up = "mlp.up_proj",
        Down = "mlp.down_proj",
        AttentionBias = "attention_bias",
    };

    /// <summary>
    /// InternLM2. Its fused projection is ordered by groups: the query heads that share a key/value head, then that key head, then that
    /// value head.
    /// </summary>
    public static DecoderNames InternLm2 { get; } = new DecoderNames
    {
        Embedding = "tok_embeddings",
        AttnNorm = "attention_norm",
        MlpNorm = "ffn_norm",
        Fused = "attention.wqkv",
        Query = "",
        Key = "",
        Value = "",
        Output = "attention.wo",
        Gate = "feed_forward.w1",
        Up = "feed_forward.w3",
        Down = "feed_forward.w2",
        AttentionBias = "bias",
    };
}
