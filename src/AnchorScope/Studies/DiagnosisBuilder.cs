using AnchorScope.Conflicts;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Reduces the rows of a finished study to a <see cref="Diagnosis"/>. It runs the model only to render one prompt.</summary>
internal sealed class DiagnosisBuilder
{
    private readonly DiagnosisStudy _study;
    private readonly ResultStore _store;
    private readonly HeadPlan _plan;
    private readonly HeadPlan _few;
    private readonly BootstrapDraws _draws;
    private readonly MeasuredSet _rank;
    private readonly MeasuredSet _test;
    private readonly MeasuredSet? _hard;
    private readonly MeasuredSet? _control;

    public DiagnosisBuilder(DiagnosisStudy study, ResultStore store, HeadPlan plan)
    {
        (_study, _store, _plan, _few) = (study, store, plan, plan.WithFewDraws());
        _draws = new BootstrapDraws(study.Options.Seed);
        _rank = Measured(study.Data.Rank, id => RankedRuns.Of(store, id)).Where(IsConflict);
        _test = Measured(study.Data.Test, "test").Where(IsConflict);
        _hard = study.Data.Hard is { } hard ? Measured(hard, "hard").Where(IsConflict) : null;
        _control = study.Data.Control is { } control ? Measured(control, "control") : null;
    }

    private DiagnosisOptions Options => _study.Options;

    private Interventions.DecoderShape Shape => _study.Model.Engine.Shape;

    public Diagnosis Build(PromptRecord prompt)
    {
        var model = _study.Model;
        var details = new RankingDetails(_study, _store, _plan, _rank);
        List<FollowingRates> following = [];
        LayerCurves layers = null!;
        List<KnockoutCurve> knockouts = [];
        HeadLandscape heads = null!;
        List<BlockingResult> blocking = [];
        List<AmplificationResult> amplification = [];
        InterchangeResult interchange = null!;
        // This takes most of the time of a report: thousands of means, each with an interval from a thousand resamples, all independent.
        Parallel.Invoke(
            new ParallelOptions { MaxDegreeOfParallelism = Options.Threads },
            () => knockouts = Knockouts(),
            () => heads = Heads(),
            () => amplification = [.. Amplification(_test), .. _hard is null ? [] : Amplification(_hard)],
            () => blocking = Blocking(),
            () => interchange = Interchange(),
            () => layers = Layers(),
            () => following = Following());
        var diagnosis = new Diagnosis
        {
            Tool = ToolVersion.Text,
            Model = ModelFacts.Of(model),
            Data = [.. _study.Data.Sets.Select(s => SetFacts.Of(s))],
            Layout = _study.Data.Layout.Name,
            Variants = _study.Named,
            Seed = Options.Seed,
            EquivalenceMargin = Options.EquivalenceMargin,
            AnswerTokens = _study.AnswerTokens,
            Findings = [],
            Following = following,
            Layers = layers,
            Route = RouteReader.Read(_test, Options.Variants.Route, Options.Variants.Ablation),
            Knockouts = knockouts,
            Heads = heads,
            Interchange = interchange,
            Neurons = details.Neurons(),
            Inside = details.Inside(),
            HeadEdges = details.Edges(),
            Blocking = blocking,
            Amplification = amplification,
            AmplificationChoice = _study.Amplification(_store).Read(_plan),
            Examples = ExamplePicker.Pick(_test, _plan, Options, _study.Model.Tokenizer, _study.Data.Folder),
            Prompt = prompt,
            Rejected = [.. _study.Data.Rejected.Select(r => r with { File = Path.GetFileName(r.File) })],
            Warnings = Warnings(),
            Command = Options.Command,
            Settings = _study.Identity.Options,
        };
        return diagnosis with
            { Findings = FindingWriter.Write(diagnosis, new FindingRuns(_test, _control, _study.Amplification(_store).MatchedRuns(_plan)),
                _plan) };
    }

    private InterchangeResult Interchange()
    {
        var study = _study.Interchange(_store);
        return InterchangeReader.Read(study, study.Run(_plan.Arbitration), _rank, Options.Variants, Shape.Layers, _plan.Arbitration);
    }

    private static bool IsConflict(MeasuredRun run) => run.Run.Sample.Kind == SampleKind.Conflict;

    private MeasuredSet Measured(ConflictSet set, string phase) => Measured(set, id => _store.Find(phase, id)!);

    private MeasuredSet Measured(ConflictSet set, Func<string, IReadOnlyList<RunResult>> resultsOf) =>
        MeasuredSet.Of(set, resultsOf, _study.Model.Tokenizer, _draws);

    private List<FollowingRates> Following()
    {
        var rates = new List<FollowingRates>();
        foreach (var set in new[] { _test, _hard, _rank }.OfType<MeasuredSet>())
        {
            rates.Add(Rates(set, "all", "all"));
            rates.AddRange(set.Runs.Select(r => r.Run.Sample.Category).Where(c => c.Length > 0).Distinct()
                .Select(c => Rates(set.Where(r => r.Run.Sample.Category == c), "category", c)));
            rates.AddRange(set.Runs.SelectMany(r => r.Run.Sample.Tags).Distinct()
                .Select(t => Rates(set.Where(r => r.Run.Sample.Tags.Contains(t)), "tag", t)));
        }
        foreach (var kind in Kinds()) rates.Add(Rates(_control!.Where(r => r.Run.Sample.Kind == kind), "kind", SampleReader.NameOf(kind)));
        return rates;
    }

    private List<SampleKind> Kinds() => _control is null ? [] : [.. _control.Runs.Select(r => r.Run.Sample.Kind).Distinct().Order()];

    private FollowingRates Rates(MeasuredSet set, string group, string name) => new FollowingRates
    {
        Set = set.Name,
        Group = group,
        Name = name,
        Runs = set.Runs.Count,
        Argmax = set.SplitShare(r => r.Follows(ConditionId.Baseline)),
        // Controls have no competing answer.
        Larger = set.Where(IsConflict).SplitShare(r => r.Larger(ConditionId.Baseline)),
        Generated = set.SplitShare(r => AnswerMatch.Judge(r.Result.Answer, r.Run) == Verdict.Following ? 1 : 0),
        Competitor = set.SplitShare(r => r.Competes(ConditionId.Baseline)),
        Neither = set.SplitShare(r => r.Follows(ConditionId.Baseline) == 0 && r.Competes(ConditionId.Baseline) == 0 ? 1 : 0),
    };

    private LayerCurves Layers()
    {
        var decided = _test.Where(r => r.Follows(ConditionId.Baseline) + r.Competes(ConditionId.Baseline) > 0);
        var against = _test.Where(r => r.Larger(ConditionId.Baseline) == 0);
        return new LayerCurves
        {
            MamAnchor = Curve(_test, "margin_anchor"),
            MamLast = Curve(_test, "margin_last"),
            LdarAnchor = Alignment(_test, "margin_anchor"),
            LdarLast = Alignment(_test, "margin_last"),
            LdarAnchorDecided = Alignment(decided, "margin_anchor"),
            LdarLastDecided = Alignment(decided, "margin_last"),
            AttentionAnchor = Increment("margin_anchor", mlp: false),
            MlpAnchor = Increment("margin_anchor", mlp: true),
            AttentionLast = Increment("margin_last", mlp: false),
            MlpLast = Increment("margin_last", mlp: true),
            Undecided = _test.Runs.Count - decided.Runs.Count,
            LdarAnchorAgainst = Alignment(against, "margin_anchor"),
            LdarLastAgainst = Alignment(against, "margin_last"),
            MamPositiveAnchor = Positive("margin_anchor"),
            MamPositiveLast = Positive("margin_last"),
            BaseRate = BaseRate(_test),
            BaseRateAgainst = BaseRate(against),
            AnchorRise = Rise("margin_anchor"),
            LastRise = Rise("margin_last"),
        };
    }

    private List<ByInstruction> Curve(MeasuredSet set, string name) => Points(l => set.Split(r => r.Result.Curves[name][l]));

    private List<ByInstruction> Alignment(MeasuredSet set, string name) =>
        Points(l => set.SplitShare(r => Aligned(r, r.Result.Curves[name][l])));

    private List<ByInstruction> Positive(string name) =>
        Points(l => _test.SplitShare(r => ModalityFollowing.ByLarger(r.Result.Curves[name][l])));

    private List<ByInstruction> Points(Func<int, ByInstruction> of) => [.. Enumerable.Range(0, Shape.Layers + 1).Select(of)];

    private LargestRise? Rise(string name) => _test.Rise(r => [.. r.Result.Curves[name].Select(margin => Aligned(r, margin))]);

    private static Estimate BaseRate(MeasuredSet set)
    {
        static double Vision(MeasuredRun r) =>
            r.Run.Instruction == Modality.Vision ? r.Larger(ConditionId.Baseline) : 1 - r.Larger(ConditionId.Baseline);
        var vision = set.Share(Vision);
        return vision.Mean < 0.5 ? set.Share(r => 1 - Vision(r)) : vision;
    }

    /// <summary>
    /// Margins are those of the instructed answer over the other one. Decision alignment needs the margin of vision over text.
    /// </summary>
    private static double Aligned(MeasuredRun run, double margin)
    {
        var sign = run.Run.Instruction == Modality.Vision ? 1 : -1;
        return DecisionAlignment.Of(margin * sign, run.Baseline.Margin * sign);
    }

    /// <summary>Index l of a curve is before layer l, index l + 1 is after it, and its "_mid" curve is between attention and MLP.</summary>
    private List<ByInstruction> Increment(string name, bool mlp) => [.. Enumerable.Range(0, Shape.Layers).Select(l => _test.Split(r =>
    {
        var (curve, mid) = (r.Result.Curves[name], r.Result.Curves[name + "_mid"]);
        var increments = ArbitrationMargin.Increments(curve[l], mid[l], curve[l + 1]);
        return mlp ? increments.Mlp : increments.Attention;
    }))];

    private List<KnockoutCurve> Knockouts()
    {
        var curves = new List<KnockoutCurve>();
        foreach (var edge in _study.Edges.Select(e => e.Name))
        {
            foreach (var window in DiagnosisConditions.WindowsOf(edge, Options))
            {
                var layers = Enumerable.Range(0, Shape.Layers).AsParallel().AsOrdered()
                    .WithDegreeOfParallelism(Math.Min(Options.Threads, 64))
                    .Select(l => Point(ConditionId.Knockout(edge, window, l), l, [.. LayerWindow.Centred(l, window, Shape.Layers)]))
                    .OfType<KnockoutPoint>().ToList();
                var all = Point(ConditionId.KnockoutAll(edge), null, [.. Enumerable.Range(0, Shape.Layers)]);
                if (layers.Count > 0) curves.Add(new KnockoutCurve(edge, window, layers, all));
            }
        }
        return Tested(curves);
    }

    /// <summary>All windows of one size form a family, and all edges cut in all layers another one.</summary>
    private static List<KnockoutCurve> Tested(List<KnockoutCurve> curves)
    {
        var windows = curves.GroupBy(c => c.Window).ToDictionary(
            g => g.Key, g => new Queue<Significance>(Significance.Family([.. g.SelectMany(c => c.Layers).Select(p => p.Test.P)])));
        var edges = curves.Where(c => c.AllLayers is not null).DistinctBy(c => c.Edge).ToList();
        var whole = edges.Zip(Significance.Family([.. edges.Select(c => c.AllLayers!.Test.P)]))
            .ToDictionary(e => e.First.Edge, e => e.Second, StringComparer.Ordinal);
        return [.. curves.Select(c => c with
        {
            Layers = [.. c.Layers.Select(p => p with { Test = windows[c.Window].Dequeue() })], AllLayers = c.AllLayers is { } all
                ? all with { Test = whole[c.Edge] } : null,
        })];
    }

    private KnockoutPoint? Point(string condition, int? layer, IReadOnlyList<int> window)
    {
        var set = _test.Where(r => r.Has(condition));
        if (set.Runs.Count == 0) return null;
        var means = new SortedDictionary<string, IReadOnlyList<double>>(StringComparer.Ordinal);
        foreach (var variant in Enum.GetValues<NssdVariant>())
        {
            double Mean(Modality? modality) =>
                set.Runs.Where(r => modality is null || r.Run.Instruction == modality).Select(r => Nssd(r, condition, variant))
                    .DefaultIfEmpty(double.NaN).Average();
            means[EnumName.Of(variant)] = [Mean(null), Mean(Modality.Vision), Mean(Modality.Text)];
        }
        return new KnockoutPoint(
            layer, set.Runs.Count, set.Split(r => Nssd(r, condition, Options.Variants.Nssd)), means,
                set.SplitShare(r => r.Follows(condition)), set.SplitShare(r => r.Larger(condition)))
        {
            Test = new Significance(set.P(r => Nssd(r, condition, Options.Variants.Nssd)), double.NaN),
        };
    }

    private static double Nssd(MeasuredRun run, string condition, NssdVariant variant)
    {
        var (plain, cut) = (run.Baseline, run.Result.Outcomes[condition]);
        return StructuralDivergence.Of(variant, plain.Margin, cut.Margin, plain.Following - plain.LogSum,
            cut.Following - cut.LogSum, cut.Divergence);
    }

    private HeadLandscape Heads()
    {
        var (all, vision, text) = _study.Scores(_store, Options.Variants.HeadScore);
        var direct = _study.Scores(_store, HeadScoreVariant.DirectLogitAttribution).All;
        var estimated = _study.Estimated(_store);
        var (shared, visionTop, textTop) = (HeadRanking.Shared(_plan.Vision, _plan.Text), _plan.Vision, _plan.Text);
        var ranked = Math.Min(all.Length, Math.Max(10, HeadRanking.Count(_plan.Shares.Max(), all.Length, Options.Variants.Rounding)));
        var exchange = ExchangeScore.Of(Options.Variants.HeadScore);
        var scored = exchange is null ? _rank : _study.Interchange(_store).Profiled;
        MeasuredSet OfModality(Modality modality) => scored.Where(r => r.Run.Instruction == modality);
        var (tests, visionTests, textTests) = (HeadTests(scored, estimated), HeadTests(OfModality(Modality.Vision), estimated),
            HeadTests(OfModality(Modality.Text), estimated));
        ByInstruction Score((int Layer, int Head) head) => exchange is { } kind ? ExchangeScore.Of(scored, kind, head)
            : scored.Split(r => RankedRuns.Score(r.Result, head.Layer * Shape.Heads + head.Head, Shape.Heads, Options.Variants.HeadScore));
        string Role((int, int) head) =>
            shared.Contains(head) ? "shared" : visionTop.Contains(head) ? "vision" : textTop.Contains(head) ? "text" : "";
        return new HeadLandscape
        {
            All = Rows(all),
            Vision = Rows(vision),
            Text = Rows(text),
            DirectAttribution = Rows(direct),
            Ranked = [.. _plan.Order.Take(ranked).Select(h => new RankedHead(
                h.Layer, h.Head, Score(h), direct[h.Layer * Shape.Heads + h.Head], Role(h), estimated.Contains(h),
                    tests[h.Layer * Shape.Heads + h.Head]))],
            Count = _plan.Arbitration.Count,
            Shared = Ids(shared),
            VisionOnly = Ids(visionTop.Except(shared)),
            TextOnly = Ids(textTop.Except(shared)),
            ShareOfPositive = [.. Enumerable.Range(1, ranked).Select(n => HeadRanking.ShareOfPositive(all, n))],
            AttributionCorrelation = HeadRanking.Spearman(all, direct),
            Q = Rows([.. tests.Select(t => t.Q)]),
            VisionQ = Rows([.. visionTests.Select(t => t.Q)]),
            TextQ = Rows([.. textTests.Select(t => t.Q)]),
            Surviving = Ids(Enumerable.Range(0, tests.Count).Where(i => tests[i].Survives).Select(i => (i / Shape.Heads, i % Shape.Heads))),
            Estimated = Ids(estimated.Order()),
            ScreenCorrelation = ScreenCorrelation(all, estimated),
        };
    }

    /// <summary>
    /// Tests of all heads that were blocked individually. Estimated heads are not tested but count in the size of the family, because a
    /// screen picks the strongest heads from the same runs.
    /// </summary>
    private IReadOnlyList<Significance> HeadTests(MeasuredSet set, IReadOnlySet<(int, int)> estimated) => Significance.Family(
        [.. Enumerable.Range(0, Shape.Layers * Shape.Heads).Select(i =>
            estimated.Contains((i / Shape.Heads, i % Shape.Heads)) ? double.NaN
                : ExchangeScore.Of(Options.Variants.HeadScore) is { } kind
                ? ExchangeMeasure.P(set, new Exchange(kind.Factor, kind.What, [(i / Shape.Heads, i % Shape.Heads)]))
                : set.P(r => RankedRuns.Score(r.Result, i, Shape.Heads, Options.Variants.HeadScore)))],
        Shape.Layers * Shape.Heads);

    private double ScreenCorrelation(double[] scores, IReadOnlySet<(int, int)> estimated)
    {
        if (estimated.Count == 0) return double.NaN;
        var verified = Enumerable.Range(0, scores.Length).Where(i => !estimated.Contains((i / Shape.Heads, i % Shape.Heads))).ToList();
        return HeadRanking.Spearman([.. verified.Select(i => scores[i])],
            [.. verified.Select(i => _rank.Runs.Average(r => (double)r.Result.Curves[RankedRuns.HeadEstimates][i]))]);
    }

    private List<IReadOnlyList<double>> Rows(double[] scores) => [.. scores.Chunk(Shape.Heads)];

    private static List<HeadId> Ids(IEnumerable<(int Layer, int Head)> heads) => [.. heads.Select(h => new HeadId(h.Layer, h.Head))];

    private IReadOnlyList<string> Warnings()
    {
        var few = _test.IsFew ? [$"Few samples: {Wording.These(_test)}. Intervals are wide, and little can be found or ruled out."]
            : Array.Empty<string>();
        var left = _study.Data.Rejected.Count > 0
            ? [$"{Wording.Count(_study.Data.Rejected.Count, "line", "was", "were")} left out; they are listed at the end."]
            : Array.Empty<string>();
        return [.. few, .. left, .. _study.Warnings.Select(w => w.EndsWith('.') ? w : w + ".")];
    }

    private List<BlockingResult> Blocking() => [.. _plan.Blocked.Select(name =>
    {
        var condition = ConditionId.Block(name);
        double? share = _plan.Shares.Cast<double?>().FirstOrDefault(s => name == HeadSetId.Of(HeadSetKind.Top, s!.Value));
        return new BlockingResult
        {
            Name = name, Share = share, Heads = Ids(_plan.Sets[name]), Control = Accuracy(condition),
            Argmax = _test.SplitShare(r => r.Follows(condition)), Larger = _test.SplitShare(r => r.Larger(condition)),
            Competitor = _test.SplitShare(r => r.Competes(condition)),
            Drop = _test.SplitDifference(r => r.Follows(ConditionId.Baseline) - r.Follows(condition)),
            Random = share is null ? null : Draws(name with { Kind = HeadSetKind.Random }, condition),
            LayerMatched = share is null ? null : Draws(name with { Kind = HeadSetKind.Layer }, condition),
        };
    })];

    private RandomControl? Draws(HeadSetId name, ConditionId chosen)
    {
        var draws = _plan.Draws(name);
        if (draws.Count == 0) return null;
        var conditions = Blocks(draws);
        double Left(string condition) => _test.Runs.Average(r => r.Follows(condition));
        var means = conditions.Select(Left).ToList();
        return new RandomControl(
            [.. draws.Select(d => Ids(_plan.Sets[d]))],
            _test.By(set => set.DrawnShare(conditions, (r, c) => r.Follows(c))),
                _test.By(set => set.DrawnShare(conditions, (r, c) => r.Larger(c))), means.Min(), means.Max(),
            DrawnAccuracy(Blocks(_few.Draws(name))), PermutationRank.Of(-Left(chosen), means.Select(m => -m)));
    }

    private static string[] Blocks(IEnumerable<HeadSetId> draws) => [.. draws.Select(d => ConditionId.Block(d).Text)];

    /// <summary>Accuracy on the controls by kind.</summary>
    private SortedDictionary<string, Estimate> Accuracy(string condition) => ByKind(set => set.Share(r => r.Follows(condition)));

    private SortedDictionary<string, Estimate> DrawnAccuracy(IReadOnlyList<string> conditions) =>
        ByKind(set => set.DrawnShare(conditions, (r, c) => r.Follows(c)));

    private SortedDictionary<string, Estimate> ByKind(Func<MeasuredSet, Estimate> estimate) => new(
        Kinds().ToDictionary(SampleReader.NameOf, kind => estimate(_control!.Where(r => r.Run.Sample.Kind == kind))),
            StringComparer.Ordinal);

    private IEnumerable<AmplificationResult> Amplification(MeasuredSet set)
    {
        var failed = set.Where(r => r.Failed);
        foreach (var group in _plan.Amplified.Concat([HeadPlan.Random, HeadPlan.SameLayers]))
        {
            var random = !_plan.Amplified.Contains(group);
            var sets = random ? (ReferenceEquals(set, _test) ? _plan : _few).Draws(group) : [group];
            if (sets.Count == 0) continue;
            yield return new AmplificationResult(
                set.Name, group, random ? [] : Ids(_plan.Sets[group]), failed.Runs.Count, set.Runs.Count,
                [.. Options.Gains.Prepend(1).Select(
                    factor => Gained(set, failed,
                        [.. sets.Select(s => factor == 1 ? ConditionId.Baseline.Text : ConditionId.Gain(s, factor).Text)], factor,
                        random))]);
        }
    }

    private GainPoint Gained(MeasuredSet set, MeasuredSet failed, string[] conditions, double factor, bool random) => random
        ? new GainPoint(
            factor, failed.By(s => s.DrawnShare(conditions, (r, c) => r.Follows(c))),
                failed.By(s => s.DrawnShare(conditions, (r, c) => r.Larger(c))), null, null,
            new SortedDictionary<string, Estimate>(StringComparer.Ordinal))
        : new GainPoint(
            factor, failed.SplitShare(r => r.Follows(conditions[0])), failed.SplitShare(r => r.Larger(conditions[0])),
                set.SplitShare(r => r.Follows(conditions[0])),
            set.SplitShare(r => r.Larger(conditions[0])), Accuracy(conditions[0]));
}
