using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>A run of a set with what was measured on it.</summary>
internal sealed record MeasuredRun(int Sample, ConflictRun Run, RunResult Result, AnswerEntities Entities)
{
    public Outcome Baseline => Result.Outcomes[ConditionId.Baseline];

    /// <summary>Does not follow without intervention: what amplification is asked to repair.</summary>
    public bool Failed => Follows(ConditionId.Baseline) == 0;

    public bool Has(string condition) => Result.Outcomes.ContainsKey(condition);

    /// <summary>1 where the likeliest token begins the instructed answer.</summary>
    public double Follows(string condition) => ModalityFollowing.ByArgMax(Result.Outcomes[condition].ArgMax, Entities.FollowingForms);

    /// <summary>1 where it begins the other modality's answer.</summary>
    public double Competes(string condition) => ModalityFollowing.ByArgMax(Result.Outcomes[condition].ArgMax, Entities.CompetingForms);

    /// <summary>1 where y_p has the larger logit of the two.</summary>
    public double Larger(string condition) => ModalityFollowing.ByLarger(Result.Outcomes[condition].Margin);
}

/// <summary>The runs of one set, and means over them with intervals. Runs that share a picture are a cluster.</summary>
internal sealed class MeasuredSet(string name, IReadOnlyList<MeasuredRun> runs, BootstrapDraws draws)
{
    public string Name => name;

    public IReadOnlyList<MeasuredRun> Runs => runs;

    /// <summary>By picture, or by sample where there is none.</summary>
    public Clusters Clusters { get; } = Clusters.By(runs.Select(r => r.Run.Sample.Image is { } image ? (image, 0) : ("", r.Sample)));

    /// <summary>Whether there are too few clusters to say anything.</summary>
    public bool IsFew => Clusters.Count < Clusters.Fewest;

    /// <summary>All runs of <paramref name="set"/> in its order.</summary>
    /// <param name="resultsOf">The results of a sample.</param>
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

    /// <summary>The runs of several sets as one.</summary>
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

    /// <summary>Sum of one value over the sum of another; 95 % interval from the clustered variance of the residuals (delta method, Student's t).</summary>
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

    /// <summary>Share of runs, <paramref name="value"/> being 0 or 1.</summary>
    public Estimate Share(Func<MeasuredRun, double> value) => Proportion.Of(Values(value), Clusters);

    /// <summary>Two-sided p that such a share is <paramref name="expected"/>.</summary>
    public double ShareP(Func<MeasuredRun, double> value, double expected) => Proportion.P(Values(value), Clusters, expected);

    /// <summary>Share of runs, mean over conditions that are random draws; the interval holds the variation between them.</summary>
    public Estimate DrawnShare(IReadOnlyList<string> conditions, Func<MeasuredRun, string, double> value) =>
        Proportion.OfDraws([.. conditions.Select(c => Values(r => value(r, c)))], Clusters);

    /// <summary>Paired difference of two shares, <paramref name="value"/> being 1, 0 or -1.</summary>
    public PairedTest Difference(Func<MeasuredRun, double> value) => PairedDifference.Of(Values(value), Clusters);

    /// <summary>One condition's share minus the mean of several that are random draws.</summary>
    public Estimate BeyondDraws(string condition, IReadOnlyList<string> drawn, Func<MeasuredRun, string, double> value) =>
        PairedDifference.OfDraws(Values(r => value(r, condition)), [.. drawn.Select(c => Values(r => value(r, c)))], Clusters);

    /// <summary>Two-sided p that the mean of a real value is 0.</summary>
    public double P(Func<MeasuredRun, double> value) => Clusters.TTest(Values(value));

    /// <summary>Where the mean of a curve rises most.</summary>
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

    /// <summary>Something over all runs and by instruction.</summary>
    public ByInstruction By(Func<MeasuredSet, Estimate> estimate) => new(
        estimate(this), estimate(Where(r => r.Run.Instruction == Modality.Vision)),
            estimate(Where(r => r.Run.Instruction == Modality.Text)));

    private double[] Values(Func<MeasuredRun, double> value) => [.. runs.Select(value)];
}
