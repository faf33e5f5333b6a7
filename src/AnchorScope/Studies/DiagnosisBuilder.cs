using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Reduces the rows of a finished study to a <see cref="Diagnosis"/>; runs no model but to render one prompt.</summary>
internal sealed class DiagnosisBuilder
{
    private readonly DiagnosisStudy _study;
    private readonly ResultStore _store;
    private readonly HeadPlan _plan;
    private readonly BootstrapDraws _draws;
    private readonly MeasuredSet _rank;
    private readonly MeasuredSet _test;
    private readonly MeasuredSet? _hard;
    private readonly MeasuredSet? _control;

    public DiagnosisBuilder(DiagnosisStudy study, ResultStore store, HeadPlan plan)
    {
        (_study, _store, _plan) = (study, store, plan);
        _draws = new BootstrapDraws(study.Options.Seed);
        _rank = Measured(study.Data.Rank, id => RankedRuns.Of(store, id)).Where(IsConflict);
        _test = Measured(study.Data.Test, "test").Where(IsConflict);
        _hard = study.Data.Hard is { } hard ? Measured(hard, "hard").Where(IsConflict) : null;
        _control = study.Data.Control is { } control ? Measured(control, "control") : null;
    }

    private DiagnosisOptions Options => _study.Options;

    private Interventions.DecoderShape Shape => _study.Model.Decoder.Shape;

    public Diagnosis Build(RenderedPrompt prompt)
    {
        var model = _study.Model;
        var details = new RankingDetails(_study, _store, _plan, _rank);
        List<FollowingRates> following = [];
        LayerCurves layers = null!;
        List<KnockoutCurve> knockouts = [];
        HeadLandscape heads = null!;
        List<BlockingResult> blocking = [];
        List<AmplificationResult> amplification = [];
        // Most of the time of a report: thousands of means, each with an interval of a thousand resamples, and none waits for another.
        Parallel.Invoke(
            new ParallelOptions { MaxDegreeOfParallelism = Options.Threads },
            () => knockouts = Knockouts(),
            () => heads = Heads(),
            () => amplification = [.. Amplification(_test), .. _hard is null ? [] : Amplification(_hard)],
            () => blocking = Blocking(),
            () => layers = Layers(),
            () => following = Following());
        var diagnosis = new Diagnosis
        {
            Tool = ToolVersion.Text,
            Model = new ModelFacts(
                Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model.Checkpoint.Folder))), model.Family, model.Checkpoint.Sha256, model.Tokenizer.Sha256,
                Shape.Layers, Shape.Heads, Provenance.Read(model.Checkpoint.Folder)),
            Data = [.. _study.Data.Sets.Select(s => new SetFacts(s.Name, s.Sha256, s.Samples.Count, s.Rejected.Count))],
            Layout = _study.Data.Layout.Name,
            Variants = Options.Variants.Named,
            Seed = Options.Seed,
            AnswerTokens = _study.AnswerTokens,
            Findings = [],
            Following = following,
            Layers = layers,
            Route = RouteReader.Read(_test, Options.Variants.Route),
            Knockouts = knockouts,
            Heads = heads,
            Neurons = details.Neurons(),
            Inside = details.Inside(),
            HeadEdges = details.Edges(),
            Blocking = blocking,
            Amplification = amplification,
            Examples = ExamplePicker.Pick(_test, _plan, Options, _study.Model.Tokenizer, _study.Data.Folder),
            Prompt = prompt,
            Rejected = [.. _study.Data.Rejected.Select(r => r with { File = Path.GetFileName(r.File) })],
        };
        return diagnosis with { Findings = FindingWriter.Write(diagnosis, _test, _control, _plan) };
    }

    private static bool IsConflict(MeasuredRun run) => run.Run.Sample.Kind == SampleKind.Conflict;

    private MeasuredSet Measured(ConflictSet set, string phase) => Measured(set, id => _store.Find(phase, id)!);

    private MeasuredSet Measured(ConflictSet set, Func<string, IReadOnlyList<RunResult>> resultsOf) => MeasuredSet.Of(set, resultsOf, _study.Model.Tokenizer, _draws);

    private List<FollowingRates> Following()
    {
        var rates = new List<FollowingRates>();
        foreach (var set in new[] { _test, _hard, _rank }.OfType<MeasuredSet>())
        {
            rates.Add(Rates(set, "all", "all"));
            rates.AddRange(set.Runs.Select(r => r.Run.Sample.Category).Where(c => c.Length > 0).Distinct().Select(c => Rates(set.Where(r => r.Run.Sample.Category == c), "category", c)));
            rates.AddRange(set.Runs.SelectMany(r => r.Run.Sample.Tags).Distinct().Select(t => Rates(set.Where(r => r.Run.Sample.Tags.Contains(t)), "tag", t)));
        }
        foreach (var kind in Kinds()) rates.Add(Rates(_control!.Where(r => r.Run.Sample.Kind == kind), "kind", SampleReader.NameOf(kind)));
        return rates;
    }

    private List<SampleKind> Kinds() => _control is null ? [] : [.. _control.Runs.Select(r => r.Run.Sample.Kind).Distinct().Order()];

    private FollowingRates Rates(MeasuredSet set, string group, string name) => new(
        set.Name, group, name, set.Runs.Count,
        set.Split(r => r.Follows("baseline")),
        // Controls have no second answer to be larger than.
        set.Where(IsConflict).Split(r => r.Larger("baseline")),
        set.Split(r => AnswerMatch.Judge(r.Result.Answer, r.Run) == Verdict.Following ? 1 : 0),
        set.Split(r => r.Competes("baseline")),
        set.Split(r => r.Follows("baseline") == 0 && r.Competes("baseline") == 0 ? 1 : 0));

    private LayerCurves Layers()
    {
        var decided = _test.Where(r => r.Follows("baseline") + r.Competes("baseline") > 0);
        return new LayerCurves(
            Curve(_test, "margin_anchor"), Curve(_test, "margin_last"),
            Alignment(_test, "margin_anchor"), Alignment(_test, "margin_last"), Alignment(decided, "margin_anchor"), Alignment(decided, "margin_last"),
            Increment("margin_anchor", mlp: false), Increment("margin_anchor", mlp: true), Increment("margin_last", mlp: false), Increment("margin_last", mlp: true),
            _test.Runs.Count - decided.Runs.Count);
    }

    private List<ByInstruction> Curve(MeasuredSet set, string name) => [.. Enumerable.Range(0, Shape.Layers + 1).Select(l => set.Split(r => r.Result.Curves[name][l]))];

    private List<ByInstruction> Alignment(MeasuredSet set, string name) => [.. Enumerable.Range(0, Shape.Layers + 1).Select(l => set.Split(r => Aligned(r, r.Result.Curves[name][l])))];

    /// <summary>Margins are of the instructed answer over the other; alignment asks for vision over text.</summary>
    private static double Aligned(MeasuredRun run, double margin)
    {
        var sign = run.Run.Instruction == Modality.Vision ? 1 : -1;
        return DecisionAlignment.Of(margin * sign, run.Baseline.Margin * sign);
    }

    /// <summary>Layer l enters with index l of a curve, leaves with l + 1, and passes its "_mid" between attention and MLP.</summary>
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
                var layers = Enumerable.Range(0, Shape.Layers).AsParallel().AsOrdered().WithDegreeOfParallelism(Math.Min(Options.Threads, 64))
                    .Select(l => Point(DiagnosisConditions.Knockout(edge, window, l), l, [.. LayerWindow.Centred(l, window, Shape.Layers)]))
                    .OfType<KnockoutPoint>().ToList();
                var all = Point(DiagnosisConditions.KnockoutAll(edge), null, [.. Enumerable.Range(0, Shape.Layers)]);
                if (layers.Count > 0) curves.Add(new KnockoutCurve(edge, window, layers, all));
            }
        }
        return curves;
    }

    private KnockoutPoint? Point(string condition, int? layer, IReadOnlyList<int> window)
    {
        var set = _test.Where(r => r.Has(condition));
        if (set.Runs.Count == 0) return null;
        var means = new SortedDictionary<string, IReadOnlyList<double>>(StringComparer.Ordinal);
        foreach (var variant in Enum.GetValues<NssdVariant>())
        {
            double Mean(Modality? modality) => set.Runs.Where(r => modality is null || r.Run.Instruction == modality).Select(r => Nssd(r, condition, variant)).DefaultIfEmpty(double.NaN).Average();
            means[Variants.NameOf(variant)] = [Mean(null), Mean(Modality.Vision), Mean(Modality.Text)];
        }
        return new KnockoutPoint(
            layer, set.Runs.Count, set.Split(r => Nssd(r, condition, Options.Variants.Nssd)), means, set.Split(r => r.Follows(condition)), set.Split(r => r.Larger(condition)));
    }

    private static double Nssd(MeasuredRun run, string condition, NssdVariant variant)
    {
        var (plain, cut) = (run.Baseline, run.Result.Outcomes[condition]);
        return StructuralDivergence.Of(variant, plain.Margin, cut.Margin, plain.Following - plain.LogSum, cut.Following - cut.LogSum, cut.Divergence);
    }

    private HeadLandscape Heads()
    {
        var (all, vision, text) = _study.Scores(_store, Options.Variants.HeadScore);
        var direct = _study.Scores(_store, HeadScoreVariant.DirectLogitAttribution).All;
        var estimated = _study.Estimated(_store);
        var (shared, visionTop, textTop) = (HeadRanking.Shared(_plan.Vision, _plan.Text), _plan.Vision, _plan.Text);
        var ranked = Math.Min(all.Length, Math.Max(10, HeadRanking.Count(Options.Shares.Max(), all.Length, Options.Variants.Rounding)));
        string Role((int, int) head) => shared.Contains(head) ? "shared" : visionTop.Contains(head) ? "vision" : textTop.Contains(head) ? "text" : "";
        return new HeadLandscape(
            Rows(all), Rows(vision), Rows(text), Rows(direct),
            [.. _plan.Order.Take(ranked).Select(h => new RankedHead(
                h.Layer, h.Head, _rank.Split(r => RankedRuns.Score(r.Result, h.Layer * Shape.Heads + h.Head, Shape.Heads, Options.Variants.HeadScore)), direct[h.Layer * Shape.Heads + h.Head], Role(h), estimated.Contains(h)))],
            visionTop.Count, Ids(shared), Ids(visionTop.Except(shared)), Ids(textTop.Except(shared)),
            [.. Enumerable.Range(1, ranked).Select(n => HeadRanking.ShareOfPositive(all, n))],
            HeadRanking.Spearman(all, direct))
        {
            Estimated = Ids(estimated.Order()), ScreenCorrelation = ScreenCorrelation(all, estimated),
        };
    }

    private double ScreenCorrelation(double[] scores, IReadOnlySet<(int, int)> estimated)
    {
        if (estimated.Count == 0) return double.NaN;
        var verified = Enumerable.Range(0, scores.Length).Where(i => !estimated.Contains((i / Shape.Heads, i % Shape.Heads))).ToList();
        return HeadRanking.Spearman([.. verified.Select(i => scores[i])], [.. verified.Select(i => _rank.Runs.Average(r => (double)r.Result.Curves[RankedRuns.HeadEstimates][i]))]);
    }

    private List<IReadOnlyList<double>> Rows(double[] scores) => [.. scores.Chunk(Shape.Heads)];

    private static List<HeadId> Ids(IEnumerable<(int Layer, int Head)> heads) => [.. heads.Select(h => new HeadId(h.Layer, h.Head))];

    private List<BlockingResult> Blocking() => [.. _plan.Blocked.Select(name =>
    {
        var condition = $"block/{name}";
        double? share = Options.Shares.Cast<double?>().FirstOrDefault(s => name == $"top{HeadPlan.Percent(s!.Value)}");
        return new BlockingResult(
            name, share, Ids(_plan.Sets[name]), _test.Split(r => r.Follows(condition)), _test.Split(r => r.Larger(condition)), _test.Split(r => r.Competes(condition)),
            _test.Split(r => r.Follows("baseline") - r.Follows(condition)), Accuracy(condition),
            share is null ? null : Draws("random" + name["top".Length..]), share is null ? null : Draws("layer" + name["top".Length..]));
    })];

    private RandomControl? Draws(string name)
    {
        var draws = _plan.Draws(name);
        if (draws.Count == 0) return null;
        var conditions = draws.Select(d => $"block/{d}").ToList();
        var means = conditions.Select(c => _test.Runs.Average(r => r.Follows(c))).ToList();
        return new RandomControl(
            [.. draws.Select(d => Ids(_plan.Sets[d]))],
            _test.Split(r => conditions.Average(r.Follows)), _test.Split(r => conditions.Average(r.Larger)), means.Min(), means.Max(), Accuracy([.. conditions]));
    }

    /// <summary>Accuracy on the controls by kind; over several conditions their mean.</summary>
    private SortedDictionary<string, Estimate> Accuracy(params string[] conditions) => new(
        Kinds().ToDictionary(SampleReader.NameOf, kind => _control!.Where(r => r.Run.Sample.Kind == kind).Mean(r => conditions.Average(r.Follows))), StringComparer.Ordinal);

    private IEnumerable<AmplificationResult> Amplification(MeasuredSet set)
    {
        var failed = set.Where(r => r.Failed);
        foreach (var group in _plan.Amplified.Concat(["random5", "layer5"]))
        {
            var random = !_plan.Amplified.Contains(group);
            var sets = random ? _plan.Draws(group) : [group];
            if (sets.Count == 0) continue;
            yield return new AmplificationResult(
                set.Name, group, random ? [] : Ids(_plan.Sets[group]), failed.Runs.Count, set.Runs.Count,
                [.. Options.Gains.Prepend(1).Select(factor => Gained(set, failed, [.. sets.Select(s => factor == 1 ? "baseline" : DiagnosisConditions.Gain(s, factor))], factor, random))]);
        }
    }

    private GainPoint Gained(MeasuredSet set, MeasuredSet failed, string[] conditions, double factor, bool random) => new(
        factor,
        failed.Split(r => conditions.Average(r.Follows)),
        failed.Split(r => conditions.Average(r.Larger)),
        random ? null : set.Split(r => r.Follows(conditions[0])),
        random ? null : set.Split(r => r.Larger(conditions[0])),
        random ? new SortedDictionary<string, Estimate>(StringComparer.Ordinal) : Accuracy(conditions));
}
