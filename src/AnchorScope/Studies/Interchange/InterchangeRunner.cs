using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Runs one sample under both instructions with exchanges of heads with donor runs. One instance per thread.</summary>
internal sealed class InterchangeRunner(
    VisionLanguageModel model, ConflictPrompts prompts, DonorFinder finder, IReadOnlyList<SpanKind> spans,
    SpanAlignment alignment, ISession session)
{
    /// <summary>Name of the curve of <see cref="Attribute"/> [layer x head].</summary>
    public const string Attributed = "attributed_queries";

    /// <summary>Whether exchanges are made only at the last position.</summary>
    public bool LastOnly { get; init; }

    /// <summary>The spans that count as the instruction, for exchanges at it or after it.</summary>
    public IReadOnlyList<SpanKind> Instruction { get; init; } = [SpanKind.Instruction];

    public IReadOnlyList<RunResult> Run(ConflictSample sample, IReadOnlyList<Exchange> exchanges, CancellationToken cancel)
    {
        return [.. sample.Runs.Select(run => Run(run, exchanges, cancel))];
    }

    private RunResult Run(ConflictRun run, IReadOnlyList<Exchange> exchanges, CancellationToken cancel)
    {
        var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
        var prompt = prompts.Of(run);
        using var receiver = session.Record(prompt);
        var result = new RunResult(run.Id, entities.Following, entities.Competing);
        result.Outcomes[ConditionId.Baseline] = SampleRunner.Measure(receiver.LastLogits, entities, receiver.LastLogits);
        foreach (var factor in exchanges.GroupBy(e => e.Factor))
        {
            cancel.ThrowIfCancellationRequested();
            if (DonorOf(run, prompt, factor.Key, [.. factor.SelectMany(e => HeadInterchange.SitesOf(e.What)).Distinct()]) is not { } found)
                continue;
            using var donor = found.Recorded;
            var token = Sampler.ArgMax(donor.LastLogits);
            result.Donors[EnumName.Of(factor.Key)] = found.Donor.From;
            result.Outcomes[Exchange.DonorRun(factor.Key)] = SampleRunner.Measure(donor.LastLogits, entities, receiver.LastLogits,
                "the donor run") with { Donor = donor.LastLogits[token] };
            result.Outcomes[Exchange.Receiver(factor.Key)] = result.Outcomes[ConditionId.Baseline] with
                { Donor = receiver.LastLogits[token] };
            Intervention[] exchanged = [.. factor.Select(e => EditsOf(e, prompt, found.At, donor.Trace!)).OfType<Intervention>()];
            Sweep.LastLogits(session, [.. exchanged.Select(e => new SweepItem(receiver, e))],
                (i, logits) => result.Outcomes[exchanged[i].Name] = SampleRunner.Measure(logits, entities, receiver.LastLogits,
                    exchanged[i].Name) with { Donor = logits[token] }, cancel: cancel);
        }
        return result;
    }

    /// <summary>
    /// Estimates from backward passes how much exchanging each head's queries with those under the other instruction lowers the margin: the
    /// curve <see cref="Attributed"/> of every run that has a donor, along with the outcomes of both runs.
    /// </summary>
    /// <param name="steps">Number of points on the path from the receiver's queries to the donor's.</param>
    public IReadOnlyList<RunResult> Attribute(ConflictSample sample, int steps = InterchangeAttribution.Steps)
    {
        var results = sample.Runs.Select(run =>
        {
            var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
            var (prompt, result) = (prompts.Of(run), new RunResult(run.Id, entities.Following, entities.Competing));
            if (DonorOf(run, prompt, DonorFactor.Instruction, [Site.QueryProj]) is not { } found)
            {
                using var plain = session.Record(prompt);
                result.Outcomes[ConditionId.Baseline] = SampleRunner.Measure(plain.LastLogits, entities, plain.LastLogits);
                return result;
            }
            using var donor = found.Recorded;
            using var receiver = session.Record(prompt, new RecordOptions { Sites = [Site.QueryProj], Positions = found.At.Receiver });
            result.Donors[EnumName.Of(DonorFactor.Instruction)] = found.Donor.From;
            result.Outcomes[ConditionId.Baseline] = result.Outcomes[Exchange.Receiver(DonorFactor.Instruction)] =
                SampleRunner.Measure(receiver.LastLogits, entities, receiver.LastLogits);
            result.Outcomes[Exchange.DonorRun(DonorFactor.Instruction)] = SampleRunner.Measure(donor.LastLogits, entities,
                receiver.LastLogits, "the donor run");
            result.Curves[Attributed] = InterchangeAttribution.Of(session, receiver, donor.Trace!, found.At, entities.Following,
                entities.Competing, steps);
            return result;
        }).ToList();
        return results;
    }

    /// <summary>The exchange as edits; null if the prompt has no such positions.</summary>
    private Intervention? EditsOf(Exchange exchange, Prompt receiver, AlignedPositions at, Trace donor)
    {
        var shape = model.Engine.Shape;
        if (exchange.At == ExchangeScope.Whole && exchange.What != HeadContent.PassedOn)
            return HeadInterchange.Of(exchange.Condition, shape, exchange.What, exchange.Heads, at, donor);
        var instruction = receiver.Union(Instruction);
        if (instruction.Length == 0) return null;
        var some = at.Where(p => exchange.At == ExchangeScope.Behind ? p > instruction[^1] : Array.BinarySearch(instruction, p) >= 0);
        if (some.Receiver.Count == 0) return null;
        if (exchange.What != HeadContent.PassedOn)
            return HeadInterchange.Of(exchange.Condition, shape, exchange.What, exchange.Heads, some, donor);
        // Keys are rotated by their positions, so the positions must be equal.
        return instruction[^1] + 1 < receiver.Length && some.Receiver.SequenceEqual(some.Donor)
            ? HeadInterchange.PassedOn(exchange.Condition, shape, exchange.Heads.Select(h => h.Layer),
                Positions.Range(instruction[^1] + 1, receiver.Length), some, donor)
            : null;
    }

    private (Donor Donor, IRecordedRun Recorded, AlignedPositions At)? DonorOf(ConflictRun run, Prompt receiver, DonorFactor factor,
        IReadOnlyList<Site> sites)
    {
        foreach (var donor in finder.Of(run, factor, alignment).Take(DonorFinder.MostTried))
        {
            var prompt = prompts.Of(donor.Run);
            if (sites.Contains(Site.AttnPattern) && prompt.Length != receiver.Length) continue;
            if ((LastOnly ? new AlignedPositions([receiver.Length - 1], [prompt.Length - 1])
                : HeadInterchange.Align(receiver, prompt, spans, alignment)) is not { } at)
                continue;
            // An attention pattern refers to keys by position, so the positions must be equal.
            if (sites.Contains(Site.AttnPattern) && !at.Receiver.SequenceEqual(at.Donor)) continue;
            return (donor, session.Record(prompt, new RecordOptions { Sites = [.. sites], Positions = at.Donor, From = prompt.Length - 1 }),
                at);
        }
        return null;
    }
}
