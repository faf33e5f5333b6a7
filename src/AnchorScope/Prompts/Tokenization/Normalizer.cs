using System.Text;

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
                // The one character whose lower case is two of them (SpecialCasing.txt).
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

/// <summary>The rewritings that normalisers and pre-tokenisers share.</summary>
internal static class Rewriting
{
    /// <summary>Puts text that has no origin in front; an empty piece stays empty.</summary>
    public static AlignedText Prepend(AlignedText text, string prefix)
    {
        if (text.Length == 0) return text;
        var result = new AlignedText.Builder(text.Length + prefix.Length);
        result.Append(prefix, text.StartOf(0), text.StartOf(0));
        result.Append(text, 0, text.Length);
        return result.Build();
    }

    /// <summary>
    /// Every unit of the content is aligned to the last character of the match that it replaces. So in the reference, where it decides
    /// whether a piece counts as the beginning of the text: one that begins with two replaced characters does not.
    /// </summary>
    public static AlignedText Replace(AlignedText text, IEnumerable<(int Start, int Length)> matches, string content)
    {
        AlignedText.Builder? result = null;
        var from = 0;
        foreach (var (start, length) in matches)
        {
            if (length == 0) continue; // nothing there that could be replaced
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
