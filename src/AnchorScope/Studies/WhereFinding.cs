using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Whether the model arbitrates, and whether the decision is relayed by the instruction's tokens or made at the last position.
/// </summary>
internal static class WhereFinding
{
    private const string What = "MFR(cut context->last) - MFR(cut instruction->suffix), and MFR, larger of the two, above 1/2";

    public static Claim Claim(Diagnosis diagnosis, MeasuredSet test)
    {
        var rates = diagnosis.Following[0];
        var follows = $"The model follows the instruction in {Wording.Percent(rates.Argmax.All.Mean)} of "
            + $"{Wording.Count(rates.Runs, "conflict run")} "
            + $"({Wording.Percent(rates.Argmax.Vision.Mean)} when told to trust the picture, {Wording.Percent(rates.Argmax.Text.Mean)} "
            + $"when told to trust the text)";
        var (larger, samples, margin) = (rates.Larger.All, test.Clusters.Count, diagnosis.EquivalenceMargin);
        var chosen = $"{Wording.Percent(larger.Mean)}, {Wording.Interval(larger)}; chance is 50 %";
        var enough = Decision.Needed(larger, samples, margin, 0.5);
        if (test.IsFew) return Studies.Claim.Without(What, FindingStatus.Unclear,
            $"{follows}, but {Wording.These(test)}; {Wording.Needed(enough)}", larger, enough);
        if (Decision.IsAbsent(larger, margin, 0.5))
            return Studies.Claim.Without(
                What, FindingStatus.Absent,
                $"{follows}, and between the two answers it does not choose by the instruction ({chosen}, and the interval is within "
                    + $"{Wording.Margin(margin)} of it): nothing to attribute", larger);
        if (larger.High < 0.5)
            return Studies.Claim.Without(What, FindingStatus.Absent,
                $"{follows}, and between the two answers it chooses against the instruction more often than by it ({chosen})", larger);
        if (larger.Low <= 0.5)
            return Studies.Claim.Without(
                What, FindingStatus.Unclear,
                    $"{follows}, but whether it chooses between the two answers by the instruction cannot be determined ({chosen}): "
                        + $"{Wording.Needed(enough)}", larger, enough);
        if ((Cut(diagnosis, test, "instruction->suffix") ?? Cut(diagnosis, test, "instruction->last")) is not { } relay
            || Cut(diagnosis, test, "context->last") is not { } direct)
            return Studies.Claim.Without(
                What, FindingStatus.Unclear,
                    $"{follows}; its prompts lack an edge from the instruction or from the context to the last position, so the route "
                        + $"could not be compared", larger);
        var (difference, p) = test.Difference(run => run.Follows(direct.Condition) - run.Follows(relay.Condition));
        var by = Wording.By(diagnosis.Variants["ablation"]);
        var cuts = $"cutting{by} all that the answer position reads from the instruction takes MFR from {rates.Argmax.All.Mean:0.00} to "
            + $"{relay.Point.Argmax.All.Mean:0.00}, "
            + $"cutting{by} all that it reads directly from picture and text leaves {direct.Point.Argmax.All.Mean:0.00}";
        return new Claim(What, Math.Max(p, test.ShareP(r => r.Larger(ConditionId.Baseline), 0.5)), difference, holds =>
        {
            if (holds && difference.Low > 0)
                return new Saying(FindingStatus.Present,
                    $"{follows} and decides at the instruction tokens: "
                        + $"{Rise(diagnosis.Layers.LdarAnchor, diagnosis.Layers.AnchorRise!)}; {cuts}");
            if (holds && difference.High < 0)
                return new Saying(
                    FindingStatus.Present,
                        $"{follows} and decides at the last position, which reads the context directly: "
                            + $"{Rise(diagnosis.Layers.LdarLast, diagnosis.Layers.LastRise!)}; {cuts}");
            var needed = Decision.Needed(difference, samples, 0);
            return new Saying(
                FindingStatus.Unclear,
                $"{follows}, but whether the decision comes through the instruction tokens cannot be determined: {cuts} (difference "
                    + $"{Wording.Change(difference)}; {Wording.Needed(needed)})", needed);
        });
    }

    private static (KnockoutPoint Point, string Condition)? Cut(Diagnosis diagnosis, MeasuredSet test, string edge)
    {
        var condition = ConditionId.KnockoutAll(edge);
        var point = diagnosis.Knockouts.FirstOrDefault(k => k.Edge == edge)?.AllLayers;
        return point is not null && test.Runs.All(r => r.Has(condition)) ? (point, condition) : null;
    }

    private static string Rise(IReadOnlyList<ByInstruction> curve, LargestRise rise)
    {
        var layers = rise.Low == rise.High ? $"in {Wording.Percent(rise.Share)} of resamples, too"
            : $"layers {rise.Low} to {rise.High} in 95 % of resamples";
        return $"there LDAR rises most in layer {rise.Layer} ({layers}), from {curve[rise.Layer].All.Mean:0.00} to "
            + $"{curve[rise.Layer + 1].All.Mean:0.00}";
    }
}
