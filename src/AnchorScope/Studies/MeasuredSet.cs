using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>A run of a set with what was measured on it.</summary>
internal sealed record MeasuredRun(int Sample, ConflictRun Run, RunResult Result, AnswerEntities Entities)
{
    public Outcome Baseline => Result.Outcomes["baseline"];

    /// <summary>Does not follow without intervention: what amplification is asked to repair.</summary>
    public bool Failed => Follows("baseline") == 0;

    public bool Has(string condition) => Result.Outcomes.ContainsKey(condition);

    /// <summary>1 where the likeliest token begins the instructed answer.</summary>
    public double Follows(string condition) => ModalityFollowing.ByArgMax(Result.Outcomes[condition].ArgMax, Entities.FollowingForms);

    /// <summary>1 where it begins the other modality's answer.</summary>
    public double Competes(string condition) => ModalityFollowing.ByArgMax(Result.Outcomes[condition].ArgMax, Entities.CompetingForms);

    /// <summary>1 where y_p has the larger logit of the two.</summary>
    public double Larger(string condition) => ModalityFollowing.ByLarger(Result.Outcomes[condition].Margin);
}

/// <summary>The runs of one set, and means over them with intervals.</summary>
internal sealed class MeasuredSet(string name, IReadOnlyList<MeasuredRun> runs, BootstrapDraws draws)
{
    public string Name => name;

    public IReadOnlyList<MeasuredRun> Runs => runs;

    /// <summary>All runs of <paramref name="set"/> in its order.</summary>
    /// <param name="resultsOf">The results of a sample.</param>
    public static MeasuredSet Of(ConflictSet set, Func<string, IReadOnlyList<RunResult>> resultsOf, Tokenizer tokenizer, BootstrapDraws draws)
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

    public MeasuredSet Where(Func<MeasuredRun, bool> some) => new(name, [.. runs.Where(some)], draws);

    /// <summary>Mean of <paramref name="value"/>, 95 % interval by resampling samples.</summary>
    public Estimate Mean(Func<MeasuredRun, double> value)
    {
        var (values, clusters) = (new double[runs.Count], new int[runs.Count]);
        var (cluster, last) = (-1, -1);
        for (var i = 0; i < runs.Count; i++)
        {
            if (runs[i].Sample != last) cluster++;
            last = runs[i].Sample;
            (values[i], clusters[i]) = (value(runs[i]), cluster);
        }
        return Bootstrap.Mean(values, draws, clusters);
    }

    /// <summary>The same over all runs and by instruction.</summary>
    public ByInstruction Split(Func<MeasuredRun, double> value) => new(
        Mean(value),
        Where(r => r.Run.Instruction == Modality.Vision).Mean(value),
        Where(r => r.Run.Instruction == Modality.Text).Mean(value));
}
