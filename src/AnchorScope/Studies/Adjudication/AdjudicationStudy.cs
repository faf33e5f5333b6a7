using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>What one method says of one model.</summary>
/// <param name="Method">Its name.</param>
/// <param name="Flagged">Heads whose whole interval lies above the threshold (for roles: the arbiters).</param>
/// <param name="Best">The head with the largest score, and its planted or diagnosed role.</param>
/// <param name="Hits">How many of the k true arbiters are among the k highest scores; null where there are none.</param>
/// <param name="Precision">Share of the flagged heads that are true arbiters; NaN where none is flagged.</param>
/// <param name="Recall">Share of the true arbiters that are flagged; NaN where there are none.</param>
/// <param name="Runs">Runs of the model from its first changed layer on, for all heads and one sample under one instruction; backward passes count twice. For roles at most so many: searches end early.</param>
public sealed record MethodResult(
    string Method, IReadOnlyList<HeadId> Flagged, HeadId Best, string BestRole, int? Hits, double Precision, double Recall, int Runs);

/// <summary>All methods on one model.</summary>
/// <param name="Truth">"planted", where the weights were written with a role for every head, or "diagnosed": agreement with the roles of the diagnosis, not truth.</param>
/// <param name="Arbiters">The heads that count as arbiters.</param>
/// <param name="Threshold">Of <see cref="MethodResult.Flagged"/>.</param>
public sealed record Adjudication(string Model, string Truth, IReadOnlyList<HeadId> Arbiters, double Threshold, IReadOnlyList<MethodResult> Methods);

/// <summary>Holds methods that name deciding heads to models whose arbiters are known.</summary>
/// <param name="study">The model and its conflicts.</param>
/// <param name="store">Where rows go; what it has is not run again.</param>
public sealed class AdjudicationStudy(DiagnosisStudy study, ResultStore store)
{
    /// <summary>Conflicts of the ranking split that the methods see.</summary>
    public const int Samples = 48;

    private static readonly SpanKind[] Everything =
        [SpanKind.System, SpanKind.Image, SpanKind.TextContext, SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix];

    private ConflictSet Set => study.Data.Rank.Part(
        study.Data.Rank.Name, [.. study.Data.Rank.Samples.Where(s => s.Kind == SampleKind.Conflict).Take(Samples)]);

    /// <summary>Runs every method.</summary>
    /// <param name="roles">Known roles; null: those of the diagnosis.</param>
    public Adjudication Run(string model, IReadOnlyDictionary<HeadId, string>? roles, CancellationToken cancel = default)
    {
        var plan = study.Run(store, cancel: cancel);
        var diagnosed = study.Reduce(store, plan).Interchange;
        var known = roles ?? diagnosed.Heads.ToDictionary(h => new HeadId(h.Layer, h.Head), h => h.Role);
        var heads = study.Interchange(store).All;
        Measure(heads, cancel);
        var arbiters = known.Where(h => h.Value == Variants.NameOf(HeadRole.Arbiter)).Select(h => h.Key).ToHashSet();
        var found = diagnosed.Heads.Where(h => h.Role == Variants.NameOf(HeadRole.Arbiter)).ToDictionary(h => (h.Layer, h.Head), h => h.Profile.Choice.Moved);
        return new Adjudication(
            model, roles is null ? "diagnosed" : "planted", [.. arbiters.OrderBy(h => (h.Layer, h.Head))], RoleRule.Least,
            [.. Enum.GetValues<HeadMethod>().Select(method => Judge(method, heads, known, arbiters, found))]);
    }

    private MethodResult Judge(
        HeadMethod method, IReadOnlyList<(int Layer, int Head)> heads, IReadOnlyDictionary<HeadId, string> known, HashSet<HeadId> arbiters,
        Dictionary<(int Layer, int Head), Estimate> roles)
    {
        Estimate Score((int Layer, int Head) head) => method == HeadMethod.Roles ? roles.GetValueOrDefault(head, default) : Of(method, head);
        var scored = heads.Select(h => (Head: new HeadId(h.Layer, h.Head), Score: Score(h))).ToList();
        List<HeadId> flagged = [.. scored.Where(s => method == HeadMethod.Roles ? roles.ContainsKey((s.Head.Layer, s.Head.Head)) : s.Score.Low > RoleRule.Least).Select(s => s.Head)];
        var order = scored.OrderByDescending(s => double.IsNaN(s.Score.Mean) ? double.NegativeInfinity : s.Score.Mean).Select(s => s.Head).ToList();
        var hits = flagged.Count(arbiters.Contains);
        return new MethodResult(
            Variants.NameOf(method), flagged, order[0], known[order[0]], arbiters.Count == 0 ? null : order.Take(arbiters.Count).Count(arbiters.Contains),
            flagged.Count == 0 ? double.NaN : (double)hits / flagged.Count, arbiters.Count == 0 ? double.NaN : (double)hits / arbiters.Count, Runs(method, heads.Count));
    }

    private static int Runs(HeadMethod method, int heads) => method switch
    {
        HeadMethod.DirectLogitAttribution or HeadMethod.AttentionShift => 1,
        HeadMethod.AttributionPatching => 3,
        HeadMethod.AttributionIntegrated => 15,
        HeadMethod.Roles => InterchangeStudy.ProfileKinds.Count * heads
            + InterchangeStudy.Searches.Count * InterchangeStudy.MostHeads * Math.Min(heads, InterchangeStudy.Pool),
        _ => heads + 2,
    };

    /// <summary>A head's score by one method, as a share of the margin.</summary>
    private Estimate Of(HeadMethod method, (int Layer, int Head) head)
    {
        Estimate Curve(string name, bool ofMargin = true)
        {
            var set = Measured("adjudicate/readouts");
            var index = head.Layer * study.Model.Decoder.Shape.Heads + head.Head;
            return ofMargin ? set.Ratio(r => r.Result.Curves[name][index], r => r.Baseline.Margin) : set.Mean(r => r.Result.Curves[name][index]);
        }
        Estimate Removed(AblationVariant variant)
        {
            var condition = new HeadRemoval(variant, [head]).Condition;
            return Measured("adjudicate/removals").Ratio(r => r.Baseline.Margin - r.Result.Outcomes[condition].Margin, r => r.Baseline.Margin);
        }
        Estimate Exchanged(string phase, DonorFactor factor, HeadContent what) =>
            ExchangeMeasure.Of(Measured(phase), new Exchange(factor, what, [head])).Moved;
        return method switch
        {
            HeadMethod.ZeroAblation => Removed(AblationVariant.Zero),
            HeadMethod.MeanAblation => Removed(AblationVariant.Mean),
            HeadMethod.ResampleAblation => Removed(AblationVariant.Resample),
            HeadMethod.DirectLogitAttribution => Curve(ReadoutRunner.Direct),
            HeadMethod.AttributionPatching => Curve(ReadoutRunner.Slope),
            HeadMethod.AttributionIntegrated => Curve(ReadoutRunner.Integrated),
            HeadMethod.AttentionShift => Curve(ReadoutRunner.Shift, ofMargin: false),
            HeadMethod.LastPositionPatching => Exchanged("adjudicate/last", DonorFactor.Instruction, HeadContent.Z),
            HeadMethod.FullSequencePatching => Exchanged("adjudicate/full", DonorFactor.Crossed, HeadContent.Z),
            HeadMethod.OutputInterchange => Exchanged("adjudicate/exchange", DonorFactor.Instruction, HeadContent.Z),
            HeadMethod.PatternInterchange => Exchanged("adjudicate/exchange", DonorFactor.Instruction, HeadContent.Pattern),
            _ => Exchanged("adjudicate/exchange", DonorFactor.Instruction, HeadContent.Query),
        };
    }

    private readonly Dictionary<string, MeasuredSet> _measured = new(StringComparer.Ordinal);

    private MeasuredSet Measured(string phase) => _measured.TryGetValue(phase, out var known)
        ? known
        : _measured[phase] = MeasuredSet.Of(Set, id => store.Find(phase, id)!, study.Model.Tokenizer, new BootstrapDraws(study.Options.Seed));

    private void Measure(IReadOnlyList<(int Layer, int Head)> heads, CancellationToken cancel)
    {
        var variants = study.Options.Variants;
        var spans = DiagnosisConditions.SpansOf(variants);
        var finder = new DonorFinder([.. study.Data.Rank.Samples.Where(s => s.Kind == SampleKind.Conflict)], study.Model.Tokenizer, study.Options.Seed);
        study.Each("adjudicate/readouts", Set, store, compute =>
        {
            var runner = new ReadoutRunner(study.Model, study.Data.Layout, spans, compute);
            return (sample, _) => runner.Run(sample);
        }, null, cancel);
        study.Interchange(store).Ablate(
            "adjudicate/removals", Set, [.. heads.SelectMany(h => Enum.GetValues<AblationVariant>().Select(v => new HeadRemoval(v, [h])))], null, cancel);
        Exchange("adjudicate/exchange", spans, last: false, (DonorFactor.Instruction, HeadContent.Z), (DonorFactor.Instruction, HeadContent.Pattern), (DonorFactor.Instruction, HeadContent.Query));
        Exchange("adjudicate/last", spans, last: true, (DonorFactor.Instruction, HeadContent.Z));
        Exchange("adjudicate/full", Everything, last: false, (DonorFactor.Crossed, HeadContent.Z));

        void Exchange(string name, IReadOnlyList<SpanKind> at, bool last, params (DonorFactor Factor, HeadContent What)[] kinds) => study.Each(name, Set, store, compute =>
        {
            var runner = new InterchangeRunner(study.Model, study.Data.Layout, finder, at, variants.Alignment, compute) { LastOnly = last };
            Exchange[] exchanges = [.. kinds.SelectMany(k => heads.Select(h => new Exchange(k.Factor, k.What, [h])))];
            return (sample, stop) => runner.Run(sample, exchanges, stop);
        }, null, cancel);
    }
}
