using System.Diagnostics;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Estimates the cost of a diagnosis before it runs: the interventions of every phase on the first samples of its set, at their planned
/// cost. Heads that only the ranking will choose are replaced by random ones, so that their layers are neither the best nor the worst case.
/// </summary>
internal sealed class DiagnosisEstimator
{
    /// <summary>A forward and a backward pass cost as much as three forward passes.</summary>
    private const int Backward = 3;

    /// <summary>
    /// Seconds for which plain runs are repeated to measure their rate, because the first runs of a small model are slower.
    /// </summary>
    private const double Measured = 0.2;

    private readonly DiagnosisStudy _study;
    private readonly DiagnosisConditions _conditions;
    private readonly ISession _session;
    private readonly ConflictPrompts _built;
    private readonly HeadPlan _plan;
    private readonly Dictionary<string, IReadOnlyList<Prompt>> _prompts = new(StringComparer.Ordinal);
    private readonly List<PhaseEstimate> _phases = [];
    private long _workBytes;

    public DiagnosisEstimator(DiagnosisStudy study, DiagnosisConditions conditions, ISession session)
    {
        (_study, _conditions, _session) = (study, conditions, session);
        _built = new ConflictPrompts(study.Model, study.Data.Layout, session);
        var shape = Shape;
        var random = new SplitMix(study.Options.Seed);
        double[] scores = [.. Enumerable.Range(0, shape.Layers * shape.Heads).Select(_ => random.Uniform())];
        _plan = new HeadPlan(scores, scores, scores, shape.Layers, shape.Heads, study.Options);
    }

    /// <summary>Computes the estimate.</summary>
    /// <param name="workers">Number of concurrent passes.</param>
    /// <param name="weightBytes">Bytes of weights in memory.</param>
    public StudyEstimate Of(int workers, long weightBytes)
    {
        var (data, options) = (_study.Data, _study.Options);
        foreach (var set in data.Sets) _prompts[set.Name] = Built(set.Samples[0]);
        var exact = options.Variants.Screen == HeadScreen.Exact;
        var points = options.Variants.Screen switch { HeadScreen.Exact => 0, HeadScreen.Slope => 1, _ => SampleRunner.Steps };
        foreach (var (phase, samples) in _study.Phases) Count(phase, samples, exact, points);
        return new StudyEstimate(_phases, workers, weightBytes, workers * _workBytes)
        {
            SecondsPerOperation = SecondsPerOperation(), SecondsPerPicture = SecondsPerPicture(),
        };
    }

    private DecoderShape Shape => _study.Model.Engine.Shape;

    private void Count(string phase, int samples, bool exact, int points)
    {
        var (rank, test, few) = (_study.Data.Rank.Name, _study.Data.Test.Name, _plan.WithFewDraws(all: HeadPlan.Random));
        var factors = _study.Options.Gains.Where(g => g > 1).ToList();
        var draws = Math.Min(AmplificationStudy.MatchedDraws, _study.Options.Draws);
        var sets = InterchangeStudy.Searches.Count;
        switch (phase)
        {
            case "rank":
                Add(phase, rank, samples,
                    p => Plain(p) + Answer(p) + points * Back(p)
                        + Variants(p, exact ? _conditions.Alone(p, _conditions.EachHead, null) : []));
                break;
            case "verify":
                var candidates = HeadRanking.Count(Math.Max(Candidates.HeadShare, _study.Options.Shares.Max()),
                    Shape.Layers * Shape.Heads, TopRounding.Ceiling);
                Add(phase, rank, samples, p => Plain(p) + Variants(p, _conditions.Alone(p, _plan.Order.Take(candidates), null)));
                break;
            case "parts":
                // The gradients that select candidate parts are computed in the ranking phase, on the same samples.
                Add(phase, rank, samples, p => Plain(p) + Back(p) + Variants(p, Parts(p)));
                break;
            case "test":
                Work Test(Prompt p, bool failed) => Plain(p) + Answer(p) + Variants(p,
                    [.. _conditions.Knockouts(p, null), .. _conditions.Blocks(p, _plan, controls: true, null),
                        .. _conditions.Gains(p, _plan, failed)]);
                Add(phase, test, samples, p => Test(p, failed: false), p => Test(p, failed: true));
                break;
            case "hard" or "factor":
                Work Choosing(Prompt p, bool failed) => Plain(p) + Answer(p) + Variants(p, _conditions.Gains(p, few, failed));
                Add(phase, phase == "hard" ? _study.Data.Hard!.Name : rank, samples, p => Choosing(p, failed: false),
                    p => Choosing(p, failed: true));
                break;
            case "control":
                var control = _plan.WithFewDraws();
                Add(phase, _study.Data.Control!.Name, samples,
                    p => Plain(p) + Answer(p) + Variants(
                        p, [.. _conditions.Blocks(p, control, controls: true, null), .. _conditions.Gains(p, control, controls: false)]));
                break;
            case AmplificationStudy.NormPhase:
                var runs = (factors.Count > 0 ? 1 : 0) + draws * StrengthMatch.Further(factors).Count;
                Add(phase, (_study.Data.Hard ?? _study.Data.Rank).Name, samples, _ => default, p => Plain(p) + Variants(p, Drawn(p, runs)));
                break;
            case AmplificationStudy.MatchedPhase:
                Add(phase, test, samples, _ => default, p => Plain(p) + Variants(p, Drawn(p, draws)));
                break;
            case "profile":
                Donors(phase, rank, samples,
                    [InterchangeStudy.ProfileKinds.SelectMany(k => _conditions.EachHead.Select(h => new Exchange(k.Factor, k.What, [h])))]);
                break;
            case "search":
                // Every step of every search is a phase. The maximum is reached if no single head helps: then singles are followed by
                // pairs.
                var each = samples / (sets * InterchangeStudy.MostHeads);
                Donors(phase, rank, each, [.. Steps(1), .. Pairs(2)], [.. Enumerable.Range(0, InterchangeStudy.MostHeads / 2)
                    .SelectMany(i => Steps(2 * i + 1).Concat(Pairs(2 * i + 2)))]);
                break;
            case "attribute":
                var paired = Share(_study.Data.Rank, samples, DonorFactor.Instruction);
                Add(phase, rank, samples, p => Plain(p) + paired * (Plain(p) + InterchangeAttribution.Steps * Back(p)));
                break;
            case "exchange":
                List<((int Layer, int Head) Head, Estimate Moved)> attributed = [.. _plan.Order.Select(h => (h, default(Estimate)))];
                IEnumerable<Exchange> Tested(int size) =>
                    InterchangeStudy.TestExchanges(Shape, Found(size), _plan.Arbitration, attributed).DistinctBy(e => e.Condition);
                Donors(phase, test, samples, [Tested(0)], [Tested(InterchangeStudy.MostHeads)]);
                break;
            case "exchange_random":
                IEnumerable<Exchange> Random(int size) =>
                    Found(size).SelectMany(s => Enumerable.Range(0, _study.Options.Draws + 1).Select(i => s.Search.Of(Some(i, size))));
                Donors(phase, test, samples, [[]], [Random(InterchangeStudy.MostHeads)]);
                break;
            default:
                var ways = Enum.GetValues<AblationVariant>().Length;
                // Besides the necessary heads, the sets that were found; and a donor run whose values replace what is removed.
                Work Ablated(Prompt p, int found) => 2 * Plain(p) + Variants(p,
                    [.. Enumerable.Range(0, ways * (found + 1)).Select(
                        i => Intervention.HeadGain($"{i}", Some(i, InterchangeStudy.MostHeads), 0, At(p)))]);
                Add(phase, test, samples, p => Ablated(p, 0), p => Ablated(p, sets));
                break;
        }
    }

    /// <summary>One phase per search: single heads are added to a set of <paramref name="size"/> - 1 heads.</summary>
    private IEnumerable<IEnumerable<Exchange>> Steps(int size) => InterchangeStudy.Searches.Select(search =>
        Enumerable.Range(0, Math.Min(InterchangeStudy.Pool, _plan.Order.Count)).Select(i => search.Of(Some(i, size))));

    /// <summary>One phase per search: pairs of heads are added.</summary>
    private IEnumerable<IEnumerable<Exchange>> Pairs(int size)
    {
        var pool = Math.Min(InterchangeStudy.Paired, _plan.Order.Count);
        return InterchangeStudy.Searches.Select(search => Enumerable.Range(0, pool * (pool - 1) / 2).Select(i => search.Of(Some(i, size))));
    }

    private List<SearchedSet> Found(int size) => [.. InterchangeStudy.Searches.Select((search, i) => new SearchedSet(
        search, [.. Enumerable.Range(1, size).Select(count => new SearchStep(Some(i, count), ExchangeEffect.NoPairs))], []))];

    /// <summary>An arbitrary selection of heads that differs by <paramref name="number"/>.</summary>
    private IReadOnlyList<(int Layer, int Head)> Some(int number, int size) =>
        [.. Enumerable.Range(0, Math.Min(size, _plan.Order.Count))
            .Select(i => _plan.Order[(number + i * 7) % _plan.Order.Count]).Distinct()];

    private Positions At(Prompt prompt) => DiagnosisConditions.Scope(_study.Options.Variants, prompt);

    private IEnumerable<Intervention> Drawn(Prompt prompt, int count) =>
        Enumerable.Range(0, count).Select(i => Intervention.HeadGain($"{i}", Some(i, _plan.Arbitration.Count), 2, At(prompt)));

    private IEnumerable<Intervention> Parts(Prompt prompt)
    {
        var places = Enum.GetValues<NeuronPlace>().Length;
        var neurons = Enumerable.Range(0, places * Candidates.PerPlace)
            .Select(i => (i * Shape.Layers / (places * Candidates.PerPlace), i % Shape.MlpSize)).Distinct();
        var components = _plan.Arbitration.Take(Candidates.HeadsOpened)
            .SelectMany(h => Enumerable.Range(0, Shape.HeadSize).Select(c => (h.Layer, h.Head, c)));
        var edges = _plan.Order.Take(Candidates.EdgesCut).Select(
            (h, i) => (_conditions.Edges[i % _conditions.Edges.Count].Name, h.Layer, h.Head));
        return [.. _conditions.Silenced(prompt, neurons), .. _conditions.Without(prompt, components),
            .. _conditions.CutInOneHead(prompt, edges, null)];
    }

    /// <summary>Adds phases of exchanges, which recompute their receivers and donors.</summary>
    private void Donors(
        string phase, string set, int samples, IReadOnlyList<IEnumerable<Exchange>> least,
        IReadOnlyList<IEnumerable<Exchange>>? most = null)
    {
        var given = _study.Data.Sets.First(s => s.Name == set);
        // Not every run has a donor that differs in nothing else.
        var shares = Enum.GetValues<DonorFactor>().ToDictionary(factor => factor, factor => Share(given, samples, factor));
        Work One(Prompt prompt, IEnumerable<Exchange> exchanges) => exchanges.GroupBy(e => e.Factor).Aggregate(Read(prompt), (sum, of) =>
            sum + shares[of.Key] * (Read(prompt) + Variants(prompt, of.Select(e => Like(e, prompt)).OfType<Intervention>())));
        Work All(Prompt prompt, IEnumerable<IEnumerable<Exchange>> phases) =>
            phases.Aggregate(default(Work), (sum, one) => sum + One(prompt, one));
        Add(phase, set, samples, p => All(p, least), p => All(p, most ?? least), readsPictures: false);
    }

    /// <summary>Share of the runs of the first conflicts that have a donor.</summary>
    private double Share(ConflictSet set, int samples, DonorFactor factor)
    {
        var finder = DonorFinder.In(set, _study.Model.Tokenizer, _study.Options.Seed);
        List<ConflictRun> runs = [.. set.Samples.Where(s => s.Kind == SampleKind.Conflict).Take(samples).SelectMany(s => s.Runs)];
        return runs.Count(run => finder.Of(run, factor, _study.Options.Variants.Alignment).Any()) / (double)Math.Max(1, runs.Count);
    }

    /// <summary>An intervention with the same cost as the exchange; null if the prompt has no such positions.</summary>
    private Intervention? Like(Exchange exchange, Prompt prompt)
    {
        var instruction = prompt.Union(_study.Options.Variants.Instruction);
        if (exchange.What == HeadContent.PassedOn || exchange.At == ExchangeScope.Behind)
            return instruction.Length == 0 || instruction[^1] + 1 >= prompt.Length ? null
                : Intervention.HeadGain(exchange.Condition, exchange.Heads, 0, Positions.Range(instruction[^1] + 1, prompt.Length));
        var at = exchange.At == ExchangeScope.Instruction
            ? instruction : prompt.Union(DiagnosisConditions.SpansOf(_study.Options.Variants));
        if (at.Length == 0) return null;
        var positions = Positions.Of(at);
        return exchange.What switch
        {
            HeadContent.Mlp =>
                new Intervention(exchange.Condition,
                    [.. exchange.Heads.Select(h => new Edit(Site.MlpOut, h.Layer, Operation.Scale) { Factor = 0, Positions = positions })]),
            HeadContent.Query => new Intervention(exchange.Condition, [.. exchange.Heads.GroupBy(h => h.Layer).OrderBy(g => g.Key)
                .Select(g => new Edit(Site.QueryProj, g.Key, Operation.Scale)
                    { Factor = 0, Heads = [.. g.Select(h => h.Head).Order()], Positions = positions })]),
            _ => Intervention.HeadGain(exchange.Condition, exchange.Heads, 0, positions),
        };
    }

    /// <summary>Adds a phase: the cost of a run of its set's first samples times the number of runs.</summary>
    /// <param name="readsPictures">Whether the picture of each sample is read once. Otherwise <paramref name="least"/> and
    /// <paramref name="most"/> include the reads.</param>
    private void Add(string phase, string set, int samples, Func<Prompt, Work> least, Func<Prompt, Work>? most = null,
        bool readsPictures = true)
    {
        var runs = samples * _study.Data.Sets.First(s => s.Name == set).Samples.Average(s => s.Runs.Count());
        Work Of(Func<Prompt, Work> one) =>
            runs / _prompts[set].Count * _prompts[set].Aggregate(default(Work), (sum, prompt) => sum + one(prompt))
                + (readsPictures ? new Work(0, 0, samples) : default);
        var fewest = Of(least);
        _phases.Add(new PhaseEstimate(phase, samples, Whole(fewest), Whole(most is null ? fewest : Of(most))));

        static Work Whole(Work work) => work with { Runs = Math.Round(work.Runs), Pictures = Math.Round(work.Pictures) };
    }

    /// <summary>A run without intervention, including reading its picture.</summary>
    private Work Read(Prompt prompt) => Plain(prompt) + new Work(0, 0, 1);

    private Work Plain(Prompt prompt) => new(1, SweepCost.Of(_session.Engine, prompt, []).BaselineOperations);

    /// <summary>The answer is generated by a separate run from the start.</summary>
    private Work Answer(Prompt prompt) => _study.AnswerTokens == 1 && !_study.Model.Rules.Any ? default
        : new Work(1, (1 + (double)_study.AnswerTokens / prompt.Length) * Plain(prompt).Operations);

    private Work Back(Prompt prompt) =>
        new(1, Backward * (1 - (double)_conditions.Changed(prompt)[0] / prompt.Length) * Plain(prompt).Operations);

    private Work Variants(Prompt prompt, IEnumerable<Intervention> interventions)
    {
        var list = interventions.ToList();
        if (list.Count == 0) return default;
        var cost = SweepCost.Of(_session.Engine, prompt, list);
        _workBytes = Math.Max(_workBytes, cost.RecordedBytes + Sweep.DefaultRows * cost.BytesPerRow);
        return new Work(list.Count, cost.Operations);
    }

    private IReadOnlyList<Prompt> Built(ConflictSample sample) => [.. sample.Runs.Select(_built.Of)];

    private double SecondsPerPicture()
    {
        if (_study.Data.Sets.SelectMany(set => set.Samples).FirstOrDefault(s => s.Image is not null) is not { } pictured) return 0;
        return Median(() => new ConflictPrompts(_study.Model, _study.Data.Layout, _session).Of(pictured.Runs.First()));
    }

    private double SecondsPerOperation()
    {
        var prompt = _prompts[_study.Data.Test.Name][0];
        return Median(() => _session.Record(prompt).Dispose()) / Plain(prompt).Operations;
    }

    private static double Median(Action timed)
    {
        var (started, seconds) = (Stopwatch.GetTimestamp(), new List<double>());
        do
        {
            var one = Stopwatch.GetTimestamp();
            timed();
            seconds.Add(Stopwatch.GetElapsedTime(one).TotalSeconds);
        }
        while (Stopwatch.GetElapsedTime(started).TotalSeconds < Measured);
        return seconds.Order().ElementAt(seconds.Count / 2);
    }
}
