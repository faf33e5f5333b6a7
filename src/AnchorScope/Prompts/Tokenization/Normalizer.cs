using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>A step of tokenizer.json's <c>normalizer</c>: rewrites a piece of text between two added tokens.</summary>
internal abstract class Normalizer
{
    public abstract AlignedText Apply(AlignedText text);

    public static Normalizer Read(JsonField field) => field.Get("type").Text() switch
    {
        "Sequence" => new InSequence([.. field.Get("normalizers").Items().Select(Read)]),
        "Prepend" => new Prepend(field.Get("prepend").Text()),
        "Replace" => new Replace(new Pattern(field.Get("pattern")), field.Get("content").Text()),
        "NFC" => new Unicode(compose: true, compatibility: false),
        "NFD" => new Unicode(compose: false, compatibility: false),
        "NFKC" => new Unicode(compose: true, compatibility: true),
        "NFKD" => new Unicode(compose: false, compatibility: true),
        "Lowercase" => new Lowercase(),
        "Strip" => new Strip(field.Flag("strip_left", true), field.Flag("strip_right", true)),
        _ => throw field.Get("type").Unsupported("normalizers Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip"),
    };

    private sealed class InSequence(Normalizer[] steps) : Normalizer
    {
        public override AlignedText Apply(AlignedText text) => steps.Aggregate(text, (current, step) => step.Apply(current));
    }

    private sealed class Prepend(string prefix) : Normalizer
    {
        public override AlignedText Apply(AlignedText text) => Rewriting.Prepend(text, prefix);
    }

    private sealed class Replace(Pattern pattern, string content) : Normalizer
    {
        public override AlignedText Apply(AlignedText text) => Rewriting.Replace(text, pattern.Matches(text.Text), content);
    }

    private sealed class Unicode(bool compose, bool compatibility) : Normalizer
    {
        private readonly UnicodeNormalization form = UnicodeNormalization.Form(compose, compatibility);

        public override AlignedText Apply(AlignedText text) => form.Apply(text);
    }

    private sealed class Lowercase : Normalizer
    {
        public override AlignedText Apply(AlignedText text)
        {
            var result = new AlignedText.Builder(text.Length);
            for (int i = 0, length; i < text.Length; i += length)
            {
                var rune = Rune.GetRuneAt(text.Text, i);
                length = rune.Utf16SequenceLength;
                // The only character whose lower case has two characters (SpecialCasing.txt).
                var lower = rune.Value == 0x130 ? "i\u0307" : Rune.ToLowerInvariant(rune).ToString();
                result.Append(lower, text.StartOf(i), text.EndOf(i + length - 1));
            }
            return result.Build();
        }
    }

    private sealed class Strip(bool left, bool right) : Normalizer
    {
        public override AlignedText Apply(AlignedText text)
        {
            var start = left ? text.Length - text.Text.TrimStart().Length : 0;
            var end = right ? text.Text.TrimEnd().Length : text.Length;
            return text.Slice(start, Math.Max(0, end - start));
        }
    }
}

/// <summary>Text replacements that normalisers and pre-tokenisers share.</summary>
internal static class Rewriting
{
    /// <summary>Inserts text without an origin at the beginning; an empty piece remains empty.</summary>
    public static AlignedText Prepend(AlignedText text, string prefix)
    {
        if (text.Length == 0) return text;
        var result = new AlignedText.Builder(text.Length + prefix.Length);
        result.Append(prefix, text.StartOf(0), text.StartOf(0));
        result.Append(text, 0, text.Length);
        return result.Build();
    }

    /// <summary>
    /// Replaces matches. Every unit of the content is aligned to the last character of the match it replaces, as in the reference, where
    /// this decides whether a piece counts as the beginning of the text: one that begins with two replaced characters does not.
    /// </summary>
    public static AlignedText Replace(AlignedText text, IEnumerable<(int Start, int Length)> matches, string content)
    {
        AlignedText.Builder? result = null;
        var from = 0;
        foreach (var (start, length) in matches)
        {
            if (length == 0) continue; // nothing to replace
            result ??= new(text.Length);
            result.Append(text, from, start - from);
            var last = start + length - (length > 1 && char.IsLowSurrogate(text.Text[start + length - 1]) ? 2 : 1);
            result.Append(content, text.StartOf(last), text.EndOf(start + length - 1));
            from = start + length;
        }
        if (result is null) return text;
        result.Append(text, from, text.Length - from);
        return result.Build();
    }
}
