using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>A step of tokenizer.json's <c>pre_tokenizer</c>: splits a piece into words that the model encodes separately.</summary>
internal abstract class PreTokenizer
{
    // Rust's word characters: those of bracket expressions, and the two joiners.
    private const string WordCharacters = @"\w\u200C\u200D";

    public abstract IEnumerable<AlignedText> Apply(AlignedText piece);

    public static PreTokenizer Read(JsonField field) => field.Get("type").Text() switch
    {
        "Sequence" => new InSequence([.. field.Get("pretokenizers").Items().Select(Read)]),
        "Whitespace" => new ByPattern(new Pattern($"[{WordCharacters}]+|[^{WordCharacters}\\s]+"), Cut.Removed, invert: true),
        "WhitespaceSplit" => new ByClass(CharacterClass.IsWhiteSpace, Cut.Removed),
        "Digits" => new ByClass(CharacterClass.IsNumeric, field.Flag("individual_digits", false) ? Cut.Isolated : Cut.Contiguous),
        "Punctuation" => new ByClass(CharacterClass.IsPunctuation, field.Find("behavior") is { } cut ? Behaviour(cut) : Cut.Isolated),
        "Split" => new ByPattern(new Pattern(field.Get("pattern")), Behaviour(field.Get("behavior")), field.Flag("invert", false)),
        "Metaspace" => Metaspace.Of(field),
        "ByteLevel" => new Bytes(field.Flag("add_prefix_space", true), field.Flag("use_regex", true)),
        _ => throw field.Get("type").Unsupported(
            "pre-tokenizers Sequence, Whitespace, WhitespaceSplit, Digits, Punctuation, Split, Metaspace, ByteLevel"),
    };

    private static Cut Behaviour(JsonField field) => field.Text() switch
    {
        "Removed" => Cut.Removed,
        "Isolated" => Cut.Isolated,
        "MergedWithPrevious" => Cut.MergedWithPrevious,
        "MergedWithNext" => Cut.MergedWithNext,
        "Contiguous" => Cut.Contiguous,
        _ => throw field.Unsupported("behaviours Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous"),
    };

    private sealed class InSequence(PreTokenizer[] steps) : PreTokenizer
    {
        public override IEnumerable<AlignedText> Apply(AlignedText piece) =>
            steps.Aggregate((IEnumerable<AlignedText>)[piece], (pieces, step) => pieces.SelectMany(step.Apply));
    }

    private sealed class ByPattern(Pattern pattern, Cut cut, bool invert) : PreTokenizer
    {
        public override IEnumerable<AlignedText> Apply(AlignedText piece) =>
            Cutting.Apply(piece, pattern.Matches(piece.Text), cut, invert);
    }

    private sealed class ByClass(Func<Rune, bool> isDelimiter, Cut cut) : PreTokenizer
    {
        public override IEnumerable<AlignedText> Apply(AlignedText piece) =>
            Cutting.Apply(piece, Delimiters(piece.Text), cut, invert: false);

        private IEnumerable<(int Start, int Length)> Delimiters(string text)
        {
            for (int i = 0, length; i < text.Length; i += length)
            {
                var rune = Rune.GetRuneAt(text, i);
                length = rune.Utf16SequenceLength;
                if (isDelimiter(rune)) yield return (i, length);
            }
        }
    }

    /// <summary>Replaces spaces by a visible character, adds one before a word, and may split there.</summary>
    private sealed class Metaspace(string mark, string scheme, bool split) : PreTokenizer
    {
        public static Metaspace Of(JsonField field)
        {
            var mark = field.Get("replacement");
            if (mark.Text().EnumerateRunes().Count() != 1) throw mark.Expected("one character");
            var scheme = "always";
            if (field.Find("prepend_scheme") is { } given)
            {
                scheme = given.Text();
                if (scheme is not ("always" or "first" or "never")) throw given.Unsupported("schemes always, first, never");
            }
            if (!field.Flag("add_prefix_space", true)) scheme = "never"; // the older spelling
            return new(mark.Text(), scheme, field.Flag("split", true));
        }

        public override IEnumerable<AlignedText> Apply(AlignedText piece)
        {
            if (piece.Length == 0) return [];
            var prepend = scheme == "always" || (scheme == "first" && piece.StartOf(0) == 0);
            var marked = Rewriting.Replace(piece, Occurrences(piece.Text, " "), mark);
            if (prepend && !marked.Text.StartsWith(mark, StringComparison.Ordinal)) marked = Rewriting.Prepend(marked, mark);
            return split ? Cutting.Apply(marked, Occurrences(marked.Text, mark), Cut.MergedWithNext, invert: false) : [marked];
        }

        private static IEnumerable<(int Start, int Length)> Occurrences(string text, string wanted)
        {
            for (var at = text.IndexOf(wanted, StringComparison.Ordinal); at >= 0;
                 at = text.IndexOf(wanted, at + wanted.Length, StringComparison.Ordinal))
                yield return (at, wanted.Length);
        }
    }

    /// <summary>
    /// Byte-level BPE: splits into words if requested, then writes each byte of the UTF-8 encoding as one printable character.
    /// </summary>
    private sealed class Bytes(bool prefixSpace, bool cutWords) : PreTokenizer
    {
        // The expression of GPT-2, which use_regex refers to.
        private readonly Pattern words = new(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");

        public override IEnumerable<AlignedText> Apply(AlignedText piece)
        {
            if (prefixSpace && !piece.Text.StartsWith(' ')) piece = Rewriting.Prepend(piece, " ");
            var pieces = cutWords ? Cutting.Apply(piece, words.Matches(piece.Text), Cut.Isolated, invert: false) : [piece];
            return pieces.Select(ByteAlphabet.Write);
        }
    }
}
