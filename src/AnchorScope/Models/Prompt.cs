using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>One conversation, ready to run: embeddings with the image features in their places, and what each position is.</summary>
/// <param name="Tokens">Token ids, each image token repeated as often as the picture has image tokens [pos].</param>
/// <param name="Coordinates">Rotary coordinate of each position [pos].</param>
/// <param name="Embeddings">Input of the first layer [pos, d_model].</param>
/// <param name="Spans">Positions of each part; parts that the prompt lacks are absent.</param>
/// <param name="Rendered">The text as the chat template rendered it, image placeholders unexpanded; empty when made from token ids.</param>
public sealed record Prompt(int[] Tokens, Coordinate[] Coordinates, float[] Embeddings, IReadOnlyDictionary<SpanKind, int[]> Spans, string Rendered)
{
    /// <summary>Where each position of the image span looks, in its order; empty when the sizes of the original pictures are not known.</summary>
    public IReadOnlyList<ImagePlace> Places { get; init; } = [];

    /// <summary>Number of positions.</summary>
    public int Length => Tokens.Length;

    /// <summary>Positions of one span, or none.</summary>
    public IReadOnlyList<int> Span(SpanKind kind) => Spans.TryGetValue(kind, out var positions) ? positions : [];

    /// <summary>Positions of a union of spans, sorted.</summary>
    public int[] Union(params IEnumerable<SpanKind> kinds) => [.. kinds.SelectMany(Span).Distinct().Order()];
}
