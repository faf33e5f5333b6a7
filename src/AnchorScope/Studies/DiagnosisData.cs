using System.Collections.Concurrent;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.World;

namespace AnchorScope.Studies;

/// <summary>
/// The conflict sets of a diagnosis: one to rank heads, another to test them, and optionally harder samples and controls.
/// </summary>
internal sealed record DiagnosisData(string Folder, ConflictSet Rank, ConflictSet Test, ConflictSet? Hard,
    ConflictSet? Control, PromptLayout Layout)
{
    /// <summary>All sets, in the order they are run.</summary>
    public IReadOnlyList<ConflictSet> Sets => [.. new[] { Rank, Test, Hard, Control }.OfType<ConflictSet>()];

    /// <summary>All samples that were left out, with the reason.</summary>
    public IReadOnlyList<RejectedLine> Rejected => [.. Sets.SelectMany(s => s.Rejected).Distinct()];

    /// <summary>
    /// Reads rank.jsonl and test.jsonl (and hard.jsonl and control.jsonl if present). If the folder has only one .jsonl, its conflict
    /// samples are split into random halves.
    /// </summary>
    /// <param name="path">The folder, or a .jsonl that is split in the same way.</param>
    public static DiagnosisData Load(string path, int? limit, ulong seed)
    {
        if (File.Exists(path)) return Split(path, Path.GetDirectoryName(Path.GetFullPath(path))!, limit, seed);
        var folder = path;
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: there is no such data folder, and no such .jsonl");
        var layout = PromptLayout.Beside(folder);
        ConflictSet? Named(string name) =>
            File.Exists(Path.Combine(folder, name + ".jsonl")) ? ConflictSet.Load(Path.Combine(folder, name + ".jsonl"), limit) : null;
        if (Named("rank") is { } rank && Named("test") is { } test)
            return new DiagnosisData(folder, rank, test, Named("hard"), Named("control"), layout);
        var files = Directory.GetFiles(folder, "*.jsonl");
        if (files.Length != 1)
            throw InputException.At(folder, "files", "rank.jsonl and test.jsonl, or a single .jsonl",
                files.Length == 0 ? "none" : string.Join(", ", files.Select(Path.GetFileName).Order(StringComparer.Ordinal)));
        return Split(files[0], folder, limit, seed);
    }

    /// <summary>
    /// Splits the conflicts of one set into random halves, to rank heads on one and test them on the other. All other samples are controls.
    /// </summary>
    private static DiagnosisData Split(string file, string folder, int? limit, ulong seed)
    {
        var whole = ConflictSet.Load(file, limit * 2);
        var conflicts = whole.Samples.Where(s => s.Kind == SampleKind.Conflict).ToList();
        if (conflicts.Count < 2)
            throw InputException.At(file, "samples", "at least 2 conflicts, to rank heads on one half and test them on the other",
                $"{conflicts.Count}");
        var random = new SplitMix(seed);
        var shuffled = conflicts.Select(s => (s, key: random.Next())).OrderBy(p => p.key).Select(p => p.s).ToList();
        var half = conflicts.Count / 2;
        var controls = whole.Samples.Where(s => s.Kind != SampleKind.Conflict).ToList();
        return new DiagnosisData(
            folder, whole.Part("rank", shuffled[..half]), whole.Part("test", shuffled[half..]), null,
            controls.Count > 0 ? whole.Part("control", controls) : null, PromptLayout.Beside(folder));
    }

    /// <summary>Warnings about the samples' text: words that the vocabulary lacks, text that the chat template changes.</summary>
    public IReadOnlyList<string> Warnings { get; private init; } = [];

    /// <summary>
    /// Removes samples whose answers this model's tokenizer cannot distinguish, samples whose pictures cannot be decoded, and samples that
    /// are too long for the model, so that errors show before the first long computation.
    /// </summary>
    /// <param name="answerTokens">Number of tokens generated after each prompt.</param>
    public DiagnosisData Filter(VisionLanguageModel model, int answerTokens)
    {
        var sizes = new ConcurrentBag<PromptSize>();
        ConflictSet Kept(ConflictSet set) => Usable(set, model, Layout, answerTokens, sizes.Add);
        var kept = this with
            { Rank = Kept(Rank), Test = Kept(Test), Hard = Hard is null ? null : Kept(Hard),
                Control = Control is null ? null : Kept(Control) };
        kept.RequireParts();
        return kept with { Warnings = [.. kept.SetWarnings(), .. TextWarnings(model, sizes)] };
    }

    /// <summary>Throws if the template drops a part of a sample.</summary>
    private void RequireParts()
    {
        foreach (var (kind, name, isIn) in new (SpanKind, string, Func<ConflictSample, bool>)[]
        {
            (SpanKind.TextContext, "text_context", s => !string.IsNullOrEmpty(s.TextContext)),
            (SpanKind.Constraint, "constraint", s => !string.IsNullOrEmpty(s.Constraint)),
        })
        {
            if (Layout.Parts.Any(part => part.Kind == kind)) continue;
            if (Sets.SelectMany(set => set.Samples).FirstOrDefault(isIn) is { } lost)
                throw InputException.At(PromptLayout.FileBeside(Rank.File), "template", $"{{{name}}} among its parts, as {lost.Id} has one",
                    "none: the prompt would lose it");
        }
    }

    /// <summary>
    /// Removes samples with a part that none of the conflicts used for mean ablation has, because the mean for it would be missing.
    /// </summary>
    internal DiagnosisData WithKnownMeans(Definitions variants)
    {
        var means = Rank.Samples.Where(s => s.Kind == SampleKind.Conflict).Take(InterchangeStudy.ProfileSamples).ToList();
        var everywhere = variants.Ablation == AblationVariant.Mean;
        var known = Optional(everywhere).Where(part => means.Exists(s => part.IsIn(s))).Select(part => part.Name)
            .ToHashSet(StringComparer.Ordinal);
        ConflictSet Kept(ConflictSet set)
        {
            string? Unknown(ConflictSample sample) =>
                Optional(everywhere).FirstOrDefault(part => part.IsIn(sample) && !known.Contains(part.Name)).Name;
            var kept = set.Samples.Where(s => Unknown(s) is null).ToList();
            var left = set.Samples.Where(s => Unknown(s) is not null).Select(s => new RejectedLine(set.File, s.Line, s.Id,
                $"{Unknown(s)}: expected one in the first {means.Count} conflicts of the ranking set too, whose mean takes its "
                    + "place; found none")).ToList();
            if (left.Count == 0) return set;
            return kept.Count > 0
                ? set.With(kept, left)
                : throw new InputException(
                    $"{set.File}: no sample is left that can be used; line {left[^1].Line}, {left[^1].Id}: {left[^1].Reason}");
        }
        return this with
        {
            Rank = everywhere ? Kept(Rank) : Rank, Test = Kept(Test), Hard = everywhere && Hard is { } hard ? Kept(hard) : Hard,
            Control = everywhere && Control is { } control ? Kept(control) : Control,
        };
    }

    /// <summary>Optional parts of a sample at whose positions heads are removed.</summary>
    /// <param name="everywhere">Whether heads are removed in every phase, and edges too.</param>
    private static IEnumerable<(string Name, Func<ConflictSample, bool> IsIn)> Optional(bool everywhere)
    {
        yield return ("constraint", s => !string.IsNullOrEmpty(s.Constraint));
        if (!everywhere) yield break;
        yield return ("system", s => !string.IsNullOrEmpty(s.System));
        yield return ("image", s => s.Image is not null);
        yield return ("text_context", s => !string.IsNullOrEmpty(s.TextContext));
    }

    /// <summary>Warnings about the sets: samples in both the ranking and the test set, files that are not read.</summary>
    private IEnumerable<string> SetWarnings()
    {
        static object Content(ConflictSample s) =>
            (s.Image, s.TextContext, s.Question, s.Constraint, string.Join('\0', s.Instructions.OrderBy(i => i.Key).Select(i => i.Value)));
        var ranked = Rank.Samples.Select(Content).ToHashSet();
        var both = Test.Samples.Count(s => ranked.Contains(Content(s)));
        if (both > 0)
            yield return $"{Plural.Of(both, "test sample")} of {Test.Samples.Count} {(both == 1 ? "is" : "are")} in the ranking set, too: "
                + "heads would be tested on what they were ranked on";
        if (Rank.File == Test.File) yield break;
        // The world of the organism has further splits, which other commands use.
        var read = Sets.Select(set => Path.GetFileName(set.File))
            .Concat(Enum.GetNames<WorldSplit>().Select(name => name.ToLowerInvariant() + ".jsonl")).ToHashSet(StringComparer.Ordinal);
        string[] others = [.. Directory.GetFiles(Folder, "*.jsonl").Select(path => Path.GetFileName(path))
            .Where(name => !read.Contains(name)).Order(StringComparer.Ordinal)];
        if (others.Length > 0)
            yield return $"{Folder}: {string.Join(", ", others)} {(others.Length == 1 ? "is" : "are")} not read; the sets are rank, test, "
                + "hard and control";
    }

    /// <summary>Warnings about the text of all prompts: each template warning once, and the share of unknown tokens.</summary>
    internal static IReadOnlyList<string> TextWarnings(VisionLanguageModel model, IReadOnlyCollection<PromptSize> sizes)
    {
        var (unknown, text) = (sizes.Sum(s => (long)s.UnknownTokens), sizes.Sum(s => (long)s.TextTokens));
        var said = sizes.SelectMany(s => s.Warnings).Distinct().Order(StringComparer.Ordinal);
        return [.. said, .. unknown > 0 ? [model.Tokenizer.UnknownWarning(unknown, text)] : Array.Empty<string>()];
    }

    /// <summary>
    /// The samples of one set whose answers can be distinguished, whose pictures can be decoded, and whose prompts fit the model.
    /// </summary>
    /// <param name="told">Called with the size of every run's prompt, on several threads.</param>
    /// <exception cref="InputException">No sample is left.</exception>
    internal static ConflictSet Usable(ConflictSet set, VisionLanguageModel model, PromptLayout layout, int answerTokens,
        Action<PromptSize>? told = null)
    {
        var named = AnswerEntities.Filter(set, model.Tokenizer);
        var reasons = new string?[named.Samples.Count];
        Parallel.For(0, reasons.Length, i => reasons[i] = Unfit(named.Samples[i], model, layout, answerTokens, told));
        var kept = named.With(
            [.. named.Samples.Where((_, i) => reasons[i] is null)],
            named.Samples.Select((s, i) => (s, reason: reasons[i])).Where(p => p.reason is not null)
                .Select(p => new RejectedLine(set.File, p.s.Line, p.s.Id, p.reason!)));
        // Samples that others name as donors may be beyond the limit. They are run too, so they are checked too.
        var known = set.Samples.Select(s => s.Id).ToHashSet(StringComparer.Ordinal);
        var donors = kept.Donors.Values.Where(d => !known.Contains(d.Id))
            .Select(d => (Donor: d, Reason: Unfit(d, model, layout, answerTokens, told))).Where(d => d.Reason is not null).ToList();
        if (donors.Count > 0)
            kept = kept.With(
                kept.Samples, donors.Select(d => new RejectedLine(set.File, d.Donor.Line, d.Donor.Id, $"as a donor: {d.Reason}")));
        return kept.Samples.Count > 0 ? kept
            : throw new InputException($"{set.File}: no sample is left that can be used; "
                + $"line {kept.Rejected[^1].Line}, {kept.Rejected[^1].Id}: {kept.Rejected[^1].Reason}");
    }

    /// <summary>Why a sample cannot be used, or null if it can.</summary>
    private static string? Unfit(ConflictSample sample, VisionLanguageModel model, PromptLayout layout, int answerTokens,
        Action<PromptSize>? told)
    {
        try
        {
            var picture = sample.Image is { } path ? Picture.Load(path) : null;
            // A text-only model with pictures in its sets is reported once, when the study is opened.
            if (model.ImageToken is null && picture is not null) return null;
            var pixels = picture is null ? null : model.Preprocess([picture]);
            foreach (var run in sample.Runs)
            {
                var size = model.Measure(ConflictPrompt.Messages(run, layout, pixels is not null).Messages, pixels);
                if (model.TooLong(size.Positions, Math.Max(0, answerTokens - 1)) is { } reason) return reason;
                told?.Invoke(size);
            }
            return null;
        }
        catch (InputException e)
        {
            return e.Message;
        }
    }
}
