using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Runs one sample under both instructions with steering. One instance per thread.</summary>
/// <param name="finder">Finds the run under the other instruction; null if it is not needed.</param>
/// <param name="spans">Spans at which activations are compared and steered.</param>
internal sealed class DirectionRunner(
    VisionLanguageModel model, ConflictPrompts prompts, DonorFinder? finder, IReadOnlyList<SpanKind> spans,
    SpanAlignment alignment, ISession session)
{
    /// <summary>
    /// Prefix of curves with the norm of the change of the residual stream after the last layer, divided by the norm of that stream.
    /// </summary>
    public const string Norm = "change_norm/";

    private DecoderShape Shape => model.Engine.Shape;

    /// <summary>Runs every run of a sample under the conditions that <paramref name="conditions"/> returns for it.</summary>
    public IReadOnlyList<RunResult> Run(
        ConflictSample sample, Func<SteeredRun, IEnumerable<(string Condition, Intervention Edits)>> conditions, CancellationToken cancel)
    {
        var results = sample.Runs.Select(run =>
        {
            var steered = Read(run);
            using var baseline = session.Record(steered.Prompt);
            var entities = EntitiesOf(run);
            var result = new RunResult(run.Id, entities.Following, entities.Competing);
            result.Outcomes[ConditionId.Baseline] = SampleRunner.Measure(baseline.LastLogits, entities, baseline.LastLogits);
            var asked = conditions(steered).ToList();
            Sweep.LastLogits(session, [.. asked.Select(a => new SweepItem(baseline, a.Edits))],
                (i, logits) => result.Outcomes[asked[i].Condition] = SampleRunner.Measure(logits, entities, baseline.LastLogits),
                cancel: cancel);
            return result;
        }).ToList();
        return results;
    }

    /// <summary>How much the conditions change the residual stream after the last layer, at the steered spans.</summary>
    public IReadOnlyList<RunResult> Norms(
        ConflictSample sample, Func<SteeredRun, IEnumerable<(string Condition, Intervention Edits)>> conditions, CancellationToken cancel)
    {
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
        return results;
    }

    /// <summary>The prompt of a run, and the run under the other instruction.</summary>
    public SteeredRun Read(ConflictRun run)
    {
        var prompt = prompts.Of(run);
        foreach (var donor in (finder?.Of(run, DonorFactor.Instruction, alignment) ?? []).Take(DonorFinder.MostTried))
        {
            var other = prompts.Of(donor.Run);
            if (HeadInterchange.Align(prompt, other, spans, alignment) is not { } at) continue;
            using var own = session.Record(prompt, new RecordOptions { Sites = [.. DirectionFit.Sites], Positions = at.Receiver });
            using var others = session.Record(other, new RecordOptions { Sites = [.. DirectionFit.Sites], Positions = at.Donor });
            return new SteeredRun(run, prompt, new OwnDonor(at, own.Trace!, others.Trace!));
        }
        return new SteeredRun(run, prompt, null);
    }

    private AnswerEntities EntitiesOf(ConflictRun run) =>
        AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");

    private float[] LastLayer(Prompt prompt)
    {
        using var recorded = session.Record(prompt, new RecordOptions { Sites = [Site.ResidPost], Positions = prompt.Union(spans) });
        return recorded.Trace![Site.ResidPost, Shape.Layers - 1];
    }
}
