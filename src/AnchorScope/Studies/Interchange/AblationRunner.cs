using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Heads that are removed together.</summary>
/// <param name="Variant">What replaces their outputs.</param>
/// <param name="Heads">The heads.</param>
internal sealed record HeadRemoval(AblationVariant Variant, IReadOnlyList<(int Layer, int Head)> Heads)
{
    /// <summary>The name in results.jsonl: "ablation/mean/2.1".</summary>
    public string Condition { get; } =
        $"ablation/{EnumName.Of(Variant)}/{string.Join(',', Heads.Order().Select(h => $"{h.Layer}.{h.Head}"))}";
}

/// <summary>Runs one sample under both instructions with heads removed in several ways. One instance per thread.</summary>
/// <param name="spans">Spans at which heads are removed.</param>
internal sealed class AblationRunner(VisionLanguageModel model, IReadOnlyList<SpanKind> spans, Replacements replacements, ISession session)
{
    /// <summary>Prefix of curves with the norm of the change of the removed outputs, divided by the norm of the original outputs.</summary>
    public const string Norm = "change_norm/";

    private readonly SpanKind?[] _spans = [.. spans.Select(span => (SpanKind?)span)];

    public IReadOnlyList<RunResult> Run(ConflictSample sample, IReadOnlyList<HeadRemoval> removals, CancellationToken cancel)
    {
        return [.. sample.Runs.Select(run => Run(run, removals, cancel))];
    }

    private RunResult Run(ConflictRun run, IReadOnlyList<HeadRemoval> removals, CancellationToken cancel)
    {
        var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
        var prompt = replacements.PromptOf(run);
        int[] at = [.. spans.SelectMany(prompt.Span).Distinct().Order()];
        using var plain = session.Record(
            prompt, new RecordOptions { From = at.Append(prompt.Length - 1).Min(), Sites = [Site.HeadOut], Positions = at });
        var result = new RunResult(run.Id, entities.Following, entities.Competing);
        result.Outcomes[ConditionId.Baseline] = SampleRunner.Measure(plain.LastLogits, entities, plain.LastLogits);
        var ways = removals.Select(r => r.Variant).Distinct().ToDictionary(
            v => v, v => new Removal(model.Engine.Shape, prompt, _spans, replacements.Of(v, run, [Site.HeadOut], _spans)));
        var variants = removals.Select(r => new SweepItem(plain, ways[r.Variant].Heads(r.Condition, r.Heads))).ToList();
        foreach (var variant in variants)
            result.Curves[Norm + variant.Intervention.Name] = [(float)Change(variant.Intervention, plain.Trace!)];
        Sweep.LastLogits(session, variants,
            (i, logits) => result.Outcomes[removals[i].Condition] = SampleRunner.Measure(logits, entities, plain.LastLogits,
                removals[i].Condition), cancel: cancel);
        return result;
    }

    /// <summary>Relative size of the change that a removal makes to the heads' outputs.</summary>
    private double Change(Intervention removal, Trace plain)
    {
        var (size, width) = (model.Engine.Shape.HeadSize, model.Engine.Shape.Width(Site.HeadOut));
        var (change, norm) = (0.0, 0.0);
        foreach (var edit in removal.Edits)
        {
            for (var i = 0; i < edit.Rows!.Count; i++)
            {
                var row = plain.Positions!.Index().First(p => p.Item == edit.Positions.List[i]).Index;
                var own = plain[Site.HeadOut, edit.Layer].AsSpan(row * width, width);
                var set = edit.Rows[i];
                for (var k = 0; k < set.Length; k++)
                {
                    var was = own[edit.Heads![k / size] * size + k % size];
                    change += ((double)set[k] - was) * ((double)set[k] - was);
                    norm += (double)was * was;
                }
            }
        }
        return Math.Sqrt(change / norm);
    }
}
