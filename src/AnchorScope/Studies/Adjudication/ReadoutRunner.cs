using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;

namespace AnchorScope.Studies;

/// <summary>
/// The scores of methods without interventions for every head in one run: direct attribution, attribution patching, attention. One instance
/// per thread.
/// </summary>
internal sealed class ReadoutRunner(VisionLanguageModel model, ConflictPrompts prompts, IReadOnlyList<SpanKind> spans, ISession session)
{
    /// <summary>Names of curves [layer x head].</summary>
    public const string Direct = "direct", Slope = "slope", Integrated = "integrated", Shift = "attention_shift";

    private const int Steps = 5;

    public IReadOnlyList<RunResult> Run(ConflictSample sample)
    {
        return [.. sample.Runs.Select(Run)];
    }

    private RunResult Run(ConflictRun run)
    {
        var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
        var prompt = prompts.Of(run);
        var at = prompt.Union(spans);
        int[] watched = [.. at.Append(prompt.Length - 1).Distinct().Order()];
        using var baseline = session.Record(
            prompt, new RecordOptions { Sites = [Site.HeadOut, Site.ResidPost, Site.AttnPattern], Positions = watched });
        var shape = model.Engine.Shape;
        var result = new RunResult(run.Id, entities.Following, entities.Competing);
        result.Outcomes[ConditionId.Baseline] = SampleRunner.Measure(baseline.LastLogits, entities, baseline.LastLogits);
        var final = baseline.Trace![Site.ResidPost, shape.Layers - 1].AsSpan(^shape.ModelSize..);
        result.Curves[Direct] = HeadContribution.ToMargin(model, baseline.Trace, watched.Length - 1, final,
            entities.Following, entities.Competing);
        foreach (var (name, steps) in new[] { (Slope, 1), (Integrated, Steps) })
            result.Curves[name] = Attribution.Of(session, baseline, new AttributionOptions
            {
                TokenA = entities.Following, TokenB = entities.Competing, Positions = at, Steps = steps,
            }).Heads;
        result.Curves[Shift] = AttentionShift(run, prompt, baseline.Trace, watched, at);
        return result;
    }

    private float[] AttentionShift(ConflictRun run, Prompt prompt, Trace trace, int[] watched, int[] at)
    {
        var shape = model.Engine.Shape;
        var (told, other) = run.Instruction == Modality.Vision
            ? (SpanKind.Image, SpanKind.TextContext) : (SpanKind.TextContext, SpanKind.Image);
        var shifts = new float[shape.Layers * shape.Heads];
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var pattern = trace[Site.AttnPattern, layer];                            // [head, watched, key]
            for (var head = 0; head < shape.Heads; head++)
            {
                var sum = 0.0;
                foreach (var position in at)
                {
                    var row = pattern.AsSpan((head * watched.Length + Array.IndexOf(watched, position)) * prompt.Length, prompt.Length);
                    foreach (var key in prompt.Span(told)) sum += row[key];
                    foreach (var key in prompt.Span(other)) sum -= row[key];
                }
                shifts[layer * shape.Heads + head] = (float)(sum / at.Length);
            }
        }
        return shifts;
    }
}
