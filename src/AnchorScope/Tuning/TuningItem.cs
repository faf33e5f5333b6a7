using System.Collections.Concurrent;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Tuning;

/// <summary>
/// A run for training or measurement. The image features are part of the prompt, because the vision tower is not trained.
/// </summary>
/// <param name="Set">Name of its set.</param>
/// <param name="Sample">Index of its sample in the set.</param>
/// <param name="Prompt">The prompt with its embeddings.</param>
/// <param name="Entities">First tokens of its answers.</param>
internal sealed record TuningItem(string Set, int Sample, ConflictRun Run, Prompt Prompt, AnswerEntities Entities)
{
    /// <summary>Logits of the original model at the last position, for a run without a conflict. They are to be preserved.</summary>
    public float[]? Original { get; init; }

    /// <summary>Whether picture and text contradict each other.</summary>
    public bool Conflict => Run.Sample.Kind == SampleKind.Conflict;
}

/// <summary>Conflict sets as items. The kind of a sample determines whether it trains the answer or preserves behaviour.</summary>
/// <param name="Path">Path as given by the caller.</param>
/// <param name="Sets">The sets that were read.</param>
/// <param name="Items">All runs, in the order of the sets.</param>
internal sealed record TuningData(string Path, IReadOnlyList<ConflictSet> Sets, IReadOnlyList<TuningItem> Items)
{
    private const int ItemsPerPass = 8;

    /// <summary>Warnings about the samples' text.</summary>
    public IReadOnlyList<string> Warnings { get; private init; } = [];

    /// <summary>Runs with a conflict.</summary>
    public IReadOnlyList<TuningItem> Conflicts => [.. Items.Where(i => i.Conflict)];

    /// <summary>Runs without one.</summary>
    public IReadOnlyList<TuningItem> Kept => [.. Items.Where(i => !i.Conflict)];

    /// <summary>
    /// Reads a JSONL file, or every one in a folder; runs the vision tower and, for runs without a conflict, the original model.
    /// </summary>
    /// <exception cref="InputException">There is no file, or one of them has no usable sample.</exception>
    public static TuningData Load(VisionLanguageModel model, string path, int threads, CancellationToken cancel)
    {
        var folder = File.Exists(path) ? System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))! : path;
        if (!Directory.Exists(folder))
            throw new InputException($"{path}: expected a conflict set (.jsonl), or a folder with some, found nothing");
        string[] files = File.Exists(path) ? [path] : [.. Directory.GetFiles(folder, "*.jsonl").Order(StringComparer.Ordinal)];
        if (files.Length == 0) throw InputException.At(path, "files", "at least one .jsonl", "none");
        var layout = PromptLayout.Beside(folder);
        var sizes = new ConcurrentBag<PromptSize>();
        var sets = files.Select(file => DiagnosisData.Usable(ConflictSet.Load(file), model, layout, answerTokens: 1, sizes.Add)).ToList();
        var samples = sets.SelectMany(set => set.Samples.Select((sample, number) => (set, sample, number))).ToArray();
        var items = new IReadOnlyList<TuningItem>[samples.Length];
        Workers.Each(model.Engine, samples.Length, threads, (session, _) =>
        {
            var prompts = new ConflictPrompts(model, layout, session);
            return i =>
            {
                var (set, sample, number) = samples[i];
                items[i] = Runs(model, set.Name, sample, number, prompts, CpuSession.ComputeOf(session));
            };
        }, cancel);
        return new TuningData(path, sets, [.. items.SelectMany(i => i)]) { Warnings = DiagnosisData.TextWarnings(model, sizes) };
    }

    private static List<TuningItem> Runs(VisionLanguageModel model, string set, ConflictSample sample, int number,
        ConflictPrompts prompts, Compute compute)
    {
        var items = new List<TuningItem>();
        foreach (var run in sample.Runs)
        {
            var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
            var item = new TuningItem(set, number, run, prompts.Of(run), entities);
            items.Add(item.Conflict ? item : item with { Original = Original(model.Decoder, item, compute) });
        }
        return items;
    }

    private static float[] Original(Decoder decoder, TuningItem item, Compute compute)
    {
        var mark = compute.Arena.Here();
        var logits = TuningObjective.LastLogits(decoder, [item], compute)[0].ToArray();
        compute.Arena.Release(mark);
        return logits;
    }

    /// <summary>The outcomes of <paramref name="model"/> on items, in their order.</summary>
    public static Outcome[] Measure(VisionLanguageModel model, IReadOnlyList<TuningItem> items, int threads, CancellationToken cancel)
    {
        var outcomes = new Outcome[items.Count];
        Workers.Each(model.Engine, (items.Count + ItemsPerPass - 1) / ItemsPerPass, threads, (session, _) => chunk =>
        {
            var compute = CpuSession.ComputeOf(session);
            var mark = compute.Arena.Here();
            var some = items.Skip(chunk * ItemsPerPass).Take(ItemsPerPass).ToArray();
            var logits = TuningObjective.LastLogits(model.Decoder, some, compute);
            for (var i = 0; i < some.Length; i++)
                outcomes[chunk * ItemsPerPass + i] = SampleRunner.Measure(logits[i], some[i].Entities, some[i].Original ?? logits[i]);
            compute.Arena.Release(mark);
        }, cancel);
        return outcomes;
    }
}
