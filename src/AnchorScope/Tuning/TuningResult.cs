using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>All measurements: the content of tune.json, from which the report is made. The same inputs give the same bytes.</summary>
internal sealed record TuningResult
{
    /// <summary>Version of the format of this record.</summary>
    public int Schema { get; init; } = 2;

    /// <summary>Version of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>The original model.</summary>
    public required ModelFacts Model { get; init; }

    /// <summary>Name of the head-set file.</summary>
    public required string HeadSet { get; init; }

    /// <summary>SHA-256 of the head-set file's bytes.</summary>
    public required string HeadSetSha256 { get; init; }

    /// <summary>The named heads.</summary>
    public required IReadOnlyList<HeadId> Heads { get; init; }

    /// <summary>Named definitions that were a choice.</summary>
    public required IReadOnlyDictionary<string, string> Variants { get; init; }

    /// <summary>Training options.</summary>
    public required TuningOptions Options { get; init; }

    /// <summary>The sets by use: "train", "validate", "test".</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<SetFacts>> Data { get; init; }

    /// <summary>The arms: no change, the tuned heads, and the comparisons.</summary>
    public required IReadOnlyList<TuningArm> Arms { get; init; }

    /// <summary>Every test set, with runs with and without a conflict separated.</summary>
    public required IReadOnlyList<TuningSet> Sets { get; init; }

    /// <summary>
    /// Rank of the tuned heads' MFR among those of the random sets, over all test runs with a conflict; null without random sets.
    /// </summary>
    public PermutationRank? RandomRank { get; init; }

    /// <summary>A difference counts as absent if its whole interval is closer to 0 than this.</summary>
    public double EquivalenceMargin { get; init; } = DiagnosisOptions.DefaultMargin;

    /// <summary>The comparison of diagnoses before and after; null if there are none.</summary>
    public CircuitChange? Circuit { get; init; }
}

/// <summary>One way of changing the model.</summary>
internal sealed record TuningArm
{
    /// <summary>"baseline", "tuned", "plain_gain", "random/0", "full".</summary>
    public required string Name { get; init; }

    /// <summary>The heads that are changed; empty for "baseline" and "full".</summary>
    public required IReadOnlyList<HeadId> Heads { get; init; }

    /// <summary>Number of trained values.</summary>
    public required long Learnt { get; init; }

    /// <summary>Learning rate; null if nothing was trained by steps.</summary>
    public required double? Rate { get; init; }

    /// <summary>Number of steps done.</summary>
    public required int Steps { get; init; }

    /// <summary>Step whose state was kept; 0 is no change.</summary>
    public required int BestStep { get; init; }

    /// <summary>Loss of the kept state, before its weights were rounded.</summary>
    public required TuningLoss Validation { get; init; }

    /// <summary>The gains, if gains are changed.</summary>
    public required IReadOnlyList<HeadGain> Gains { get; init; }

    /// <summary>Points of the learning curve.</summary>
    public required IReadOnlyList<TuningPoint> Curve { get; init; }
}

/// <summary>A test set under every arm.</summary>
/// <param name="Conflict">Whether these are the runs with a conflict. Without a conflict, following means giving the correct
/// answer.</param>
internal sealed record TuningSet(string Name, bool Conflict, int Runs, IReadOnlyList<TuningRate> Rates)
{
    /// <summary>
    /// The tuned heads' ratio minus the mean of the random sets', paired by run. The interval includes the variation between sets. Null
    /// without random sets.
    /// </summary>
    public ByInstruction? TunedMinusRandom { get; init; }
}

/// <summary>A test set under one arm, with weights rounded to the stored type.</summary>
/// <param name="Arm">Name of the arm.</param>
/// <param name="Follows">Share of runs whose likeliest token begins the instructed answer.</param>
/// <param name="Change">That share minus the original's, paired by run.</param>
/// <param name="Competitor">Share whose likeliest token begins the other answer.</param>
/// <param name="Divergence">KL(original || this) of the next token in nats; only without a conflict.</param>
internal sealed record TuningRate(string Arm, ByInstruction Follows, ByInstruction Change, ByInstruction Competitor, Estimate? Divergence)
{
    /// <summary>The tuned heads' ratio minus this one, paired by run; null for the tuned heads themselves.</summary>
    public required ByInstruction? TunedMinus { get; init; }
}

/// <summary>The change of the circuit, from two diagnoses on the same samples.</summary>
internal sealed record CircuitChange
{
    /// <summary>Maximum number of samples of each set.</summary>
    public required int Samples { get; init; }

    public required string Score { get; init; }

    /// <summary>The best 5 % of heads of the original.</summary>
    public required IReadOnlyList<HeadId> Before { get; init; }

    /// <summary>The best 5 % of heads of the tuned model.</summary>
    public required IReadOnlyList<HeadId> After { get; init; }

    /// <summary>Number of heads in both.</summary>
    public required int Shared { get; init; }

    /// <summary>Expected number of common heads of two random sets of that size.</summary>
    public required double SharedByChance { get; init; }

    /// <summary>Spearman correlation of the scores of all heads.</summary>
    public required double Correlation { get; init; }

    /// <summary>The named heads.</summary>
    public required IReadOnlyList<HeadMove> Named { get; init; }

    /// <summary>MAM at the last position by layer; the first value is before layer 0.</summary>
    public required IReadOnlyList<ByInstruction> MamBefore { get; init; }

    /// <summary>The same for the tuned model.</summary>
    public required IReadOnlyList<ByInstruction> MamAfter { get; init; }

    /// <summary>LDAR at the last position.</summary>
    public required IReadOnlyList<ByInstruction> LdarBefore { get; init; }

    /// <summary>The same for the tuned model.</summary>
    public required IReadOnlyList<ByInstruction> LdarAfter { get; init; }

    /// <summary>Compares two diagnoses.</summary>
    internal static CircuitChange Of(Diagnosis before, Diagnosis after, IReadOnlyList<HeadId> named, int samples)
    {
        double[] Flat(Diagnosis d) => [.. d.Heads.All.SelectMany(row => row)];
        var (old, now, heads) = (Flat(before), Flat(after), before.Model.Heads);
        var (oldOrder, newOrder) = (HeadRanking.Order(old, heads), HeadRanking.Order(now, heads));
        var count = before.Heads.Count;
        int Rank(IReadOnlyList<(int Layer, int Head)> order, HeadId h) =>
            1 + order.Select((o, i) => (o, i)).First(p => p.o == (h.Layer, h.Head)).i;
        HeadId[] Top(IReadOnlyList<(int Layer, int Head)> order) => [.. order.Take(count).Select(h => new HeadId(h.Layer, h.Head))];
        return new CircuitChange
        {
            Samples = samples,
            Score = before.Variants["head_score"],
            Before = Top(oldOrder),
            After = Top(newOrder),
            Shared = Top(oldOrder).Intersect(Top(newOrder)).Count(),
            SharedByChance = (double)count * count / old.Length,
            Correlation = HeadRanking.Spearman(old, now),
            Named = [.. named.Select(
                h => new HeadMove(h, old[h.Layer * heads + h.Head], Rank(oldOrder, h), now[h.Layer * heads + h.Head], Rank(newOrder, h)))],
            MamBefore = before.Layers.MamLast,
            MamAfter = after.Layers.MamLast,
            LdarBefore = before.Layers.LdarLast,
            LdarAfter = after.Layers.LdarLast,
        };
    }
}

/// <summary>A head in two rankings.</summary>
internal sealed record HeadMove(HeadId Head, double Before, int RankBefore, double After, int RankAfter);
