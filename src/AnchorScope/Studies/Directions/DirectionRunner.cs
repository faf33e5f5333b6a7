using AnchorScope.Conflicts;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>Runs one sample with both instructions under steering. One per thread.</summary>
/// <param name="finder">Finds the run under the other instruction; null: nothing is asked of it.</param>
/// <param name="spans">Where activations are compared and steered.</param>
internal sealed class DirectionRunner(
    VisionLanguageModel model, PromptLayout layout, DonorFinder? finder, IReadOnlyList<SpanKind> spans, SpanAlignment alignment, Compute compute)
{
    /// <summary>Curve with the change of the residual stream that leaves the last layer, over its norm.</summary>
    public const string Norm = "change_norm/";

    private readonly Dictionary<string, PixelValues> _pixels = new(StringComparer.Ordinal);

    private DecoderShape Shape => model.Decoder.Shape;

    /// <summary>Every run of a sample under the conditions that <paramref name="conditions"/> names for it.</summary>
    public IReadOnlyList<RunResult> Run(ConflictSample sample, Func<SteeredRun, IEnumerable<(string Condition, Intervention Edits)>> conditions, CancellationToken cancel)
    {
        var mark = compute.Arena.Here();
        var results = sample.Runs.Select(run =>
        {
            var steered = Read(run);
            using var baseline = Baseline.Record(model.Decoder, steered.Prompt, compute);
            var entities = EntitiesOf(run);
            var result = new RunResult(run.Id, entities.Following, entities.Competing);
            result.Outcomes[ConditionId.Baseline] = SampleRunner.Measure(baseline.LastLogits, entities, baseline.LastLogits);
            var asked = conditions(steered).ToList();
            Sweep.LastLogits(
                model.Decoder, [.. asked.Select(a => new Variant(baseline, a.Edits))], compute,
                (i, logits) => result.Outcomes[asked[i].Condition] = SampleRunner.Measure(logits, entities, baseline.LastLogits), cancel: cancel);
            return result;
        }).ToList();
        compute.Arena.Release(mark);
        return results;
    }

    /// <summary>How far the conditions take the residual stream that leaves the last layer, at the steered spans.</summary>
    public IReadOnlyList<RunResult> Norms(ConflictSample sample, Func<SteeredRun, IEnumerable<(string Condition, Intervention Edits)>> conditions, CancellationToken cancel)
    {
        var mark = compute.Arena.Here();
        var results = sample.Runs.Select(run =>
        {
            var steered = Read(run);
            var plain = LastLayer(steered.Prompt);
            var entities = EntitiesOf(run);
            var result = new RunResult(run.Id, entities.Following, entities.Competing);
            foreach (var (condition, edits) in conditions(steered))
            {
                cancel.ThrowIfCancellationRequested();
                var changed = LastLayer(steered.Prompt with { Steering = steered.Prompt.Steered(edits) });
                var (change, norm) = (0.0, 0.0);
                for (var i = 0; i < plain.Length; i++)
                {
                    change += ((double)changed[i] - plain[i]) * ((double)changed[i] - plain[i]);
                    norm += (double)plain[i] * plain[i];
                }
                result.Curves[Norm + condition] = [(float)Math.Sqrt(change / norm)];
            }
            return result;
        }).ToList();
        compute.Arena.Release(mark);
        return results;
    }

    /// <summary>The prompt of a run, and its run under the other instruction.</summary>
    public SteeredRun Read(ConflictRun run)
    {
        var prompt = PromptOf(run);
        foreach (var donor in (finder?.Of(run, DonorFactor.Instruction, alignment) ?? []).Take(DonorFinder.MostTried))
        {
            var other = PromptOf(donor.Run);
            if (HeadInterchange.Align(prompt, other, spans, alignment) is not { } at) continue;
            using var own = Baseline.Record(model.Decoder, prompt, compute, DirectionFit.Sites, at.Receiver);
            using var others = Baseline.Record(model.Decoder, other, compute, DirectionFit.Sites, at.Donor);
            return new SteeredRun(run, prompt, new OwnDonor(at, own.Trace!, others.Trace!));
        }
        return new SteeredRun(run, prompt, null);
    }

    private AnswerEntities EntitiesOf(ConflictRun run) => AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");

    private float[] LastLayer(Prompt prompt)
    {
        using var recorded = Baseline.Record(model.Decoder, prompt, compute, [Site.ResidPost], prompt.Union(spans));
        return recorded.Trace![Site.ResidPost, Shape.Layers - 1];
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
