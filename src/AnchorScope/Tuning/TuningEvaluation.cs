using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>Collects what every arm does on the test sets, and reduces it to means with intervals.</summary>
internal sealed class TuningEvaluation
{
    /// <summary>The arm that changes nothing.</summary>
    public const string Baseline = "baseline";

    private readonly IReadOnlyList<TuningItem> _items;
    private readonly IReadOnlyList<MeasuredRun> _runs;

    public TuningEvaluation(TuningData test)
    {
        _items = test.Items;
        _runs = [.. _items.Select(i => new MeasuredRun(i.Sample, i.Run, new RunResult(i.Run.Id, i.Entities.Following, i.Entities.Competing), i.Entities))];
    }

    /// <summary>Adds an arm.</summary>
    /// <param name="outcomes">One for each item of the test data.</param>
    public void Add(string arm, IReadOnlyList<Outcome> outcomes)
    {
        for (var i = 0; i < _runs.Count; i++) _runs[i].Result.Outcomes[arm] = outcomes[i];
    }

    /// <summary>Every set under the arms, those without a conflict last.</summary>
    public IReadOnlyList<TuningSet> Sets(IReadOnlyList<string> arms, ulong seed)
    {
        var draws = new BootstrapDraws(seed);
        return [.. _items.Zip(_runs).GroupBy(p => (p.First.Set, p.First.Conflict)).OrderBy(g => !g.Key.Conflict).Select(group =>
        {
            var set = new MeasuredSet(group.Key.Set, [.. group.Select(p => p.Second)], draws);
            return new TuningSet(group.Key.Set, group.Key.Conflict, set.Runs.Count, [.. arms.Select(arm => new TuningRate(
                arm, set.Split(r => r.Follows(arm)), set.Split(r => r.Follows(arm) - r.Follows(Baseline)), set.Split(r => r.Competes(arm)),
                group.Key.Conflict ? null : set.Mean(r => r.Result.Outcomes[arm].Divergence)))]);
        })];
    }
}
