using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>An attention route between parts of a prompt: what queries in <paramref name="To"/> read from keys in <paramref name="From"/>.</summary>
/// <param name="Name">As in files and figures, "image->instruction".</param>
/// <param name="From">Spans of the keys, as a union.</param>
/// <param name="To">Spans of the queries, as a union.</param>
internal sealed record Edge(string Name, IReadOnlyList<SpanKind> From, IReadOnlyList<SpanKind> To)
{
    /// <summary>
    /// The routes of the published figures and those that a relay can take besides. <paramref name="instruction"/> is what counts as
    /// instruction; figures and text of the paper leave open whether the question belongs to it.
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

    /// <summary>Whether the prompt has this edge: both parts, and a query that does not come before all keys.</summary>
    public bool Exists(Prompt prompt) => prompt.Union(From) is [var first, ..] && prompt.Union(To) is [.., var last] && first <= last;

    /// <summary>The knockout of this edge in <paramref name="layers"/>, or null where the prompt has no such edge (a part is missing, or comes later).</summary>
    /// <param name="heads">Null: all.</param>
    public Intervention? Cut(Prompt prompt, string name, IEnumerable<int> layers, IReadOnlyList<int>? heads = null) =>
        Exists(prompt) ? Intervention.Knockout(name, layers, Positions.Of(prompt.Union(To)), Positions.Of(prompt.Union(From)), heads) : null;
}
