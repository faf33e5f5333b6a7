using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>A run of a set with its measurements.</summary>
internal sealed record MeasuredRun(int Sample, ConflictRun Run, RunResult Result, AnswerEntities Entities)
{
    public Outcome Baseline => Result.Outcomes[ConditionId.Baseline];

    /// <summary>
    /// Whether the run does not follow its instruction without intervention. These are the runs that amplification should repair.
    /// </summary>
    public bool Failed => Follows(ConditionId.Baseline) == 0;

    public bool Has(string condition) => Result.Outcomes.ContainsKey(condition);

    /// <summary>1 if the likeliest token begins the instructed answer, otherwise 0.</summary>
    public double Follows(string condition) => ModalityFollowing.ByArgMax(Result.Outcomes[condition].ArgMax, Entities.FollowingForms);

    /// <summary>1 if the likeliest token begins the other modality's answer, otherwise 0.</summary>
    public double Competes(string condition) => ModalityFollowing.ByArgMax(Result.Outcomes[condition].ArgMax, Entities.CompetingForms);

    /// <summary>1 if y_p has the larger logit of the two, otherwise 0.</summary>
    public double Larger(string condition) => ModalityFollowing.ByLarger(Result.Outcomes[condition].Margin);
}

/// <summary>The runs of one set, and means over them with intervals. Runs that share a picture form one cluster.</summary>
internal sealed class MeasuredSet(string name, IReadOnlyList<MeasuredRun> runs, BootstrapDraws draws)
{
    public string Name => name;

    public IReadOnlyList<MeasuredRun> Runs => runs;

    /// <summary>Clusters by picture, or by sample if it has none.</summary>
    public Clusters Clusters { get; } = Clusters.By(runs.Select(r => r.Run.Sample.Image is { } image ? (image, 0) : ("", r.Sample)));

    /// <summary>Whether there are too few clusters for a claim.</summary>
    public bool IsFew => Clusters.Count < Clusters.Fewest;

    /// <summary>All runs of <paramref name="set"/>, in its order.</summary>
    /// <param name="resultsOf">Returns the results of a sample.</param>
    public static MeasuredSet Of(ConflictSet set, Func<string, IReadOnlyList<RunResult>> resultsOf, Tokenizer tokenizer,
        BootstrapDraws draws)
    {
        var runs = new List<MeasuredRun>();
        for (var i = 0; i < set.Samples.Count; i++)
        {
            var results = resultsOf(set.Samples[i].Id);
            foreach (var run in set.Samples[i].Runs)
            {
                var entities = AnswerEntities.Of(run, tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
                runs.Add(new MeasuredRun(i, run, results.First(r => r.Run == run.Id), entities));
            }
        }
        return new MeasuredSet(set.Name, runs, draws);
    }

    /// <summary>The runs of several sets as one set.</summary>
    public static MeasuredSet Join(string name, IReadOnlyList<MeasuredSet> sets, BootstrapDraws draws)
    {
        var (runs, samples) = (new List<MeasuredRun>(), 0);
        foreach (var set in sets)
        {
            runs.AddRange(set.Runs.Select(r => r with { Sample = samples + r.Sample }));
            samples += set.Runs.Select(r => r.Sample + 1).DefaultIfEmpty(0).Max();
        }
        return new MeasuredSet(name, runs, draws);
    }

    public MeasuredSet Where(Func<MeasuredRun, bool> some) => new(name, [.. runs.Where(some)], draws);

    /// <summary>Mean of a real value, such as a margin; 95 % interval by resampling clusters.</summary>
    public Estimate Mean(Func<MeasuredRun, double> value) => Bootstrap.Mean(Values(value), draws, Clusters.Of);

    /// <summary>
    /// Sum of one value divided by the sum of another; 95 % interval from the clustered variance of the residuals (delta method, Student's
    /// t).
    /// </summary>
    public Estimate Ratio(Func<MeasuredRun, double> value, Func<MeasuredRun, double> by)
    {
        double[] above = [.. Values(value)], below = [.. Values(by)];
        if (above.Length == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        var ratio = above.Sum() / below.Sum();
        if (Clusters.Count < 2) return new Estimate(ratio, double.NaN, double.NaN, above.Length);
        var error = Math.Sqrt(Clusters.VarianceOfMean([.. above.Zip(below, (a, b) => a - ratio * b)])) / Math.Abs(below.Average());
        var half = StudentT.Point95(Clusters.Count - 1) * error;
        return new Estimate(ratio, ratio - half, ratio + half, above.Length);
    }

    /// <summary>Share of runs; <paramref name="value"/> is 0 or 1.</summary>
    public Estimate Share(Func<MeasuredRun, double> value) => Proportion.Of(Values(value), Clusters);

    /// <summary>Two-sided p of the hypothesis that such a share is <paramref name="expected"/>.</summary>
    public double ShareP(Func<MeasuredRun, double> value, double expected) => Proportion.P(Values(value), Clusters, expected);

    /// <summary>
    /// Share of runs, as a mean over conditions that are random draws. The interval includes the variation between draws.
    /// </summary>
    public Estimate DrawnShare(IReadOnlyList<string> conditions, Func<MeasuredRun, string, double> value) =>
        Proportion.OfDraws([.. conditions.Select(c => Values(r => value(r, c)))], Clusters);

    /// <summary>Paired difference of two shares; <paramref name="value"/> is 1, 0 or -1.</summary>
    public PairedTest Difference(Func<MeasuredRun, double> value) => PairedDifference.Of(Values(value), Clusters);

    /// <summary>Share under one condition minus the mean share under several that are random draws.</summary>
    public Estimate BeyondDraws(string condition, IReadOnlyList<string> drawn, Func<MeasuredRun, string, double> value) =>
        PairedDifference.OfDraws(Values(r => value(r, condition)), [.. drawn.Select(c => Values(r => value(r, c)))], Clusters);

    /// <summary>Two-sided p of the hypothesis that the mean of a real value is 0.</summary>
    public double P(Func<MeasuredRun, double> value) => Clusters.TTest(Values(value));

    /// <summary>The largest rise of the mean of a curve.</summary>
    public LargestRise? Rise(Func<MeasuredRun, IReadOnlyList<double>> curve) => runs.Count == 0 ? null
        : LargestRise.Of([.. runs.Select(curve)], Clusters, draws);

    /// <summary>Correlation of two values that are 0 or 1.</summary>
    public double Correlation(Func<MeasuredRun, double> first, Func<MeasuredRun, double> second) =>
        ProportionDifference.Correlation(Values(first), Values(second));

    /// <summary>The mean over all runs and by instruction.</summary>
    public ByInstruction Split(Func<MeasuredRun, double> value) => By(set => set.Mean(value));

    /// <summary>The share over all runs and by instruction.</summary>
    public ByInstruction SplitShare(Func<MeasuredRun, double> value) => By(set => set.Share(value));

    /// <summary>The paired difference over all runs and by instruction.</summary>
    public ByInstruction SplitDifference(Func<MeasuredRun, double> value) => By(set => set.Difference(value).Difference);

    /// <summary>An estimate over all runs and by instruction.</summary>
    public ByInstruction By(Func<MeasuredSet, Estimate> estimate) => new(
        estimate(this), estimate(Where(r => r.Run.Instruction == Modality.Vision)),
            estimate(Where(r => r.Run.Instruction == Modality.Text)));

    private double[] Values(Func<MeasuredRun, double> value) => [.. runs.Select(value)];
}
