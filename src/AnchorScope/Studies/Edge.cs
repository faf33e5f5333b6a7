using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// An attention edge between parts of a prompt: what queries in <paramref name="To"/> read from keys in <paramref name="From"/>.
/// </summary>
/// <param name="Name">Name in files and figures, for instance "image->instruction".</param>
/// <param name="From">Spans of the keys, as a union.</param>
/// <param name="To">Spans of the queries, as a union.</param>
internal sealed record Edge(string Name, IReadOnlyList<SpanKind> From, IReadOnlyList<SpanKind> To)
{
    /// <summary>
    /// The edges of the published figures, and further ones that a relay can use. <paramref name="instruction"/> lists the spans that count
    /// as the instruction; the paper leaves open whether the question is one of them.
    /// </summary>
    public static IReadOnlyList<Edge> Standard(IReadOnlyList<SpanKind> instruction)
    {
        SpanKind[] context = [SpanKind.Image, SpanKind.TextContext];
        return
        [
            new("text_context->instruction", [SpanKind.TextContext], instruction),
            new("image->instruction", [SpanKind.Image], instruction),
            new("image->text_context", [SpanKind.Image], [SpanKind.TextContext]),
            new("text_context->last", [SpanKind.TextContext], [SpanKind.Last]),
            new("image->last", [SpanKind.Image], [SpanKind.Last]),
            new("instruction->last", instruction, [SpanKind.Last]),
            new("question->instruction", [SpanKind.Question], [.. instruction.Where(s => s != SpanKind.Question)]),
            new("question->last", [SpanKind.Question], [SpanKind.Last]),
            new("context->instruction", context, instruction),
            new("context->last", context, [SpanKind.Last]),
            new("instruction->suffix", instruction, [SpanKind.Suffix]),
        ];
    }

    /// <summary>Whether the prompt has this edge: both parts, and a query that is not before all keys.</summary>
    public bool Exists(Prompt prompt) => prompt.Union(From) is [var first, ..] && prompt.Union(To) is [.., var last] && first <= last;

    /// <summary>
    /// The knockout of this edge in <paramref name="layers"/>; null if the prompt has no such edge (a part is missing, or the keys come
    /// later).
    /// </summary>
    /// <param name="heads">Heads; null for all.</param>
    public Intervention? Cut(Prompt prompt, string name, IEnumerable<int> layers, IReadOnlyList<int>? heads = null) =>
        Exists(prompt)
            ? Intervention.Knockout(name, layers, Positions.Of(prompt.Union(To)), Positions.Of(prompt.Union(From)), heads) : null;
}
