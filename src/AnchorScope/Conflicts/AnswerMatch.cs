using System.Globalization;
using System.Text;
using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Conflicts;

/// <summary>The modality whose answer a generated text gives.</summary>
internal enum Verdict
{
    /// <summary>The instructed modality.</summary>
    Following,

    /// <summary>The other modality.</summary>
    Competing,

    /// <summary>Neither, or both.</summary>
    Neither,
}

/// <summary>Matches generated text with the answer dictionary by whole words, ignoring case, accents, punctuation and articles.</summary>
internal static class AnswerMatch
{
    private static readonly string[] Numbers =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

    // The tokenizer's tables are used, because without ICU string.Normalize returns every text unchanged.
    private static readonly UnicodeNormalization Decomposed = UnicodeNormalization.Form(compose: false, compatibility: true);

    private static readonly HashSet<string> Articles = new(StringComparer.Ordinal) { "a", "an", "the" };

    /// <summary>The verdict on <paramref name="text"/>. Text that contains answers of both sides follows neither.</summary>
    public static Verdict Judge(string text, ConflictRun run)
    {
        var words = Words(text);
        var following = run.Following.Any(answer => Holds(words, Words(answer)));
        var competing = run.Sample.Kind == SampleKind.Conflict && run.Competing.Any(answer => Holds(words, Words(answer)));
        return (following, competing) switch
        {
            (true, false) => Verdict.Following,
            (false, true) => Verdict.Competing,
            _ => Verdict.Neither,
        };
    }

    private static bool Holds(string[] words, string[] answer)
    {
        if (answer.Length == 0) return false;
        for (var i = 0; i + answer.Length <= words.Length; i++)
        {
            if (words.AsSpan(i, answer.Length).SequenceEqual(answer)) return true;
        }
        return false;
    }

    private static string[] Words(string text)
    {
        var plain = new StringBuilder();
        foreach (var c in Decomposed.Apply(AlignedText.Original(text)).Text)
        {
            var category = CharUnicodeInfo.GetUnicodeCategory(c);
            if (category is UnicodeCategory.NonSpacingMark) continue;
            // Ideographs have no spaces between words, so each is a word.
            if (c >= 0x3400) plain.Append(' ').Append(c).Append(' ');
            else plain.Append(char.IsLetterOrDigit(c) ? char.ToLowerInvariant(c) : ' ');
        }
        return [.. plain.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(w => !Articles.Contains(w)).Select(Number)];
    }

    private static string Number(string word) => int.TryParse(word, out var n) && n >= 0 && n < Numbers.Length ? Numbers[n] : word;
}
