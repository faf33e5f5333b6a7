using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Whether amplifying the best heads repairs failed runs, and more of them than amplifying random heads.</summary>
internal static class AmplificationFinding
{
    private const string What = "share of failed runs repaired at the best factor: above 0, and more than random sets of as many heads "
        + "repair at their best factors";

    /// <summary>Below this the interval of a share spans more than 40 points.</summary>
    private const int FewestFailed = 20;

    public static Claim Claim(Diagnosis diagnosis, MeasuredSet test, HeadPlan plan)
    {
        var failed = test.Where(r => r.Failed);
        var result = diagnosis.Amplification.FirstOrDefault(a => a.Set == test.Name && a.Group == HeadPlan.Tested);
        if (failed.Runs.Count == 0 || result is null) return Studies.Claim.Without(What, FindingStatus.Unclear,
            "No run failed, so amplification had nothing to repair");
        if (failed.Runs.Count < FewestFailed || failed.IsFew)
            return Studies.Claim.Without(
                What, FindingStatus.Unclear,
                    $"{failed.Runs.Count} of {Wording.Count(test.Runs.Count, "run")} failed, too few to say what amplification repairs "
                        + $"({FewestFailed} are needed)");
        var factors = result.Points.Skip(1).Select(p => p.Factor).ToList();
        var best = result.Points.Skip(1).MaxBy(p => p.RecoveredArgmax.All.Mean)!;
        var gained = DiagnosisConditions.Gain(HeadPlan.Tested, best.Factor);
        var (repaired, margin) = (best.RecoveredArgmax.All, diagnosis.EquivalenceMargin);
        var text = $"Amplifying these heads repairs at best {Wording.Percent(repaired.Mean)} of "
            + $"{Wording.Count(failed.Runs.Count, "failed run")} ({Wording.Interval(repaired)}, at factor {best.Factor:0.##})";
        var cost = test.Difference(r => r.Follows("baseline") - r.Follows(gained)).Difference;
        var whole = cost.Low > 0 ? $", and at that factor the whole set loses {Wording.Size(cost)}"
            : $", and at that factor the whole set changes by {Wording.Dropped(cost)}";
        if (repaired.High <= margin) return Studies.Claim.Without(What, FindingStatus.Absent,
            $"{text}, within {Wording.Margin(margin)} of none{whole}", repaired);
        var draws = plan.Draws("random5");
        if (draws.Count == 0)
            return Studies.Claim.Without(What, FindingStatus.Unclear,
                $"{text}, but no random set was amplified for comparison, so whether other heads do as much stays open{whole}", repaired);
        var random = failed.DrawnShare([.. draws.Select(d => DiagnosisConditions.Gain(d, best.Factor))], (r, c) => r.Follows(c));
        var beyond = ProportionDifference.SquareAndAdd(repaired, random);
        // The best factor was chosen by what it repairs: each random set may choose its own, and the test of the share counts all.
        var rank = PermutationRank.Of(repaired.Mean,
            draws.Select(d => factors.Max(f => failed.Runs.Average(r => r.Follows(DiagnosisConditions.Gain(d, f))))));
        var p = Math.Min(1, factors.Count * failed.Difference(r => r.Follows(gained)).P);
        var compared = $"; random heads repair {Wording.Percent(random.Mean)} at the same factor ({Wording.Interval(random)}); "
            + $"{Wording.Rank(rank, "repair")}, each set at its best factor";
        return new Claim(What, Math.Max(p, rank.P), beyond, holds =>
        {
            if (holds && beyond.Low > 0) return new Saying(FindingStatus.Present, text + compared + whole);
            if (Decision.IsAbsent(beyond, margin)) return new Saying(FindingStatus.Absent,
                $"{text}, within {Wording.Margin(margin)} of what random heads do{compared}{whole}");
            if (holds || beyond.Low <= 0)
            {
                var needed = Decision.Needed(beyond, test.Clusters.Count, margin);
                return new Saying(
                    FindingStatus.Unclear,
                        $"{text}, which is not told apart from random heads (difference {Wording.Change(beyond)}; "
                            + $"{Wording.Needed(needed)}){compared}{whole}", needed);
            }
            // More samples would not help: it is the other heads, or the number of draws.
            var but = rank.AtLeast == 0
                ? $"but {Wording.Count(rank.Draws, "draw", "is", "are")} too few for a claim among four sentences "
                    + $"({FindingWriter.DrawsNeeded} are enough)"
                : "but too many random sets do as much for a claim among four sentences";
            return new Saying(FindingStatus.Unclear, $"{text}, {but}{compared}{whole}");
        })
        {
            Draws = rank, Samples = failed.Clusters.Count,
        };
    }
}
