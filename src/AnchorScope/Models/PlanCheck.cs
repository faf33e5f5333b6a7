using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Models;

/// <summary>Checks plans before a pass is made of them: a wrong one would give the logits of something else.</summary>
internal static class PlanCheck
{
    /// <exception cref="ArgumentException">A plan contradicts itself, its recorded run, its trunk or the readouts.</exception>
    /// <exception cref="InputException">A readout is out of range.</exception>
    public static void Check(CpuEngine engine, IReadOnlyList<RunPlan> plans, IReadOnlyList<Readout> readouts)
    {
        if (readouts.Count == 0) throw new ArgumentException("expected at least one readout, found none", nameof(readouts));
        var lowest = readouts.Min(r => r.LayerIn(engine.Shape));
        for (var i = 0; i < plans.Count; i++)
        {
            var (plan, prompt) = (plans[i], RecordedRun.Of(plans[i].Recorded, engine.Decoder).Prompt);
            foreach (var readout in readouts) readout.Validate(engine, prompt);
            var (first, last) = (readouts.Min(r => r.PositionIn(prompt)), readouts.Max(r => r.PositionIn(prompt)));
            Require(plan.Position >= plan.Recorded.From && plan.Position <= first, i,
                $"Position: expected {plan.Recorded.From} to {first}, found {plan.Position}");
            Require(plan.EndPosition == last + 1, i, $"EndPosition: expected {last + 1}, found {plan.EndPosition}");
            Require(plan.Layer >= 0 && plan.Layer <= lowest, i, $"Layer: expected 0 to {lowest}, found {plan.Layer}");
            Require(plan.Intervention.FirstPosition >= plan.Position, i,
                $"an edit at position {plan.Intervention.FirstPosition}, before {plan.Position}");
            if (plan.Trunk is not { } trunk)
            {
                Require(plan.Intervention.FirstLayer >= plan.Layer, i,
                    $"an edit in layer {plan.Intervention.FirstLayer}, below {plan.Layer}");
                continue;
            }
            Require(trunk >= 0 && trunk < i, i, $"Trunk: expected a run before it, found {trunk}");
            Require(
                ReferenceEquals(plans[trunk].Recorded, plan.Recorded) && plans[trunk].Layer < plan.Layer
                    && plans[trunk].Position <= plan.Position, i,
                $"Trunk: expected a run of the same prompt that joins below layer {plan.Layer}, found run {trunk}");
            Require(Below(plans[trunk], plan.Layer).SequenceEqual(Below(plan, plan.Layer)), i,
                $"Trunk: expected the same edits below layer {plan.Layer}, found others in run {trunk}");
            Require(!plan.AfterAttention, i, "AfterAttention: expected false beside a trunk, found true");
        }
    }

    private static IEnumerable<Edit> Below(RunPlan plan, int layer) => plan.Intervention.Edits.Where(edit => edit.Layer < layer);

    private static void Require(bool holds, int run, string what)
    {
        if (!holds) throw new ArgumentException($"run {run}: {what}");
    }
}
