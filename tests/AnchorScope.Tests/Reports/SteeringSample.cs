using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Reports;

/// <summary>A study of directions with one direction and one gain.</summary>
internal static class SteeringSample
{
    private static readonly Estimate Half = new(0.5, 0.4, 0.6, 160);

    public static SteeringResult Of(int testRuns, int failed, int draws = 79)
    {
        var chosen = new SteeringChoice("L3", 2, Half);
        var side = new TurnedSide(Half, Half, Half);
        var rank = new PermutationRank(0, draws);
        var effect = new RepairEffect(testRuns, Half, Half, Half);
        var repair = new SteeringRepair
        {
            Chosen = chosen,
            Test = effect,
            Control = effect,
            Unseen = effect,
            BeyondGain = Half,
            Random = rank,
            Matched = rank,
            MatchedReached = draws,
            P = 0.01,
            Status = FindingStatus.Present,
            Text = "It repairs.",
        };
        TurnedRuns Turned(double strength) => new("L3", strength, new TurnedShares(Half, Half), new TurnedShares(Half, Half));
        return new SteeringResult
        {
            Schema = 1,
            Tool = "AnchorScope",
            Model = new ModelFacts("m", "f", new string('0', 64), "", 8, 8, null),
            Data = [new SetFacts("test", "00", testRuns / 2, 0)],
            Variants = new Dictionary<string, string>(StringComparer.Ordinal) { ["preset"] = "default" },
            Seed = 0,
            EquivalenceMargin = 0.05,
            Heads = new DiagnosedHeads([], [], [], []),
            FittedRuns = 1,
            ValidationRuns = 1,
            Failed = failed,
            TestRuns = testRuns,
            ControlRuns = 10,
            UnseenRuns = 10,
            BestGain = null,
            BestResidual = null,
            Methods =
            [
                new SteeredMethod
                {
                    Name = "query_mean",
                    What = "queries",
                    Signed = true,
                    Lowest = -2,
                    Highest = 2,
                    Turn = new SteeringTurn
                    {
                        Chosen = chosen,
                        Score = Half,
                        ToPicture = side,
                        ToText = side,
                        Control = Half,
                        Unseen = Half,
                        BeyondResidual = Half,
                        Random = rank,
                        P = 0.01,
                        Status = FindingStatus.Present,
                        Text = "It turns.",
                    },
                    Repair = repair,
                    Turned = [.. Enumerable.Range(-12, 25).Select(i => Turned(i / 4.0))],
                },
 new SteeredMethod
                {
                    Name = "gain",
                    What = "outputs",
                    Signed = false,
                    Lowest = 1,
                    Highest = 2,
                    Turn = null,
                    Repair = repair,
                    Turned = [],
                },
            ],
        };
    }
}
