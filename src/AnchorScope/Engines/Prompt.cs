using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Engines;

/// <summary>One conversation, ready to run: embeddings that include the image features, and the span of each position.</summary>
/// <param name="Tokens">Token ids, with one image token per image feature [pos].</param>
/// <param name="Coordinates">Rotary coordinate of each position [pos].</param>
/// <param name="Embeddings">Input of the first layer [pos, d_model], row-major.</param>
/// <param name="Spans">Positions of each span; spans that the prompt lacks are absent.</param>
/// <param name="Rendered">The text rendered by the chat template, with unexpanded image placeholders; empty for a prompt made from token
/// ids.</param>
public sealed record Prompt(
    int[] Tokens, Coordinate[] Coordinates, float[] Embeddings, IReadOnlyDictionary<SpanKind, int[]> Spans, string Rendered)
{
    /// <summary>
    /// The region of the picture that each position of the image span covers, in its order; empty if the sizes of the original pictures are
    /// unknown.
    /// </summary>
    public IReadOnlyList<ImagePlace> Places { get; init; } = [];

    /// <summary>
    /// Edits that are applied in every run of this prompt, before the run's own edits. They make up the steered model that is studied.
    /// </summary>
    public Intervention Steering { get; init; } = Intervention.None;

    /// <summary>
    /// Number of tokens of the rendered text, without image tokens and the tokens around them; 0 for a prompt made from token ids.
    /// </summary>
    public int TextTokens { get; init; }

    /// <summary>How many of <see cref="TextTokens"/> are the tokenizer's unknown token: text that the model cannot read.</summary>
    public int UnknownTokens { get; init; }

    /// <summary>Warnings about the text, one line each: content that was converted, lost or unknown.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Number of positions.</summary>
    public int Length => Tokens.Length;

    /// <summary>
    /// The highest rotary coordinate plus one: the coordinate of the first generated token. It is below <see cref="Length"/> if the tokens
    /// of a picture share coordinates.
    /// </summary>
    public int RotaryLength => Coordinates.Max(c => c.Highest) + 1;

    /// <summary>Index of the last position, where the next token is read.</summary>
    public int Last => Length - 1;

    /// <summary>Positions of one span, for an edit.</summary>
    /// <exception cref="InputException">The prompt has no such part.</exception>
    public Positions Positions(SpanKind kind)
    {
        if (kind == SpanKind.Last) return Interventions.Positions.Of(Last);
        var found = Span(kind);
        return found.Count > 0 ? Interventions.Positions.Of(found)
            : throw InputException.At("prompt", "spans", $"a part of kind {EnumName.Of(kind)}",
                Spans.Count == 0 ? "none" : string.Join(", ", Spans.Keys.Order().Select(EnumName.Of)));
    }

    /// <summary>Positions of one span; empty if the prompt lacks it.</summary>
    public IReadOnlyList<int> Span(SpanKind kind) => Spans.TryGetValue(kind, out var positions) ? positions : [];

    /// <summary>All edits of a run: those of <see cref="Steering"/>, then its own.</summary>
    /// <param name="own">The run's own intervention.</param>
    public Intervention Steered(Intervention own) =>
        Steering.Edits.Count == 0 ? own : own with { Edits = [.. Steering.Edits, .. own.Edits] };

    /// <summary>
    /// Like <see cref="Steered(Intervention)"/>, for a run that starts from activations of a recorded run of this prompt. Steering that
    /// these activations already contain is left out.
    /// </summary>
    /// <param name="layer">Layer at which the run starts.</param>
    /// <param name="afterAttention">Whether it starts from that layer's head outputs instead of the residual stream before the
    /// layer.</param>
    internal Intervention Steered(Intervention own, int layer, bool afterAttention)
    {
        if (Steering.Edits.Count == 0) return own;
        var done = afterAttention ? Site.HeadOut : Site.ResidPre;
        return own with
            { Edits = [.. Steering.Edits.Where(e => e.Layer > layer || (e.Layer == layer && done.IsBefore(e.Site))), .. own.Edits] };
    }

    /// <summary>
    /// The first <paramref name="count"/> positions as a separate prompt, which prompts with the same beginning can share.
    /// </summary>
    public Prompt Prefix(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length);
        var spans = Spans.Select(span => (span.Key, Positions: span.Value.Where(p => p < count).ToArray()))
            .Where(span => span.Positions.Length > 0);
        return new Prompt(Tokens[..count], Coordinates[..count], Embeddings[..(Embeddings.Length / Length * count)],
            spans.ToDictionary(s => s.Key, s => s.Positions), "");
    }

    /// <summary>Positions of a union of spans, sorted.</summary>
    public int[] Union(params IEnumerable<SpanKind> kinds) => [.. kinds.SelectMany(Span).Distinct().Order()];
}
