using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>All ways to steer a model that are compared.</summary>
internal sealed class SteeringMethods
{
    private readonly DiagnosisStudy _study;
    private readonly SteeringOptions _options;
    private readonly DiagnosedHeads _heads;
    private readonly DirectionFit _fit;
    private readonly IReadOnlyList<SpanKind> _spans;

    public SteeringMethods(DiagnosisStudy study, SteeringOptions options, DiagnosedHeads heads, DirectionFit fit)
    {
        (_study, _options, _heads, _fit) = (study, options, heads, fit);
        _spans = DiagnosisConditions.SpansOf(study.Options.Variants);
        Layers = [.. (heads.Arbiters.Count > 0 ? heads.Arbiters : heads.ChoiceCarriers).Select(h => h.Layer).Distinct().Order()];
        MainLayer = (heads.Arbiters.Count > 0 ? heads.Arbiters : heads.ChoiceCarriers).GroupBy(h => h.Layer).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).First().Key;
    }

    /// <summary>Layers of the heads: those whose entering residual stream is steered for comparison.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>The layer with most of them.</summary>
    public int MainLayer { get; }

    private DecoderShape Shape => _study.Model.Decoder.Shape;

    /// <summary>What the learnt directions start from: the mean differences by position, by method.</summary>
    public IEnumerable<Direction> Starts()
    {
        if (_heads.Arbiters.Count > 0) yield return ByPosition("query_learnt", Site.QueryProj, Pairs(_heads.Arbiters), _spans);
        if (_heads.ChoiceCarriers.Count > 0) yield return ByPosition("z_learnt", Site.HeadOut, Pairs(_heads.ChoiceCarriers), _spans);
        yield return ByPosition("residual_learnt", Site.ResidPre, [(MainLayer, 0)], _spans);
    }

    /// <summary>Every method but random heads.</summary>
    /// <param name="learnt">The trained directions.</param>
    public IReadOnlyList<SteeringMethod> All(IReadOnlyList<Direction> learnt)
    {
        var methods = new List<SteeringMethod>();
        foreach (var (prefix, site, heads, what) in new[]
        {
            ("query", Site.QueryProj, _heads.Arbiters, "queries of the arbiters"), ("z", Site.HeadOut, _heads.ChoiceCarriers, "outputs of the choice carriers"),
        })
        {
            if (heads.Count == 0) continue;
            var pairs = Pairs(heads);
            methods.Add(Portable($"{prefix}_mean", $"{what}: mean difference by span", Mean($"{prefix}_mean", site, pairs, _spans)));
            methods.Add(Portable($"{prefix}_position", $"{what}: mean difference by position", ByPosition($"{prefix}_position", site, pairs, _spans)));
            methods.Add(Portable($"{prefix}_everywhere", $"{what}: mean difference, at every position", _fit.Everywhere($"{prefix}_everywhere", site, pairs)));
            methods.Add(Own($"{prefix}_own", $"{what}: each run's own difference from its donor", site, pairs));
            methods.Add(Portable($"{prefix}_learnt", $"{what}: trained, by position", learnt.First(d => d.Name == $"{prefix}_learnt")));
        }
        methods.Add(Residual("residual_mean", "residual stream entering a layer of these heads, question to end: mean difference by span", _spans, byPosition: false));
        methods.Add(Residual("residual_position", "the same: mean difference by position", _spans, byPosition: true));
        methods.Add(Residual("anchor_position", "the same at the instruction alone: mean difference by position", _study.Options.Variants.Instruction, byPosition: true));
        methods.Add(new SteeringMethod(
            "residual_everywhere", "the same at every position: mean difference", SteeringFamily.Residual, Signed: true, _options.Strengths,
            [.. Layers.Select(layer => Setting($"L{layer}", _fit.Everywhere("residual_everywhere", Site.ResidPre, [(layer, 0)])))]));
        methods.Add(Portable("residual_learnt", $"residual stream entering layer {MainLayer}: trained, by position", learnt.First(d => d.Name == "residual_learnt")) with { Family = SteeringFamily.Residual });
        if (_heads.Arbiters.Count > 0) methods.Add(Gain("gain_arbiters", "outputs of the arbiters times a factor", _heads.Arbiters));
        if (_heads.DecisionCarriers.Count > 0) methods.Add(Gain("gain_decision_carriers", "outputs of the decision carriers times a factor", _heads.DecisionCarriers));
        methods.Add(Gain("gain_necessary", "outputs of the heads whose blocking costs most times a factor", _heads.Necessary));
        methods.Add(Boost());
        return methods;
    }

    /// <summary>
    /// Random sets of as many heads: their queries steered by their own mean differences, by position or by span, whichever is better, and their outputs amplified.
    /// </summary>
    public IReadOnlyList<SteeringMethod> Random()
    {
        var steered = _heads.Arbiters.Count > 0 ? _heads.Arbiters : _heads.ChoiceCarriers;
        var random = new SplitMix(_study.Options.Seed, after: 1UL << 40);
        var excluded = Pairs(steered).ToHashSet();
        return [.. Enumerable.Range(0, _options.Draws)
            .Select(_ => HeadRanking.Random(steered.Count, Shape.Layers, Shape.Heads, excluded, random))
            .Where(heads => heads.Count == steered.Count)
            .SelectMany((heads, i) => new[]
            {
                new SteeringMethod(
                    $"random{i}", string.Join(' ', heads.Select(h => $"{h.Layer}.{h.Head}")), SteeringFamily.Heads, Signed: true, _options.Strengths,
                    [Setting("position", ByPosition($"random{i}", Site.QueryProj, heads, _spans)), Setting("mean", Mean($"random{i}", Site.QueryProj, heads, _spans))]),
                Gain($"random{i}_gain", string.Join(' ', heads.Select(h => $"{h.Layer}.{h.Head}")), [.. heads.Select(h => new HeadId(h.Layer, h.Head))]),
            })];
    }

    private static (int Layer, int Head)[] Pairs(IEnumerable<HeadId> heads) => [.. heads.Select(h => (h.Layer, h.Head))];

    private Direction Mean(string name, Site site, IEnumerable<(int Layer, int Head)> heads, IReadOnlyList<SpanKind> spans) => _fit.Of(name, site, heads, spans, byPosition: false);

    private Direction ByPosition(string name, Site site, IEnumerable<(int Layer, int Head)> heads, IReadOnlyList<SpanKind> spans) => _fit.Of(name, site, heads, spans, byPosition: true);

    private SteeringMethod Portable(string name, string what, Direction direction) => new(name, what, SteeringFamily.Heads, Signed: true, _options.Strengths, [Setting("", direction)]);

    private static SteeringSetting Setting(string label, Direction direction) => new(label, direction, (run, condition, strength) =>
        direction.Parts.Any(p => p.Span is not { } span || run.Prompt.Span(span).Count > 0) ? direction.At(condition, (float)strength, run.Prompt.Span) : null);

    private SteeringMethod Residual(string name, string what, IReadOnlyList<SpanKind> spans, bool byPosition) => new(
        name, what, SteeringFamily.Residual, Signed: true, _options.Strengths, [.. Layers.Select(layer => Setting($"L{layer}", _fit.Of(name, Site.ResidPre, [(layer, 0)], spans, byPosition)))]);

    private SteeringMethod Own(string name, string what, Site site, IReadOnlyList<(int Layer, int Head)> heads) => new(
        name, what, SteeringFamily.Heads, Signed: true, _options.Strengths, [new SteeringSetting("", null, (run, condition, strength) => run.Own is null ? null : new Intervention(condition,
            [.. heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(layer =>
            {
                int[] named = [.. layer.Select(h => h.Head).Order()];
                var at = run.Own.At.Receiver;
                return new Edit(site, layer.Key, Operation.Add)
                {
                    Heads = named, Positions = Positions.Of(at), Factor = (float)strength,
                    Rows = DonorRows.Of(DirectionFit.Difference(Shape, run, site, layer.Key), Shape.Width(site), [.. Enumerable.Range(0, at.Length)], named, Shape.HeadSize),
                };
            })]))]);

    private SteeringMethod Gain(string name, string what, IReadOnlyList<HeadId> heads) => new(
        name, what, SteeringFamily.Gain, Signed: false, _study.Options.Gains,
        [new SteeringSetting("", null, (run, condition, factor) => Intervention.HeadGain(condition, Pairs(heads), (float)factor, Positions.Of(run.Prompt.Union(_spans))))]);

    private SteeringMethod Boost() => new(
        "attention_boost", "attention to the instruction, from itself and what follows, in all layers and heads: added to the scores", SteeringFamily.Boost, Signed: false, _options.Boosts,
        [new SteeringSetting("", null, (run, condition, added) =>
        {
            var keys = run.Prompt.Union(_study.Options.Variants.Instruction);
            return keys.Length == 0 ? null
                : Intervention.AttentionBoost(condition, Enumerable.Range(0, Shape.Layers), Positions.Range(keys[0], run.Prompt.Length), Positions.Of(keys), (float)added);
        })]);
}
