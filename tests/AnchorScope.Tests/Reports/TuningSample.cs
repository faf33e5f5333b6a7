using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tuning;

namespace AnchorScope.Tests.Reports;

/// <summary>A tuning with two arms, a conflict set, and a circuit before and after.</summary>
internal static class TuningSample
{
    public static TuningResult Of(IReadOnlyList<HeadId> heads, int before = 3, int shared = 2)
    {
        var half = new Estimate(0.5, 0.4, 0.6, 400);
        var all = new ByInstruction(half, half, half);
        TuningArm Arm(string name) => new()
        {
            Name = name, Heads = [], Learnt = 3, Rate = 0.05, Steps = 20, BestStep = 20,
            Validation = new TuningLoss(1, 0, 1, 0.5), Gains = [],
            Curve = [],
        };
        TuningRate Rate(string name) => new(name, all, all, all, null) { TunedMinus = all };
        HeadId[] best = [.. Enumerable.Range(0, before).Select(i => new HeadId(0, i))];
        return new TuningResult
        {
            Tool = "AnchorScope", Model = new ModelFacts("m", "f", new string('0', 64), "", 8, 8, null), HeadSet = "heads.json",
                HeadSetSha256 = new string('0', 64), Heads = heads,
            Variants = new Dictionary<string, string>(StringComparer.Ordinal) { ["learnt"] = "gains" },
                Options = new TuningOptions { Kind = TuningKind.Gain },
            Data = new Dictionary<string, IReadOnlyList<SetFacts>>(StringComparer.Ordinal)
            {
                ["test"] = [new SetFacts("test", "00", 200, 0)],
            },
            Arms = [Arm("baseline"), Arm("tuned")], RandomRank = null,
            Sets = [new TuningSet("test", true, 400, [Rate("baseline"), Rate("tuned")]) { TunedMinusRandom = null }],
            Circuit = new CircuitChange
            {
                Samples = 40,
                Score = "causal_margin",
                Before = best,
                After = best,
                Shared = shared,
                SharedByChance = 0.1,
                Correlation = 0.9,
                Named = [.. heads.Select(h => new HeadMove(h, 1, 1, 0.5, 2))],
                MamBefore = [all, all],
                MamAfter = [all, all],
                LdarBefore = [all, all],
                LdarAfter = [all, all],
            },
        };
    }
}
