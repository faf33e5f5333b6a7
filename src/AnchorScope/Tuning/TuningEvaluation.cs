using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>Collects the results of every arm on the test sets, and reduces them to means with intervals.</summary>
internal sealed class TuningEvaluation
{
    /// <summary>The arm without a change.</summary>
    public const string Baseline = "baseline";

    /// <summary>The arm that the others are compared with, and the prefix of the names of random arms.</summary>
    public const string Tuned = "tuned", Random = "random/";

    private readonly IReadOnlyList<TuningItem> _items;
    private readonly IReadOnlyList<MeasuredRun> _runs;

    public TuningEvaluation(TuningData test)
    {
        _items = test.Items;
        _runs = [.. _items.Select(
            i => new MeasuredRun(i.Sample, i.Run, new RunResult(i.Run.Id, i.Entities.Following, i.Entities.Competing), i.Entities))];
    }

    /// <summary>Adds an arm.</summary>
    /// <param name="outcomes">One for each item of the test data.</param>
    public void Add(string arm, IReadOnlyList<Outcome> outcomes)
    {
        for (var i = 0; i < _runs.Count; i++) _runs[i].Result.Outcomes[arm] = outcomes[i];
    }

    /// <summary>The results of every set under the arms; sets without a conflict are last.</summary>
    public IReadOnlyList<TuningSet> Sets(IReadOnlyList<string> arms, ulong seed)
    {
        var draws = new BootstrapDraws(seed);
        List<string> random = [.. arms.Where(a => a.StartsWith(Random, StringComparison.Ordinal))];
        return [.. _items.Zip(_runs).GroupBy(p => (p.First.Set, p.First.Conflict)).OrderBy(g => !g.Key.Conflict).Select(group =>
        {
            var set = new MeasuredSet(group.Key.Set, [.. group.Select(p => p.Second)], draws);
            return new TuningSet(group.Key.Set, group.Key.Conflict, set.Runs.Count, [.. arms.Select(arm => new TuningRate(
                arm, set.SplitShare(r => r.Follows(arm)), set.SplitDifference(r => r.Follows(arm) - r.Follows(Baseline)),
                    set.SplitShare(r => r.Competes(arm)),
                group.Key.Conflict ? null : set.Mean(r => r.Result.Outcomes[arm].Divergence))
            {
                TunedMinus = arm == Tuned ? null : set.SplitDifference(r => r.Follows(Tuned) - r.Follows(arm)),
            })])
            {
                TunedMinusRandom = random.Count == 0 ? null : set.By(some => some.BeyondDraws(Tuned, random, (r, arm) => r.Follows(arm))),
            };
        })];
    }

    /// <summary>The rank of the tuned heads among random ones, over all test runs with a conflict; null without draws.</summary>
    public PermutationRank? Rank(IReadOnlyList<string> arms)
    {
        List<string> random = [.. arms.Where(a => a.StartsWith(Random, StringComparison.Ordinal))];
        var runs = _items.Zip(_runs).Where(p => p.First.Conflict).Select(p => p.Second).ToList();
        return random.Count == 0 || runs.Count == 0 ? null
            : PermutationRank.Of(runs.Average(r => r.Follows(Tuned)), random.Select(arm => runs.Average(r => r.Follows(arm))));
    }
}
