using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>Everything that was measured: the content of tune.json, from which the report is made. The same inputs give the same bytes.</summary>
internal sealed record TuningResult
{
    /// <summary>Version of this record's form.</summary>
    public int Schema { get; init; } = 2;

    /// <summary>Version of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>The original.</summary>
    public required ModelFacts Model { get; init; }

    /// <summary>Name of the head-set file.</summary>
    public required string HeadSet { get; init; }

    /// <summary>SHA-256 of its bytes.</summary>
    public required string HeadSetSha256 { get; init; }

    /// <summary>The named heads.</summary>
    public required IReadOnlyList<HeadId> Heads { get; init; }

    /// <summary>Definitions that are a choice.</summary>
    public required IReadOnlyDictionary<string, string> Variants { get; init; }

    /// <summary>Steps, rates and so on.</summary>
    public required TuningOptions Options { get; init; }

    /// <summary>What each set was used for: "train", "validate", "test".</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<SetFacts>> Data { get; init; }

    /// <summary>No change, what was tuned, and what it is compared with.</summary>
    public required IReadOnlyList<TuningArm> Arms { get; init; }

    /// <summary>Every test set, its runs with and without a conflict apart.</summary>
    public required IReadOnlyList<TuningSet> Sets { get; init; }

    /// <summary>
    /// The rank of the tuned heads' MFR among that of the random sets, over all test runs with a conflict; null without random sets.
    /// </summary>
    public PermutationRank? RandomRank { get; init; }

    /// <summary>A difference is absent where its whole interval is closer to 0 than this.</summary>
    public double EquivalenceMargin { get; init; } = DiagnosisOptions.DefaultMargin;

    /// <summary>The diagnoses before and after; null where none was asked for.</summary>
    public CircuitChange? Circuit { get; init; }
}

/// <summary>One way to change the model.</summary>
/// <param name="Name">"baseline", "tuned", "plain_gain", "random/0", "full".</param>
/// <param name="Heads">Those that are changed; none for "baseline" and "full".</param>
/// <param name="Learnt">Numbers that are learnt.</param>
/// <param name="Rate">Learning rate; null where nothing was learnt by steps.</param>
/// <param name="Steps">Steps done.</param>
/// <param name="BestStep">Step whose state was kept; 0 is no change.</param>
/// <param name="Validation">Of what was kept, before its weights were rounded.</param>
/// <param name="Gains">Where gains are what is changed.</param>
/// <param name="Curve">Points of the learning curve.</param>
internal sealed record TuningArm(
    string Name, IReadOnlyList<HeadId> Heads, long Learnt, double? Rate, int Steps, int BestStep, TuningLoss Validation, IReadOnlyList<HeadGain> Gains, IReadOnlyList<TuningPoint> Curve);

/// <summary>A test set under every arm.</summary>
/// <param name="Conflict">Whether these are its runs with a conflict; without one, following is giving the right answer.</param>
internal sealed record TuningSet(string Name, bool Conflict, int Runs, IReadOnlyList<TuningRate> Rates)
{
    /// <summary>
    /// The tuned heads' ratio minus the mean of the random sets', paired by run; the interval holds the variation between sets. Null
    /// without random sets.
    /// </summary>
    public ByInstruction? TunedMinusRandom { get; init; }
}

/// <summary>A test set under one arm, weights rounded to the stored type.</summary>
/// <param name="Arm">Its name.</param>
/// <param name="Follows">Share of runs whose likeliest token begins the instructed answer.</param>
/// <param name="Change">That minus the original's, paired by run.</param>
/// <param name="Competitor">Share whose likeliest token begins the other answer.</param>
/// <param name="Divergence">KL(original || this) of the next token, nats; only without a conflict.</param>
internal sealed record TuningRate(string Arm, ByInstruction Follows, ByInstruction Change, ByInstruction Competitor, Estimate? Divergence)
{
    /// <summary>The tuned heads' ratio minus this one, paired by run; null for the tuned heads themselves.</summary>
    public required ByInstruction? TunedMinus { get; init; }
}

/// <summary>Did the circuit move? Two diagnoses on the same samples.</summary>
/// <param name="Samples">At most so many of each set.</param>
/// <param name="Before">The best heads of the original, as many as 5 %.</param>
/// <param name="After">Those of the tuned model.</param>
/// <param name="Shared">How many are in both.</param>
/// <param name="SharedByChance">How many two random sets of that size share on average.</param>
/// <param name="Correlation">Spearman's, of the scores of all heads.</param>
/// <param name="Named">The named heads.</param>
/// <param name="MamBefore">MAM at the last position by layer; entering layer 0 first.</param>
/// <param name="MamAfter">The same of the tuned model.</param>
/// <param name="LdarBefore">LDAR at the last position.</param>
/// <param name="LdarAfter">The same of the tuned model.</param>
internal sealed record CircuitChange(
    int Samples, string Score, IReadOnlyList<HeadId> Before, IReadOnlyList<HeadId> After, int Shared, double SharedByChance, double Correlation, IReadOnlyList<HeadMove> Named,
    IReadOnlyList<ByInstruction> MamBefore, IReadOnlyList<ByInstruction> MamAfter, IReadOnlyList<ByInstruction> LdarBefore, IReadOnlyList<ByInstruction> LdarAfter)
{
    /// <summary>Compares two diagnoses.</summary>
    internal static CircuitChange Of(Diagnosis before, Diagnosis after, IReadOnlyList<HeadId> named, int samples)
    {
        double[] Flat(Diagnosis d) => [.. d.Heads.All.SelectMany(row => row)];
        var (old, now, heads) = (Flat(before), Flat(after), before.Model.Heads);
        var (oldOrder, newOrder) = (HeadRanking.Order(old, heads), HeadRanking.Order(now, heads));
        var count = before.Heads.Count;
        int Rank(IReadOnlyList<(int Layer, int Head)> order, HeadId h) => 1 + order.Select((o, i) => (o, i)).First(p => p.o == (h.Layer, h.Head)).i;
        HeadId[] Top(IReadOnlyList<(int Layer, int Head)> order) => [.. order.Take(count).Select(h => new HeadId(h.Layer, h.Head))];
        return new CircuitChange(
            samples, before.Variants["head_score"], Top(oldOrder), Top(newOrder), Top(oldOrder).Intersect(Top(newOrder)).Count(), (double)count * count / old.Length, HeadRanking.Spearman(old, now),
            [.. named.Select(h => new HeadMove(h, old[h.Layer * heads + h.Head], Rank(oldOrder, h), now[h.Layer * heads + h.Head], Rank(newOrder, h)))],
            before.Layers.MamLast, after.Layers.MamLast, before.Layers.LdarLast, after.Layers.LdarLast);
    }
}

/// <summary>A head in two rankings.</summary>
internal sealed record HeadMove(HeadId Head, double Before, int RankBefore, double After, int RankAfter);
