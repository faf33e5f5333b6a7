using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>A piece of text with the range of the original text that each UTF-16 unit came from.</summary>
/// <remarks>Neither end of the ranges decreases along the text. A unit that was inserted by a normaliser has an empty range.</remarks>
internal sealed class AlignedText
{
    // Without arrays, unit i came from original unit shift + i. With them, entry shift + i is its range.
    private readonly int[]? starts;
    private readonly int[]? ends;
    private readonly int shift;

    private AlignedText(string text, int[]? starts, int[]? ends, int shift) =>
        (Text, this.starts, this.ends, this.shift) = (text, starts, ends, shift);

    public string Text { get; }

    public int Length => Text.Length;

    /// <summary>The whole original text, with unpaired surrogates replaced by U+FFFD.</summary>
    public static AlignedText Original(string text) => new(WithoutLoneSurrogates(text), null, null, 0);

    public int StartOf(int unit) => starts is null ? shift + unit : starts[shift + unit];

    public int EndOf(int unit) => ends is null ? shift + unit + 1 : ends[shift + unit];

    public AlignedText Slice(int start, int length) =>
        length == Text.Length ? this : new(Text.Substring(start, length), starts, ends, shift + start);

    private static string WithoutLoneSurrogates(string text)
    {
        char[]? repaired = null;
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i])) continue;
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1])) i++;
            else (repaired ??= text.ToCharArray())[i] = '\uFFFD';
        }
        return repaired is null ? text : new string(repaired);
    }

    /// <summary>Collects units and their ranges from left to right.</summary>
    public sealed class Builder
    {
        private readonly StringBuilder text;
        private readonly List<int> starts;
        private readonly List<int> ends;

        public Builder(int capacity) => (text, starts, ends) = (new(capacity), new(capacity), new(capacity));

        public void Append(char unit, int start, int end)
        {
            text.Append(unit);
            starts.Add(start);
            ends.Add(end);
        }

        public void Append(ReadOnlySpan<char> units, int start, int end)
        {
            foreach (var unit in units) Append(unit, start, end);
        }

        /// <summary>Copies units of <paramref name="source"/> with their ranges.</summary>
        public void Append(AlignedText source, int from, int length)
        {
            for (var i = from; i < from + length; i++) Append(source.Text[i], source.StartOf(i), source.EndOf(i));
        }

        public AlignedText Build() => new(text.ToString(), [.. starts], [.. ends], 0);
    }
}
