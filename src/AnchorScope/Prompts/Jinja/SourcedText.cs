using System.Text;

namespace AnchorScope.Prompts.Jinja;

/// <summary>
/// The origin of a range: <c>Text[Start..Start+Length]</c> is <c>[SourceStart..SourceStart+Length]</c> of text part <c>Part</c> of message
/// <c>Message</c>.
/// </summary>
internal readonly record struct SourceSpan(int Start, int Length, int Message, int Part, int SourceStart)
{
    public int End => Start + Length;
}

/// <summary>A string of the template language that records which of its characters came from which text part.</summary>
/// <remarks>
/// Spans are in ascending order and disjoint. An empty span marks the position of an empty text, or of a text of which nothing is left.
/// </remarks>
internal sealed class SourcedText
{
    public static readonly SourcedText Empty = new("");

    private readonly IReadOnlyList<SourceSpan> spans;

    public SourcedText(string text) : this(text, [])
    {
    }

    private SourcedText(string text, IReadOnlyList<SourceSpan> spans) => (Text, this.spans) = (text, spans);

    public string Text { get; }

    public int Length => Text.Length;

    public IReadOnlyList<SourceSpan> Spans => spans;

    /// <summary>The text of one part, with itself as its origin.</summary>
    public static SourcedText OfPart(string text, int message, int part) => new(text, [new(0, text.Length, message, part, 0)]);

    public SourcedText Slice(int start, int length)
    {
        if (length == Length) return this;
        var end = start + length;
        var kept = new List<SourceSpan>();
        foreach (var span in spans)
        {
            var (low, high) = (Math.Max(span.Start, start), Math.Min(span.End, end));
            // An empty overlap is kept only if the span or the slice is empty. Otherwise they merely touch.
            if (high > low || (high == low && (span.Length == 0 || length == 0)))
                kept.Add(span with { Start = low - start, Length = high - low, SourceStart = span.SourceStart + low - span.Start });
        }
        return new(Text.Substring(start, length), kept);
    }

    /// <summary>Replaces the characters one for one, for instance by another case. If the length differs, the origins are lost.</summary>
    public SourcedText WithText(string text) => new(text, text.Length == Length ? spans : []);

    public SourcedText Trim(Func<char, bool> drop, bool left = true, bool right = true)
    {
        var (start, end) = (0, Length);
        if (left)
            while (start < end && drop(Text[start])) start++;
        if (right)
            while (end > start && drop(Text[end - 1])) end--;
        return Slice(start, end - start);
    }

    public static SourcedText Concat(params IEnumerable<SourcedText> parts)
    {
        var builder = new Builder();
        foreach (var part in parts) builder.Append(part);
        return builder.Build();
    }

    public override string ToString() => Text;

    /// <summary>Concatenates texts. Consecutive spans are merged.</summary>
    public sealed class Builder
    {
        private readonly StringBuilder text = new();
        private readonly List<SourceSpan> spans = [];

        public int Length => text.Length;

        public void Append(SourcedText part)
        {
            foreach (var span in part.spans)
            {
                var moved = span with { Start = span.Start + text.Length };
                if (spans.Count > 0 && Continues(spans[^1], moved)) spans[^1] = spans[^1] with { Length = spans[^1].Length + moved.Length };
                else spans.Add(moved);
            }
            text.Append(part.Text);
        }

        public SourcedText Build() => new(text.ToString(), spans);

        private static bool Continues(SourceSpan first, SourceSpan second) =>
            first.Length > 0 && second.Length > 0 && first.End == second.Start && first.Message == second.Message &&
            first.Part == second.Part && first.SourceStart + first.Length == second.SourceStart;
    }
}
