using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// Finds which heads choose and which carry. Every head receives the activations of donor runs that differ in one factor; sets are searched
/// on the ranking split and measured on the test split. Every step is a phase with rows in results.jsonl, so an interrupted run can be
/// resumed.
/// </summary>
internal sealed class InterchangeStudy(DiagnosisStudy study, ResultStore store, BootstrapDraws draws)
{
    /// <summary>
    /// Number of conflicts of the ranking split, the first ones, whose runs receive donor activations; and of those, on which sets are
    /// searched.
    /// </summary>
    public const int ProfileSamples = 80, SearchSamples = 60;

    /// <summary>Number of conflicts of the test split on which sets are measured, and on which random sets are measured.</summary>
    public const int TestSamples = 200, RandomSamples = 80;

    /// <summary>Number of heads, those with the largest single effects, from which a search selects.</summary>
    public const int Pool = 24;

    /// <summary>Number of heads whose pairs are tried if no single head adds enough.</summary>
    public const int Paired = 12;

    /// <summary>Maximum number of heads in a set.</summary>
    public const int MostHeads = 8;

    /// <summary>A search ends when the next head increases the share moved by less than this.</summary>
    public const double LeastGain = 0.02;

    private readonly List<(int Layer, int Head)> _all = AllOf(study.Model.Engine.Shape);

    /// <summary>The exchanges in the profile of a head.</summary>
    public static IReadOnlyList<(DonorFactor Factor, HeadContent What)> ProfileKinds { get; } =
    [
        (DonorFactor.Instruction, HeadContent.Query), (DonorFactor.Crossed, HeadContent.Query), (DonorFactor.Instruction, HeadContent.Z),
        (DonorFactor.Crossed, HeadContent.Z),
        (DonorFactor.Question, HeadContent.Z), (DonorFactor.Picture, HeadContent.Z), (DonorFactor.Note, HeadContent.Z),
        .. Control,
    ];

    /// <summary>
    /// Exchanges without an expected effect on a head that chooses by the content of the instruction: another phrasing of the same
    /// instruction.
    /// </summary>
    private static (DonorFactor Factor, HeadContent What)[] Control =>
        [(DonorFactor.Phrasing, HeadContent.Query), (DonorFactor.Phrasing, HeadContent.Z)];

    private static readonly (DonorFactor Factor, HeadContent What)[] SetKinds =
        [(DonorFactor.Instruction, HeadContent.Query), (DonorFactor.Crossed, HeadContent.Query), (DonorFactor.Instruction, HeadContent.Z),
            (DonorFactor.Crossed, HeadContent.Z)];

    /// <summary>The searches and their objectives.</summary>
    public static IReadOnlyList<SetSearch> Searches { get; } =
    [
        new("arbiters", DonorFactor.Instruction, HeadContent.Query, e => e.Moved.Mean),
        new("decision_carriers", DonorFactor.Crossed, HeadContent.Z, e => e.Moved.Mean),
        new("choice_carriers", DonorFactor.Crossed, HeadContent.Z, e => e.OwnOther.Mean - e.Switched.Mean + 0.01 * e.Choice.Mean),
    ];

    /// <summary>
    /// The phases with their number of samples. All steps of the searches count as one phase, as if each search went on to its last head.
    /// </summary>
    public static IEnumerable<(string Phase, int Samples)> Phases(DiagnosisData data)
    {
        int Conflicts(ConflictSet set, int most) => Math.Min(most, set.Samples.Count(s => s.Kind == SampleKind.Conflict));
        yield return ("profile", Conflicts(data.Rank, ProfileSamples));
        yield return ("search", Searches.Count * MostHeads * Conflicts(data.Rank, SearchSamples));
        yield return ("attribute", Conflicts(data.Rank, SearchSamples));
        yield return ("exchange", Conflicts(data.Test, TestSamples));
        yield return ("exchange_random", Conflicts(data.Test, RandomSamples));
        yield return ("ablation", Conflicts(data.Test, RandomSamples));
    }

    private static List<(int Layer, int Head)> AllOf(DecoderShape shape) =>
        [.. from layer in Enumerable.Range(0, shape.Layers) from head in Enumerable.Range(0, shape.Heads) select (layer, head)];

    private ConflictSet Rank => study.Data.Rank;

    private ConflictSet Test => study.Data.Test;

    /// <summary>Samples of the profile.</summary>
    public ConflictSet ProfileSet => First(Rank, ProfileSamples);

    /// <summary>Exchanges every head alone, unless the store contains it.</summary>
    public void Profile(Action<StudyProgress>? progress, CancellationToken cancel) => Phase(
        "profile", ProfileSet, Rank, [.. ProfileKinds.SelectMany(k => _all.Select(h => new Exchange(k.Factor, k.What, [h])))], progress,
            cancel);

    /// <summary>The results of <see cref="Profile"/>.</summary>
    public MeasuredSet Profiled => Measured("profile", ProfileSet);

    /// <summary>Runs every phase that the store does not contain yet.</summary>
    /// <param name="necessary">The heads whose blocking lowers MFR most; measured along with the found sets.</param>
    public InterchangeFindings Run(IReadOnlyList<(int Layer, int Head)> necessary, Action<StudyProgress>? progress = null,
        CancellationToken cancel = default)
    {
        Profile(progress, cancel);
        var profile = Profiled;
        var sets = new List<SearchedSet>();
        foreach (var search in Searches)
        {
            // Carriers are searched among the other heads, because heads that choose also write what they read.
            var taken = search.Name == "decision_carriers" ? sets[0].Heads : [];
            sets.Add(Search(search, profile, taken, progress, cancel));
        }
        var attributed = Attributed(progress, cancel);
        var test = First(Test, TestSamples);
        Phase("exchange", test, Test,
            [.. TestExchanges(study.Model.Engine.Shape, sets, necessary, attributed).DistinctBy(e => e.Condition)], progress, cancel);
        var random = First(Test, RandomSamples);
        Phase("exchange_random", random, Test,
            [.. sets.SelectMany(s => Draws(s).Prepend(s.Heads).Where(h => h.Count > 0).Select(h => s.Search.Of(h)))
                .DistinctBy(e => e.Condition)], progress, cancel);
        Ablate("ablation", random, Removals(sets, necessary), progress, cancel);
        return new InterchangeFindings(profile, sets, Measured("exchange", test), Measured("exchange_random", random),
            Measured("ablation", random))
        {
            Attributed = attributed,
        };
    }

    /// <summary>The found sets and the necessary heads, removed in each way.</summary>
    public static IReadOnlyList<HeadRemoval> Removals(IEnumerable<SearchedSet> sets, IReadOnlyList<(int Layer, int Head)> necessary) =>
        [.. from heads in sets.Select(s => s.Heads).Append(necessary).Where(h => h.Count > 0)
            from variant in Enum.GetValues<AblationVariant>()
            select new HeadRemoval(variant, heads)];

    /// <summary>Removes heads on the samples of a set. Means and random runs come from the ranking split.</summary>
    /// <param name="name">Name of the phase.</param>
    internal void Ablate(string name, ConflictSet set, IReadOnlyList<HeadRemoval> removals, Action<StudyProgress>? progress,
        CancellationToken cancel)
    {
        _ = Means(cancel);
        study.Each(name, set, store, session =>
        {
            var runner = new AblationRunner(study.Model, DiagnosisConditions.SpansOf(study.Options.Variants),
                Replacements(session), session);
            return (sample, stop) => runner.Run(sample, removals, stop);
        }, progress, cancel);
    }

    /// <summary>Means over the runs of <see cref="ProfileSet"/>, read from the store or computed.</summary>
    internal SpanMeans Means(CancellationToken cancel)
    {
        if (KnownMeans is { } known) return known;
        using var session = study.Model.OpenSession(new SessionOptions { Threads = study.Options.Threads, Cancel = cancel });
        var runs = Replacements(session);
        var sums = new Dictionary<(Site Site, int Layer, SpanKind? Span), (double[] Sum, int Count)>();
        foreach (var run in Ranked)
        {
            cancel.ThrowIfCancellationRequested();
            runs.AddTo(sums, run, study.MeanPlaces);
        }
        var row = SpanMeans.ToResult(sums);
        store.Append("means", "all", [row]);
        return new SpanMeans(row);
    }

    /// <summary>
    /// Provides the values that replace removed activations: <see cref="Means"/> if they were computed, and runs of
    /// <see cref="ProfileSet"/>.
    /// </summary>
    internal Replacements Replacements(ISession session) =>
        Replacements(new ConflictPrompts(study.Model, study.Data.Layout, session), session);

    /// <inheritdoc cref="Replacements(ISession)"/>
    internal Replacements Replacements(ConflictPrompts prompts, ISession session) =>
        new(study.Model, prompts, KnownMeans, Ranked, study.Options.Seed, session);

    private SpanMeans? KnownMeans => store.Find("means", "all") is [var row] ? new SpanMeans(row) : null;

    private List<ConflictRun> Ranked => [.. ProfileSet.Samples.SelectMany(s => s.Runs)];

    /// <summary>
    /// Random sets of the size of a found one, from all heads that the search could have selected except the set's own. If there are no
    /// more such sets than draws, every one of them once.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<(int Layer, int Head)>> Draws(SearchedSet set)
    {
        if (set.Heads.Count == 0) return [];
        List<(int Layer, int Head)> pool = [.. _all.Except(set.Heads).Except(set.Excluded)];
        if (IsCensus(set)) return [.. Combinations(pool, set.Heads.Count)];
        var random = new SplitMix(study.Options.Seed, after: (ulong)(Searches.ToList().IndexOf(set.Search) + 1) << 32);
        var shape = study.Model.Engine.Shape;
        var excluded = set.Heads.Concat(set.Excluded).ToHashSet();
        return [.. Enumerable.Range(0, study.Options.Draws).Select(
            _ => HeadRanking.Random(set.Heads.Count, shape.Layers, shape.Heads, excluded, random)).Where(d => d.Count == set.Heads.Count)];
    }

    /// <summary>Whether <see cref="Draws"/> returns every set of that size.</summary>
    public bool IsCensus(SearchedSet set)
    {
        double pool = _all.Count - set.Heads.Count - set.Excluded.Count, sets = 1;
        for (var i = 0; i < set.Heads.Count; i++) sets *= (pool - i) / (i + 1);
        return sets <= study.Options.Draws;
    }

    private static IEnumerable<IReadOnlyList<(int Layer, int Head)>> Combinations(IReadOnlyList<(int Layer, int Head)> of, int count)
    {
        if (count == 0) return [[]];
        return from i in Enumerable.Range(0, of.Count)
               from rest in Combinations([.. of.Skip(i + 1)], count - 1)
               select (IReadOnlyList<(int Layer, int Head)>)[of[i], .. rest];
    }

    /// <summary>All heads of a layer.</summary>
    public IReadOnlyList<(int Layer, int Head)> Layer(int layer) => [.. _all.Where(h => h.Layer == layer)];

    /// <summary>Every head of the model.</summary>
    public IReadOnlyList<(int Layer, int Head)> All => _all;

    /// <summary>
    /// Heads by the estimated effect of exchanging their queries, largest first: a ratio of sums over the pairs of the ranking split.
    /// </summary>
    private IReadOnlyList<((int Layer, int Head) Head, Estimate Moved)> Attributed(Action<StudyProgress>? progress,
        CancellationToken cancel)
    {
        var (set, finder, variants) = (First(Rank, SearchSamples),
            DonorFinder.In(Rank, study.Model.Tokenizer, study.Options.Seed), study.Options.Variants);
        study.Each("attribute", set, store, session =>
        {
            var runner = new InterchangeRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session), finder,
                DiagnosisConditions.SpansOf(variants), variants.Alignment, session);
            return (sample, _) => runner.Attribute(sample);
        }, progress, cancel);
        var pairs = ExchangeMeasure.PairsOf(Measured("attribute", set), DonorFactor.Instruction);
        return [
            .. _all.Select(
                (head, i) => (head, Moved: ExchangeMeasure.ShareOfWay(pairs, DonorFactor.Instruction,
                    r => r.Result.Curves[InterchangeRunner.Attributed][i])))
                .OrderByDescending(h => double.IsNaN(h.Moved.Mean) ? double.NegativeInfinity : h.Moved.Mean)];
    }

    /// <summary>The exchanges measured on the test split.</summary>
    internal static IEnumerable<Exchange> TestExchanges(
        DecoderShape shape, List<SearchedSet> sets, IReadOnlyList<(int Layer, int Head)> necessary,
        IReadOnlyList<((int Layer, int Head) Head, Estimate Moved)> attributed)
    {
        var all = AllOf(shape);
        for (var heads = 1; heads <= Math.Min(MostHeads, attributed.Count); heads++) yield return ByGradient(attributed, heads);
        foreach (var place in Places(all, shape.Layers)) yield return place;
        foreach (var set in sets)
        {
            foreach (var step in set.Steps) yield return set.Search.Of(step.Heads);
        }
        foreach (var heads in sets.Select(s => s.Heads).Append(necessary).Where(h => h.Count > 0))
        {
            foreach (var (factor, what) in SetKinds.Concat(Control)) yield return new Exchange(factor, what, heads);
            yield return new Exchange(DonorFactor.Question, HeadContent.Z, heads);
        }
        foreach (var layer in Enumerable.Range(0, shape.Layers))
        {
            foreach (var (factor, what) in SetKinds) yield return new Exchange(factor, what, [.. all.Where(h => h.Layer == layer)]);
            yield return new Exchange(DonorFactor.Instruction, HeadContent.Mlp, [(layer, 0)]);
            yield return new Exchange(DonorFactor.Crossed, HeadContent.Mlp, [(layer, 0)]);
        }
        yield return new Exchange(DonorFactor.Instruction, HeadContent.Query, all);
        yield return new Exchange(DonorFactor.Instruction, HeadContent.Z, all);
    }

    /// <summary>Exchanges the queries of the heads with the largest estimates.</summary>
    public static Exchange ByGradient(IReadOnlyList<((int Layer, int Head) Head, Estimate Moved)> attributed, int heads) =>
        new(DonorFactor.Instruction, HeadContent.Query, [.. attributed.Take(heads).Select(h => h.Head)]);

    /// <summary>
    /// Exchanges that locate the choice: queries of all heads at the instruction and after it, and what the instruction's tokens of a
    /// crossed donor pass on.
    /// </summary>
    public static IReadOnlyList<Exchange> Places(IReadOnlyList<(int Layer, int Head)> all, int layers) =>
    [
        new(DonorFactor.Instruction, HeadContent.Query, all, ExchangeScope.Instruction),
        new(DonorFactor.Instruction, HeadContent.Query, all, ExchangeScope.Behind),
        new(DonorFactor.Crossed, HeadContent.PassedOn, [.. Enumerable.Range(0, layers).Select(l => (l, 0))]),
    ];

    /// <summary>
    /// Greedy search: each step adds the head that gives the best set. If no single head adds enough, pairs are tried, because of two heads
    /// that each suffice, neither has an effect alone.
    /// </summary>
    private SearchedSet Search(SetSearch search, MeasuredSet profile, IReadOnlyList<(int Layer, int Head)> taken,
        Action<StudyProgress>? progress, CancellationToken cancel)
    {
        var set = First(Rank, SearchSamples);
        var singles = _all.Except(taken).Select(h => (Head: h, Score: search.Score(ExchangeMeasure.Of(profile, search.Of([h])))))
            .Where(s => !double.IsNaN(s.Score)).ToList();
        List<(int Layer, int Head)> pool = [.. singles.OrderByDescending(s => s.Score).ThenBy(s => s.Head).Take(Pool).Select(s => s.Head)];
        var (steps, heads, best) = (new List<SearchStep>(), new List<(int Layer, int Head)>(), 0.0);
        while (heads.Count < MostHeads)
        {
            var rest = pool.Except(heads).ToList();
            var next = Best(search, $"search/{search.Name}/{heads.Count + 1}", set, heads.Count,
                [.. rest.Select(h => heads.Append(h).ToArray())], progress, cancel);
            if (!(next?.Score >= best + LeastGain) && heads.Count + 2 <= MostHeads)
            {
                var paired = rest.Take(Paired).ToList();
                next = Best(
                    search, $"search/{search.Name}/{heads.Count + 1}-pairs", set, heads.Count,
                    [.. from i in Enumerable.Range(0, paired.Count) from j in Enumerable.Range(i + 1,
                        paired.Count - i - 1) select heads.Append(paired[i]).Append(paired[j]).ToArray()],
                    progress, cancel);
                if (!(next?.Score >= best + 2 * LeastGain)) break;
            }
            if (!(next?.Score >= best + LeastGain)) break;
            (best, heads) = (next.Value.Score, [.. next.Value.Heads]);
            steps.Add(new SearchStep(heads, next.Value.Effect));
        }
        return new SearchedSet(search, steps, taken);
    }

    private ((int Layer, int Head)[] Heads, ExchangeEffect Effect, double Score)? Best(
        SetSearch search, string name, ConflictSet set, int size, IReadOnlyList<(int Layer, int Head)[]> candidates,
        Action<StudyProgress>? progress, CancellationToken cancel)
    {
        if (candidates.Count == 0) return null;
        var before = (Searches.ToList().IndexOf(search) * MostHeads + size) * set.Samples.Count;
        Phase(
            name, set, Rank, [.. candidates.Select(search.Of)],
            step => progress?.Invoke(new StudyProgress("search", before + step.Done, Searches.Count * MostHeads * set.Samples.Count)),
            cancel);
        var measured = Measured(name, set);
        List<((int Layer, int Head)[] Heads, ExchangeEffect Effect, double Score)> scored =
            [.. candidates.Select(c => (c, Effect: ExchangeMeasure.Of(measured, search.Of(c))))
                .Select(c => (c.c, c.Effect, search.Score(c.Effect))).Where(c => !double.IsNaN(c.Item3))];
        if (scored.Count == 0) return null;
        // Of pairs with nearly equal scores, the lowest is chosen: a higher head may only check what was chosen below.
        var within = candidates[0].Length - size > 1 ? LeastGain / 2 : 0;
        var most = scored.Max(c => c.Score);
        return scored.Where(c => c.Score >= most - within).MinBy(c => (c.Heads[^1].Layer, -c.Score));
    }

    private void Phase(string name, ConflictSet set, ConflictSet donors, IReadOnlyList<Exchange> exchanges, Action<StudyProgress>? progress,
        CancellationToken cancel)
    {
        var finder = DonorFinder.In(donors, study.Model.Tokenizer, study.Options.Seed);
        var variants = study.Options.Variants;
        study.Each(name, set, store, session =>
        {
            var runner = new InterchangeRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session), finder,
                DiagnosisConditions.SpansOf(variants), variants.Alignment, session)
            {
                Instruction = variants.Instruction,
            };
            return (sample, stop) => runner.Run(sample, exchanges, stop);
        }, progress, cancel);
    }

    private MeasuredSet Measured(string phase, ConflictSet set) =>
        MeasuredSet.Of(set, id => store.Find(phase, id)!, study.Model.Tokenizer, draws);

    private static ConflictSet First(ConflictSet set, int count) =>
        set.Part(set.Name, [.. set.Samples.Where(s => s.Kind == SampleKind.Conflict).Take(count)]);
}

/// <summary>The objective of a search.</summary>
/// <param name="Name">Name in result files.</param>
/// <param name="Score">The score that is maximised.</param>
internal sealed record SetSearch(string Name, DonorFactor Factor, HeadContent What, Func<ExchangeEffect, double> Score)
{
    /// <summary>The exchange of a set of heads.</summary>
    public Exchange Of(IReadOnlyList<(int Layer, int Head)> heads) => new(Factor, What, heads);
}

/// <summary>A set during a search.</summary>
/// <param name="Heads">In the order in which they were added.</param>
/// <param name="Ranking">Its effect on the ranking split.</param>
internal sealed record SearchStep(IReadOnlyList<(int Layer, int Head)> Heads, ExchangeEffect Ranking);

/// <summary>The result of a search: the heads of its last step, or none.</summary>
/// <param name="Excluded">Heads that it could not select.</param>
internal sealed record SearchedSet(SetSearch Search, IReadOnlyList<SearchStep> Steps, IReadOnlyList<(int Layer, int Head)> Excluded)
{
    /// <summary>The heads.</summary>
    public IReadOnlyList<(int Layer, int Head)> Heads => Steps.Count == 0 ? [] : Steps[^1].Heads;
}

/// <summary>The measured rows of all phases.</summary>
/// <param name="Profile">Single heads on the ranking split.</param>
/// <param name="Test">Sets on the test split.</param>
/// <param name="Random">The sets and random ones on a part of the test split.</param>
/// <param name="Ablated">The sets removed, on the same part.</param>
internal sealed record InterchangeFindings(MeasuredSet Profile, IReadOnlyList<SearchedSet> Sets, MeasuredSet Test,
    MeasuredSet Random, MeasuredSet Ablated)
{
    /// <summary>Heads by estimates from backward passes, largest first.</summary>
    public required IReadOnlyList<((int Layer, int Head) Head, Estimate Moved)> Attributed { get; init; }
}
