using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>Compares methods for finding deciding heads on models whose arbiters are known.</summary>
/// <param name="study">The model and its conflicts.</param>
/// <param name="store">Receives result rows. What it already contains is not run again.</param>
internal sealed class AdjudicationStudy(DiagnosisStudy study, ResultStore store)
{
    /// <summary>Number of conflicts of the ranking split that the methods use.</summary>
    public const int Samples = 48;

    /// <summary>Standard deviations above which <see cref="HeadMethod.RestorationPca"/> flags a head: the rule of its authors.</summary>
    private const double LeastDeviations = 2;

    private static readonly SpanKind[] Everything =
        [SpanKind.System, SpanKind.Image, SpanKind.TextContext, SpanKind.Question, SpanKind.Instruction,
            SpanKind.Constraint, SpanKind.Suffix];

    private ConflictSet Set => study.Data.Rank.Part(
        study.Data.Rank.Name, [.. study.Data.Rank.Samples.Where(s => s.Kind == SampleKind.Conflict).Take(Samples)]);

    /// <summary>Runs every method.</summary>
    /// <param name="roles">Known roles; null: the roles found by the diagnosis.</param>
    /// <exception cref="InputException">The known roles do not cover exactly the heads of the model.</exception>
    public Adjudication Run(
        string model, IReadOnlyDictionary<HeadId, string>? roles, Action<StudyProgress>? progress = null,
        CancellationToken cancel = default)
    {
        if (roles is not null) Check(model, roles);
        var plan = study.Run(store, progress, cancel);
        var diagnosed = study.Reduce(store, plan).Interchange;
        var known = roles ?? diagnosed.Heads.ToDictionary(h => new HeadId(h.Layer, h.Head), h => h.Role);
        var heads = study.Interchange(store).All;
        Measure(heads, progress, cancel);
        var arbiters = known.Where(h => h.Value == EnumName.Of(HeadRole.Arbiter)).Select(h => h.Key).ToHashSet();
        var found = diagnosed.Heads.Where(h => h.Role == EnumName.Of(HeadRole.Arbiter)).ToDictionary(h => (h.Layer, h.Head),
            h => h.Profile.Choice.Moved);
        return new Adjudication(
            model, roles is null ? "diagnosed" : "planted",
            [.. heads.Select(h => new KnownHead(h.Layer, h.Head, known[new HeadId(h.Layer, h.Head)]))], RoleRule.Least,
            [.. Enum.GetValues<HeadMethod>().Select(method => Judge(method, Score(method, heads, found), known, arbiters))]);
    }

    private void Check(string model, IReadOnlyDictionary<HeadId, string> roles)
    {
        var (layers, heads) = (study.Model.Engine.Shape.Layers, study.Model.Engine.Shape.Heads);
        if (roles.Count == layers * heads && roles.Keys.All(h => h.Layer >= 0 && h.Layer < layers && h.Head >= 0 && h.Head < heads)) return;
        var highest = roles.Count == 0 ? "" : $", up to {roles.Keys.MaxBy(h => (h.Layer, h.Head))}";
        throw InputException.At(model, "roles", $"one for each of {layers} x {heads} heads", $"{roles.Count}{highest}");
    }

    private static MethodResult Judge(
        HeadMethod method, IReadOnlyList<ScoredId> scored, IReadOnlyDictionary<HeadId, string> known, HashSet<HeadId> arbiters)
    {
        List<HeadId> flagged = [.. scored.Where(s => s.Flagged).Select(s => s.Head)];
        var best = scored.OrderByDescending(s => s.Score).First();
        var hits = flagged.Count(arbiters.Contains);
        var none = arbiters.Count == 0;
        return new MethodResult
        {
            Method = EnumName.Of(method),
            Flagged = flagged,
            Best = best.Head,
            BestRole = known[best.Head],
            First = none ? null : scored.Where(s => s.Score == best.Score).All(s => arbiters.Contains(s.Head)),
            Hits = none
                ? null : scored.Count(s => arbiters.Contains(s.Head) && scored.Count(other => other.Score >= s.Score) <= arbiters.Count),
            Precision = flagged.Count == 0 ? double.NaN : (double)hits / flagged.Count,
            Recall = none ? double.NaN : (double)hits / arbiters.Count,
            Runs = Runs(method, scored.Count),
        };
    }

    /// <summary>A head, its score (minus infinity if it has none), and whether the method names it as deciding.</summary>
    private readonly record struct ScoredId(HeadId Head, double Score, bool Flagged);

    private List<ScoredId> Score(
        HeadMethod method, IReadOnlyList<(int Layer, int Head)> heads, Dictionary<(int Layer, int Head), Estimate> roles)
    {
        if (method == HeadMethod.RestorationPca)
        {
            var deviations = FirstComponent.Deviations([.. heads.Select(h => (Restored(h, Modality.Vision), Restored(h, Modality.Text)))]);
            return [.. heads.Zip(deviations, (h, d) => new ScoredId(new HeadId(h.Layer, h.Head), d, d > LeastDeviations))];
        }
        return [.. heads.Select(h =>
        {
            var score = method == HeadMethod.Roles ? roles.GetValueOrDefault(h) : Of(method, h);
            return new ScoredId(
                new HeadId(h.Layer, h.Head), double.IsNaN(score.Mean) ? double.NegativeInfinity : score.Mean,
                method == HeadMethod.Roles ? roles.ContainsKey(h) : score.Low > RoleRule.Least);
        })];
    }

    /// <summary>
    /// Share of the margin restored by z of the other run at the last position, as a mean over the runs instructed to trust
    /// <paramref name="told"/>; 0 if no run has a donor.
    /// </summary>
    private double Restored((int Layer, int Head) head, Modality told)
    {
        var runs = Measured("adjudicate/last").Where(r => r.Run.Instruction == told);
        var restored = ExchangeMeasure.Restored(runs, new Exchange(DonorFactor.Instruction, HeadContent.Z, [head]));
        return double.IsNaN(restored) ? 0 : restored;
    }

    private static int Runs(HeadMethod method, int heads) => method switch
    {
        HeadMethod.DirectLogitAttribution or HeadMethod.AttentionShift => 1,
        HeadMethod.AttributionPatching => 3,
        HeadMethod.AttributionIntegrated => 15,
        HeadMethod.QueryAttribution => 2 + 3 * InterchangeAttribution.Steps,
        HeadMethod.Roles => InterchangeStudy.ProfileKinds.Count * heads
            + InterchangeStudy.Searches.Count * InterchangeStudy.MostHeads * Math.Min(heads, InterchangeStudy.Pool),
        _ => heads + 2,
    };

    /// <summary>The score of a head by one method, as a share of the margin.</summary>
    private Estimate Of(HeadMethod method, (int Layer, int Head) head)
    {
        Estimate Curve(string name, bool ofMargin = true)
        {
            var set = Measured("adjudicate/readouts");
            var index = head.Layer * study.Model.Engine.Shape.Heads + head.Head;
            return ofMargin
                ? set.Ratio(r => r.Result.Curves[name][index], r => r.Baseline.Margin) : set.Mean(r => r.Result.Curves[name][index]);
        }
        Estimate Removed(AblationVariant variant, string phase = "adjudicate/removals")
        {
            var condition = new HeadRemoval(variant, [head]).Condition;
            return Measured(phase).Ratio(r => r.Baseline.Margin - r.Result.Outcomes[condition].Margin, r => r.Baseline.Margin);
        }
        Estimate Exchanged(string phase, DonorFactor factor, HeadContent what) =>
            ExchangeMeasure.Of(Measured(phase), new Exchange(factor, what, [head])).Moved;
        return method switch
        {
            HeadMethod.ZeroAblation => Removed(AblationVariant.Zero),
            HeadMethod.MeanAblation => Removed(AblationVariant.Mean),
            HeadMethod.ResampleAblation => Removed(AblationVariant.Resample),
            HeadMethod.LastPositionAblation => Removed(AblationVariant.Zero, "adjudicate/last_removals"),
            HeadMethod.DirectLogitAttribution => Curve(ReadoutRunner.Direct),
            HeadMethod.AttributionPatching => Curve(ReadoutRunner.Slope),
            HeadMethod.AttributionIntegrated => Curve(ReadoutRunner.Integrated),
            HeadMethod.AttentionShift => Curve(ReadoutRunner.Shift, ofMargin: false),
            HeadMethod.LastPositionPatching => Exchanged("adjudicate/last", DonorFactor.Instruction, HeadContent.Z),
            HeadMethod.FullSequencePatching => Exchanged("adjudicate/full", DonorFactor.Crossed, HeadContent.Z),
            HeadMethod.OutputInterchange => Exchanged("adjudicate/exchange", DonorFactor.Instruction, HeadContent.Z),
            HeadMethod.QueryAttribution => ExchangeMeasure.ShareOfWay(
                ExchangeMeasure.PairsOf(Measured("adjudicate/attribute"), DonorFactor.Instruction), DonorFactor.Instruction,
                r => r.Result.Curves[InterchangeRunner.Attributed][head.Layer * study.Model.Engine.Shape.Heads + head.Head]),
            HeadMethod.PatternInterchange => Exchanged("adjudicate/exchange", DonorFactor.Instruction, HeadContent.Pattern),
            _ => Exchanged("adjudicate/exchange", DonorFactor.Instruction, HeadContent.Query),
        };
    }

    private readonly Dictionary<string, MeasuredSet> _measured = new(StringComparer.Ordinal);

    private MeasuredSet Measured(string phase) => _measured.TryGetValue(phase, out var known)
        ? known
        : _measured[phase] = MeasuredSet.Of(Set, id => store.Find(phase, id)!, study.Model.Tokenizer,
            new BootstrapDraws(study.Options.Seed));

    private void Measure(IReadOnlyList<(int Layer, int Head)> heads, Action<StudyProgress>? progress, CancellationToken cancel)
    {
        var variants = study.Options.Variants;
        var spans = DiagnosisConditions.SpansOf(variants);
        var finder = DonorFinder.In(study.Data.Rank, study.Model.Tokenizer, study.Options.Seed);
        study.Each("adjudicate/readouts", Set, store, session =>
        {
            var runner = new ReadoutRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session), spans, session);
            return (sample, _) => runner.Run(sample);
        }, progress, cancel);
        study.Each("adjudicate/attribute", Set, store, session =>
        {
            var runner = new InterchangeRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session), finder, spans,
                variants.Alignment, session);
            return (sample, _) => runner.Attribute(sample);
        }, progress, cancel);
        study.Interchange(store).Ablate(
            "adjudicate/removals", Set, [.. heads.SelectMany(h => Enum.GetValues<AblationVariant>().Select(v => new HeadRemoval(v, [h])))],
            progress, cancel);
        study.Each("adjudicate/last_removals", Set, store, session =>
        {
            // Zero ablation needs neither means nor donor runs.
            var runner = new AblationRunner(study.Model, [SpanKind.Last], study.Interchange(store).Replacements(session), session);
            HeadRemoval[] removals = [.. heads.Select(h => new HeadRemoval(AblationVariant.Zero, [h]))];
            return (sample, stop) => runner.Run(sample, removals, stop);
        }, progress, cancel);
        Exchange("adjudicate/exchange", spans, last: false, (DonorFactor.Instruction, HeadContent.Z),
            (DonorFactor.Instruction, HeadContent.Pattern), (DonorFactor.Instruction, HeadContent.Query));
        Exchange("adjudicate/last", spans, last: true, (DonorFactor.Instruction, HeadContent.Z));
        Exchange("adjudicate/full", Everything, last: false, (DonorFactor.Crossed, HeadContent.Z));

        void Exchange(string name, IReadOnlyList<SpanKind> at, bool last, params (DonorFactor Factor, HeadContent What)[] kinds) =>
            study.Each(name, Set, store, session =>
            {
                var runner = new InterchangeRunner(study.Model, new ConflictPrompts(study.Model, study.Data.Layout, session), finder, at,
                    variants.Alignment, session) { LastOnly = last };
                Exchange[] exchanges = [.. kinds.SelectMany(k => heads.Select(h => new Exchange(k.Factor, k.What, [h])))];
                return (sample, stop) => runner.Run(sample, exchanges, stop);
            }, progress, cancel);
    }
}
