using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>The sets of a diagnosis: heads are ranked on one, tested on another; harder samples and controls where there are any.</summary>
public sealed record DiagnosisData(string Folder, ConflictSet Rank, ConflictSet Test, ConflictSet? Hard, ConflictSet? Control, PromptLayout Layout)
{
    /// <summary>All sets, in the order they are run.</summary>
    public IReadOnlyList<ConflictSet> Sets => [.. new[] { Rank, Test, Hard, Control }.OfType<ConflictSet>()];

    /// <summary>Everything left out, with the reason.</summary>
    public IReadOnlyList<RejectedLine> Rejected => [.. Sets.SelectMany(s => s.Rejected).Distinct()];

    /// <summary>
    /// Reads rank.jsonl and test.jsonl (with hard.jsonl and control.jsonl), or the folder's only .jsonl, whose conflict samples are
    /// then split at random into halves.
    /// </summary>
    /// <param name="path">The folder, or a .jsonl that is split like the only one of a folder.</param>
    public static DiagnosisData Load(string path, int? limit, ulong seed)
    {
        if (File.Exists(path)) return Split(path, Path.GetDirectoryName(Path.GetFullPath(path))!, limit, seed);
        var folder = path;
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: there is no such data folder, and no such .jsonl");
        var layout = PromptLayout.Beside(folder);
        ConflictSet? Named(string name) => File.Exists(Path.Combine(folder, name + ".jsonl")) ? ConflictSet.Load(Path.Combine(folder, name + ".jsonl"), limit) : null;
        if (Named("rank") is { } rank && Named("test") is { } test) return new DiagnosisData(folder, rank, test, Named("hard"), Named("control"), layout);
        var files = Directory.GetFiles(folder, "*.jsonl");
        if (files.Length != 1)
            throw InputException.At(folder, "files", "rank.jsonl and test.jsonl, or a single .jsonl", files.Length == 0 ? "none" : string.Join(", ", files.Select(Path.GetFileName).Order(StringComparer.Ordinal)));
        return Split(files[0], folder, limit, seed);
    }

    /// <summary>One set whose conflicts are split at random into halves, to rank heads on one and test them on the other; the rest are controls.</summary>
    private static DiagnosisData Split(string file, string folder, int? limit, ulong seed)
    {
        var whole = ConflictSet.Load(file, limit * 2);
        var conflicts = whole.Samples.Where(s => s.Kind == SampleKind.Conflict).ToList();
        if (conflicts.Count < 2) throw InputException.At(file, "samples", "at least 2 conflicts, to rank heads on one half and test them on the other", $"{conflicts.Count}");
        var random = new SplitMix(seed);
        var shuffled = conflicts.Select(s => (s, key: random.Next())).OrderBy(p => p.key).Select(p => p.s).ToList();
        var half = conflicts.Count / 2;
        var controls = whole.Samples.Where(s => s.Kind != SampleKind.Conflict).ToList();
        return new DiagnosisData(
            folder, whole.Part("rank", shuffled[..half]), whole.Part("test", shuffled[half..]), null, controls.Count > 0 ? whole.Part("control", controls) : null, PromptLayout.Beside(folder));
    }

    /// <summary>
    /// Without the samples whose answers this tokenizer cannot tell apart and without those whose pictures cannot be decoded: better
    /// known before the first hour than after it.
    /// </summary>
    public DiagnosisData Filter(Tokenizer tokenizer)
    {
        ConflictSet Kept(ConflictSet set) => Usable(set, tokenizer);
        return this with { Rank = Kept(Rank), Test = Kept(Test), Hard = Hard is null ? null : Kept(Hard), Control = Control is null ? null : Kept(Control) };
    }

    /// <summary>The samples of one set whose answers can be told apart and whose pictures can be decoded.</summary>
    /// <exception cref="InputException">None is left.</exception>
    internal static ConflictSet Usable(ConflictSet set, Tokenizer tokenizer)
    {
        var kept = WithPictures(AnswerEntities.Filter(set, tokenizer));
        return kept.Samples.Count > 0 ? kept : throw new InputException($"{set.File}: no sample is left whose answers differ in their first token; line {kept.Rejected[^1].Line}, {kept.Rejected[^1].Id}: {kept.Rejected[^1].Reason}");
    }

    private static ConflictSet WithPictures(ConflictSet set)
    {
        var reasons = new string?[set.Samples.Count];
        Parallel.For(0, reasons.Length, i =>
        {
            try
            {
                if (set.Samples[i].Image is { } path) _ = Picture.Load(path);
            }
            catch (InputException e)
            {
                reasons[i] = e.Message;
            }
        });
        return set.With(
            [.. set.Samples.Where((_, i) => reasons[i] is null)],
            set.Samples.Select((s, i) => (s, reason: reasons[i])).Where(p => p.reason is not null).Select(p => new RejectedLine(set.File, p.s.Line, p.s.Id, p.reason!)));
    }
}
