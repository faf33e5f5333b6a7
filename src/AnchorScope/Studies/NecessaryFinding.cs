using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Whether the best heads are necessary: the loss of MFR when they are blocked, compared with random sets of the same size. Blocking does
/// not show which heads decide.
/// </summary>
internal static class NecessaryFinding
{
    private const string What = "MFR lost when the best 5 % of heads are blocked: above 0, and more than for random "
        + "sets of the same number of heads";

    public static Claim Claim(Diagnosis diagnosis, MeasuredSet test, MeasuredSet? control)
    {
        var blocked = diagnosis.Blocking.First(b => b.Name == HeadPlan.Tested);
        var condition = ConditionId.Block(HeadPlan.Tested);
        var (total, margin, samples) = (diagnosis.Model.Layers * diagnosis.Model.Heads, diagnosis.EquivalenceMargin, test.Clusters.Count);
        var by = Wording.By(diagnosis.Variants["ablation"]);
        var set = $"{Wording.Top(blocked.Heads.Count, total)}{Ranked(diagnosis)} ({Names(blocked.Heads)})";
        var (drop, p) = test.Difference(r => r.Follows(ConditionId.Baseline) - r.Follows(condition));
        var changes = $"with {set} blocked{by} MFR changes by {Wording.Dropped(drop)}";
        var needed = Decision.Needed(drop, samples, margin);
        if (test.IsFew)
            return Studies.Claim.Without(
                What, FindingStatus.Unclear,
                    $"Whether few heads are necessary cannot be determined: {changes}, but {Wording.These(test)}; "
                        + $"{Wording.Needed(needed)}", drop, needed);
        if (Decision.IsAbsent(drop, margin))
            return Studies.Claim.Without(What, FindingStatus.Absent,
                $"No small set of heads is necessary: {changes}, within {Wording.Margin(margin)} of none", drop);
        if (drop.High < 0) return Studies.Claim.Without(What, FindingStatus.Absent,
            $"These heads are not necessary; they interfere: {changes}", drop);
        if (drop.Low <= 0)
            return Studies.Claim.Without(What, FindingStatus.Unclear,
                $"Whether few heads are necessary cannot be determined: {changes}; {Wording.Needed(needed)}", drop, needed);
        var fall = $"Blocking {set}{by} takes MFR from {diagnosis.Following[0].Argmax.All.Mean:0.00} to {blocked.Argmax.All.Mean:0.00}, by "
            + $"{Wording.Size(drop)}";
        var side = SideEffect(condition, control, margin);
        if (blocked.Random is not { } random)
            return Studies.Claim.Without(What, FindingStatus.Unclear,
                $"{fall}, but no random set was blocked for comparison, so whether other heads do as much is unknown{side}", drop);
        List<(RandomControl Control, string Which)> controls = [(random, "")];
        if (blocked.LayerMatched is { } matched) controls.Add((matched, " from the same layers"));
        var compared = string.Concat(controls.Select(c => $"; {Wording.Rank(c.Control.Rank, "take", c.Which)}, {Left(c.Control)}"));
        var weakest = controls.MaxBy(c => c.Control.Rank.P).Control.Rank;
        return new Claim(What, Math.Max(p, weakest.P), drop, holds =>
        {
            if (holds) return new Saying(FindingStatus.Present, $"{fall}{compared}{side}");
            // If MFR under a random set exceeds that under the chosen set by at most the margin, the random set has the same effect.
            var same = controls.Where(c =>
                ProportionDifference.SquareAndAdd(c.Control.Argmax.All, blocked.Argmax.All).High <= margin).Select(c => c.Which).ToList();
            var but = same.Count > 0 ? $"but a random set{same[0]} does as much"
                : weakest.AtLeast == 0
                ? $"but {Wording.Count(weakest.Draws, "draw", "is", "are")} too few for a claim after correction for four tests "
                    + $"({FindingWriter.DrawsNeeded} are enough)"
                : "but that is not distinguishable from random sets";
            return new Saying(FindingStatus.Unclear, $"{fall}, {but}{compared}{side}");
        })
        {
            Draws = weakest,
        };
    }

    private static string Left(RandomControl c) => c.Sets.Count == 1
        ? $"it leaves {c.Argmax.All.Mean:0.00}"
        : $"they leave {c.Argmax.All.Mean:0.00} on average ({c.Lowest:0.00} to {c.Highest:0.00})";

    private static string SideEffect(string condition, MeasuredSet? control, double margin)
    {
        if (control is null) return "; there are no control samples, so whether these heads serve more than conflicts is unknown";
        var drop = control.Difference(r => r.Follows(ConditionId.Baseline) - r.Follows(condition)).Difference;
        var after = control.Share(r => r.Follows(condition));
        return drop.Low > 0 ? $"; without any conflict accuracy falls as well, by {Wording.Size(drop)}, to {after.Mean:0.00}, so "
            + $"answering as such needs these heads, not only the choice"
            : Decision.IsAbsent(drop, margin)
            ? $"; without a conflict accuracy is unchanged ({after.Mean:0.00}, change {Wording.Dropped(drop)}, "
                + $"within {Wording.Margin(margin)} of none)"
            : $"; whether accuracy without a conflict is unchanged cannot be determined ({after.Mean:0.00}, "
                + $"change {Wording.Dropped(drop)})";
    }

    /// <summary>The score by which the heads were chosen, if it is not a removal.</summary>
    private static string Ranked(Diagnosis diagnosis) =>
        ExchangeScore.Of(EnumName.Parse<HeadScoreVariant>("head_score", diagnosis.Variants["head_score"])) is null ? ""
            : $" by {diagnosis.Variants["head_score"]}";

    private static string Names(IReadOnlyList<HeadId> heads) => heads.Count <= 6 ? string.Join(", ", heads)
        : string.Join(", ", heads.Take(6)) + ", …";
}
