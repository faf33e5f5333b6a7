using AnchorScope.Prompts;

namespace AnchorScope.Models;

/// <summary>Assigns a range of characters in a message's text part to a span.</summary>
/// <param name="Message">Index of the message.</param>
/// <param name="Part">Index of the part in the message's content.</param>
/// <param name="Start">First character.</param>
/// <param name="Length">Number of characters.</param>
/// <param name="Kind">The span.</param>
public sealed record TextLabel(int Message, int Part, int Start, int Length, SpanKind Kind);

/// <summary>Finds spans from the offsets of the rendered parts. It never searches for text, which may occur more than once.</summary>
internal static class SpanFinder
{
    /// <summary>
    /// The span of every character of the rendered text; null between parts. Characters after the last part belong to the suffix.
    /// </summary>
    public static SpanKind?[] Characters(RenderedPrompt rendered, IReadOnlyList<TextLabel> labels)
    {
        var kinds = new SpanKind?[rendered.Text.Length];
        foreach (var part in rendered.Parts)
        {
            foreach (var label in labels.Where(l => l.Message == part.Message && l.Part == part.Part))
            {
                var from = Math.Max(label.Start, part.SourceStart);
                var to = Math.Min(label.Start + label.Length, part.SourceStart + part.Length);
                for (var i = from; i < to; i++) kinds[part.Start + i - part.SourceStart] = label.Kind;
            }
        }
        var end = rendered.Parts.Count == 0 ? kinds.Length : rendered.Parts.Max(p => p.Start + p.Length);
        for (var i = end; i < kinds.Length; i++) kinds[i] = SpanKind.Suffix;
        foreach (var label in labels)
        {
            var kept = rendered.Parts.Where(p => p.Message == label.Message && p.Part == label.Part)
                .Sum(
                    p => Math.Max(
                        0, Math.Min(label.Start + label.Length, p.SourceStart + p.Length) - Math.Max(label.Start, p.SourceStart)));
            if (label.Length > 0 && kept == 0)
                throw new InputException(
                    $"chat template: the {EnumName.Of(label.Kind)} part of message {label.Message} does not come out of the "
                        + "template as it went in, so its tokens cannot be located");
        }
        return kinds;
    }

    /// <summary>
    /// A token belongs to the span of its last labelled character. Tokens of separators and of template text belong to none.
    /// </summary>
    public static SpanKind? OfToken(SpanKind?[] kinds, int start, int end)
    {
        for (var i = end - 1; i >= start; i--)
        {
            if (kinds[i] is { } kind) return kind;
        }
        return null;
    }

    /// <summary>Positions by span; the final position is also <see cref="SpanKind.Last"/>.</summary>
    public static Dictionary<SpanKind, int[]> Positions(IReadOnlyList<SpanKind?> tokens)
    {
        var spans = tokens.Select((kind, position) => (kind, position)).Where(t => t.kind is not null)
            .GroupBy(t => t.kind!.Value).ToDictionary(g => g.Key, g => g.Select(t => t.position).ToArray());
        spans[SpanKind.Last] = [tokens.Count - 1];
        return spans;
    }
}
