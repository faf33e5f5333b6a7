using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>Runs one sample with both instructions under exchanges of heads with donor runs. One per thread.</summary>
internal sealed class InterchangeRunner(
    VisionLanguageModel model, PromptLayout layout, DonorFinder finder, IReadOnlyList<SpanKind> spans, SpanAlignment alignment, Compute compute)
{
    private readonly Dictionary<string, PixelValues> _pixels = new(StringComparer.Ordinal);

    /// <summary>Exchanges at the last position alone.</summary>
    public bool LastOnly { get; init; }

    public IReadOnlyList<RunResult> Run(ConflictSample sample, IReadOnlyList<Exchange> exchanges, CancellationToken cancel)
    {
        var mark = compute.Arena.Here();
        var results = sample.Runs.Select(run => Run(run, exchanges, cancel)).ToList();
        compute.Arena.Release(mark);
        return results;
    }

    private RunResult Run(ConflictRun run, IReadOnlyList<Exchange> exchanges, CancellationToken cancel)
    {
        var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
        var prompt = PromptOf(run);
        using var receiver = Baseline.Record(model.Decoder, prompt, compute);
        var result = new RunResult(run.Id, entities.Following, entities.Competing);
        result.Outcomes["baseline"] = SampleRunner.Measure(receiver.LastLogits, entities, receiver.LastLogits);
        foreach (var factor in exchanges.GroupBy(e => e.Factor))
        {
            cancel.ThrowIfCancellationRequested();
            if (DonorOf(run, prompt, factor.Key, [.. factor.Select(e => HeadInterchange.SiteOf(e.What)).Distinct()]) is not { } found) continue;
            using var donor = found.Baseline;
            var token = Sampler.ArgMax(donor.LastLogits);
            result.Donors[Variants.NameOf(factor.Key)] = found.Donor.From;
            result.Outcomes[Exchange.DonorRun(factor.Key)] = SampleRunner.Measure(donor.LastLogits, entities, receiver.LastLogits) with { Donor = donor.LastLogits[token] };
            result.Outcomes[Exchange.Receiver(factor.Key)] = result.Outcomes["baseline"] with { Donor = receiver.LastLogits[token] };
            Exchange[] exchanged = [.. factor];
            Variant[] runs = [.. exchanged.Select(e => new Variant(receiver, HeadInterchange.Of(e.Condition, model.Decoder.Shape, e.What, e.Heads, found.At, donor.Trace!)))];
            Sweep.LastLogits(
                model.Decoder, runs, compute, (i, logits) => result.Outcomes[exchanged[i].Condition] = SampleRunner.Measure(logits, entities, receiver.LastLogits) with { Donor = logits[token] }, cancel: cancel);
        }
        return result;
    }

    private (Donor Donor, Baseline Baseline, AlignedPositions At)? DonorOf(ConflictRun run, Prompt receiver, DonorFactor factor, IReadOnlyList<Site> sites)
    {
        foreach (var donor in finder.Of(run, factor, alignment).Take(DonorFinder.MostTried))
        {
            var prompt = PromptOf(donor.Run);
            if (sites.Contains(Site.AttnPattern) && prompt.Length != receiver.Length) continue;
            if ((LastOnly ? new AlignedPositions([receiver.Length - 1], [prompt.Length - 1]) : HeadInterchange.Align(receiver, prompt, spans, alignment)) is not { } at) continue;
            // A pattern says which keys are read by their positions.
            if (sites.Contains(Site.AttnPattern) && !at.Receiver.SequenceEqual(at.Donor)) continue;
            return (donor, Baseline.Record(model.Decoder, prompt, compute, sites, at.Donor, from: prompt.Length - 1), at);
        }
        return null;
    }

    private Prompt PromptOf(ConflictRun run)
    {
        var mark = compute.Arena.Here();
        var pixels = run.Sample.Image is not { } path ? null : _pixels.TryGetValue(path, out var known) ? known : _pixels[path] = model.Preprocess([Picture.Load(path)]);
        var prompt = ConflictPrompt.Build(model, run, layout, pixels, pixels is null ? null : model.Features(pixels, compute));
        compute.Arena.Release(mark);
        return prompt;
    }
}
