using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>Heads that are removed together.</summary>
/// <param name="Variant">What takes the place of their outputs.</param>
/// <param name="Heads">The heads.</param>
internal sealed record HeadRemoval(AblationVariant Variant, IReadOnlyList<(int Layer, int Head)> Heads)
{
    /// <summary>Its name in results.jsonl: "ablation/mean/2.1".</summary>
    public string Condition { get; } = $"ablation/{Variants.NameOf(Variant)}/{string.Join(',', Heads.Order().Select(h => $"{h.Layer}.{h.Head}"))}";
}

/// <summary>Mean head outputs by layer and span, over the runs of the ranking split.</summary>
internal sealed class SpanMeans
{
    private readonly Dictionary<(int Layer, SpanKind Span), float[]> _means = [];

    /// <summary>The mean of a layer at a span [head x d_head].</summary>
    public float[] this[int layer, SpanKind span] => _means[(layer, span)];

    /// <summary>Reads what <see cref="ToResult"/> wrote.</summary>
    public static SpanMeans Of(RunResult result, IReadOnlyList<SpanKind> spans, int layers)
    {
        var means = new SpanMeans();
        foreach (var span in spans)
        {
            for (var layer = 0; layer < layers; layer++)
            {
                if (result.Curves.TryGetValue(Name(layer, span), out var values)) means._means[(layer, span)] = values;
            }
        }
        return means;
    }

    /// <summary>Sums of double precision over positions, as means, in a row of results.</summary>
    public static RunResult ToResult(IReadOnlyDictionary<(int Layer, SpanKind Span), (double[] Sum, int Count)> sums)
    {
        var result = new RunResult("means", 0, 0);
        foreach (var ((layer, span), (sum, count)) in sums.OrderBy(s => s.Key)) result.Curves[Name(layer, span)] = [.. sum.Select(s => (float)(s / count))];
        return result;
    }

    private static string Name(int layer, SpanKind span) => $"mean_z/{layer}/{Variants.NameOf(span)}";
}

/// <summary>Runs one sample with both instructions and heads removed in several ways. One per thread.</summary>
internal sealed class AblationRunner(
    VisionLanguageModel model, PromptLayout layout, IReadOnlyList<SpanKind> spans, SpanMeans? means, IReadOnlyList<ConflictRun> others, ulong seed, Compute compute)
{
    /// <summary>Curve with the norm of the change of the removed outputs over the norm of what they were.</summary>
    public const string Norm = "change_norm/";

    private DecoderShape Shape => model.Decoder.Shape;

    public IReadOnlyList<RunResult> Run(ConflictSample sample, IReadOnlyList<HeadRemoval> removals, CancellationToken cancel)
    {
        var mark = compute.Arena.Here();
        var results = sample.Runs.Select(run => Run(run, removals, cancel)).ToList();
        compute.Arena.Release(mark);
        return results;
    }

    /// <summary>Adds the head outputs of a run, span by span.</summary>
    public void AddTo(Dictionary<(int Layer, SpanKind Span), (double[] Sum, int Count)> sums, ConflictRun run)
    {
        var mark = compute.Arena.Here();
        var prompt = PromptOf(run);
        using var recorded = Recorded(prompt);
        foreach (var span in spans)
        {
            for (var layer = 0; layer < Shape.Layers; layer++)
            {
                var (sum, count) = sums.GetValueOrDefault((layer, span), (new double[Shape.Width(Site.HeadOut)], 0));
                foreach (var position in prompt.Span(span))
                {
                    var row = recorded.HeadOut(layer, position)[0];
                    for (var i = 0; i < row.Length; i++) sum[i] += row[i];
                    count++;
                }
                if (count > 0) sums[(layer, span)] = (sum, count);
            }
        }
        compute.Arena.Release(mark);
    }

    private RunResult Run(ConflictRun run, IReadOnlyList<HeadRemoval> removals, CancellationToken cancel)
    {
        var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
        var prompt = PromptOf(run);
        using var plain = Recorded(prompt);
        var result = new RunResult(run.Id, entities.Following, entities.Competing);
        result.Outcomes["baseline"] = SampleRunner.Measure(plain.LastLogits, entities, plain.LastLogits);
        var other = removals.Any(r => r.Variant == AblationVariant.Resample) ? OtherOf(run) : null;
        var otherPrompt = other is null ? null : PromptOf(other);
        using var random = otherPrompt is null ? null : Recorded(otherPrompt);
        var variants = removals.Select(r => new Variant(plain, Edits(r, prompt, plain, otherPrompt, random, result))).ToList();
        Sweep.LastLogits(model.Decoder, variants, compute, (i, logits) => result.Outcomes[removals[i].Condition] = SampleRunner.Measure(logits, entities, plain.LastLogits), cancel: cancel);
        return result;
    }

    /// <summary>The removal as edits; notes how far it takes the heads' outputs from what they were.</summary>
    private Intervention Edits(HeadRemoval removal, Prompt prompt, Baseline plain, Prompt? otherPrompt, Baseline? other, RunResult result)
    {
        var size = Shape.HeadSize;
        var places = spans.SelectMany(span => prompt.Span(span).Select((position, i) => (position, span, FromEnd: prompt.Span(span).Count - 1 - i))).OrderBy(p => p.position).ToList();
        var (change, norm) = (0.0, 0.0);
        var edits = removal.Heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(layer =>
        {
            int[] heads = [.. layer.Select(h => h.Head).Order()];
            var rows = new float[places.Count * heads.Length * size];
            for (var i = 0; i < places.Count; i++)
            {
                var own = plain.HeadOut(layer.Key, places[i].position)[0];
                for (var j = 0; j < heads.Length; j++)
                {
                    var into = rows.AsSpan((i * heads.Length + j) * size, size);
                    Taken(removal.Variant, layer.Key, places[i], heads[j] * size, otherPrompt, other, into);
                    for (var k = 0; k < size; k++)
                    {
                        var was = own[heads[j] * size + k];
                        change += ((double)into[k] - was) * ((double)into[k] - was);
                        norm += (double)was * was;
                    }
                }
            }
            return new Edit(Site.HeadOut, layer.Key, Operation.Set) { Heads = heads, Positions = Positions.Of(places.Select(p => p.position)), Rows = new DonorRows(rows, places.Count) };
        }).ToList();
        result.Curves[Norm + removal.Condition] = [(float)Math.Sqrt(change / norm)];
        return new Intervention(removal.Condition, edits);
    }

    private void Taken(AblationVariant variant, int layer, (int Position, SpanKind Span, int FromEnd) place, int column, Prompt? otherPrompt, Baseline? other, Span<float> into)
    {
        switch (variant)
        {
            case AblationVariant.Mean:
                means![layer, place.Span].AsSpan(column, into.Length).CopyTo(into);
                break;
            case AblationVariant.Resample:
                var there = otherPrompt!.Span(place.Span);
                // A shorter span gives its first position again and again.
                var position = there.Count == 0 ? otherPrompt.Length - 1 : there[Math.Max(0, there.Count - 1 - place.FromEnd)];
                other!.HeadOut(layer, position)[0].Slice(column, into.Length).CopyTo(into);
                break;
            default:
                into.Clear();
                break;
        }
    }

    /// <summary>A run of another sample, drawn by the seed and the run's name.</summary>
    private ConflictRun OtherOf(ConflictRun run)
    {
        var mixed = seed;
        foreach (var c in run.Id) mixed = SplitMix.At(mixed ^ c, 1);
        var pool = others.Where(o => o.Sample.Id != run.Sample.Id).ToList();
        return pool.Count > 0 ? pool[new SplitMix(mixed).Below(pool.Count)] : run;
    }

    private Baseline Recorded(Prompt prompt) => Baseline.Record(model.Decoder, prompt, compute, from: spans.SelectMany(prompt.Span).DefaultIfEmpty(prompt.Length - 1).Min());

    private Prompt PromptOf(ConflictRun run)
    {
        var mark = compute.Arena.Here();
        var pixels = run.Sample.Image is null ? null : model.Preprocess([Picture.Load(run.Sample.Image)]);
        var prompt = ConflictPrompt.Build(model, run, layout, pixels, pixels is null ? null : model.Features(pixels, compute));
        compute.Arena.Release(mark);
        return prompt;
    }
}
