using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The runs that the findings are about.</summary>
/// <param name="Test">Conflicts of the test split.</param>
/// <param name="Control">Runs without a conflict; null for none.</param>
/// <param name="Matched">Failed test runs under random heads at matched strength.</param>
internal sealed record FindingRuns(MeasuredSet Test, MeasuredSet? Control, MeasuredSet Matched);

/// <summary>Writes the findings as four sentences. They are one family: an effect is claimed if its p after Holm is at most 0.05.</summary>
internal static class FindingWriter
{
    public static IReadOnlyList<Finding> Write(Diagnosis diagnosis, FindingRuns runs, HeadPlan plan)
    {
        var (test, control, _) = runs;
        IReadOnlyList<Claim> claims = [WhereFinding.Claim(diagnosis, test), ArbiterFinding.Claim(diagnosis, test),
            NecessaryFinding.Claim(diagnosis, test, control),
            AmplificationFinding.Claim(diagnosis, runs, plan)];
        // A sentence that could not be tested stays in the family with p = 1, so that the family does not depend on the data.
        var holm = MultipleComparisons.Holm([.. claims.Select(c => double.IsNaN(c.P) ? 1 : c.P)]);
        return [.. claims.Zip(holm, (claim, p) => Finding(claim, p, test.Clusters.Count))];
    }

    /// <summary>Number of draws needed for the strongest of the four sentences to be significant.</summary>
    public static int DrawsNeeded => PermutationRank.Needed(MultipleComparisons.Level, family: 4) - 1;

    private static Finding Finding(Claim claim, double holm, int samples)
    {
        var (status, text, needed) = claim.Say(holm <= MultipleComparisons.Level);
        var corrected = status == FindingStatus.Present ? $" ({Wording.P(holm)} after Holm)" : "";
        return new Finding(status, $"{text}{corrected}.",
            new FindingTest(claim.What, claim.P, holm, claim.Effect, claim.Samples ?? samples, needed, claim.Draws));
    }
}
