using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Says in four sentences what was found. The sentences are a family: an effect is claimed where its p after Holm is at most 0.05.
/// </summary>
internal static class FindingWriter
{
    public static IReadOnlyList<Finding> Write(Diagnosis diagnosis, MeasuredSet test, MeasuredSet? control, HeadPlan plan)
    {
        IReadOnlyList<Claim> claims = [WhereFinding.Claim(diagnosis, test), ArbiterFinding.Claim(diagnosis, test), NecessaryFinding.Claim(diagnosis, test, control),
            AmplificationFinding.Claim(diagnosis, test, plan)];
        // A sentence that could not be tested stays in the family, as one with p = 1: what is asked does not depend on the data.
        var holm = MultipleComparisons.Holm([.. claims.Select(c => double.IsNaN(c.P) ? 1 : c.P)]);
        return [.. claims.Zip(holm, (claim, p) => Finding(claim, p, test.Clusters.Count))];
    }

    /// <summary>Draws that a claim needs to survive as the strongest of all sentences.</summary>
    public static int DrawsNeeded => PermutationRank.Needed(MultipleComparisons.Level, family: 4);

    private static Finding Finding(Claim claim, double holm, int samples)
    {
        var (status, text, needed) = claim.Say(holm <= MultipleComparisons.Level);
        var corrected = status == FindingStatus.Present ? $" ({Wording.P(holm)} after Holm)" : "";
        return new Finding(status, $"{text}{corrected}.",
            new FindingTest(claim.What, claim.P, holm, claim.Effect, claim.Samples ?? samples, needed, claim.Draws));
    }
}
