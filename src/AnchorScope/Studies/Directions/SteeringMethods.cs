using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>All steering methods that are compared.</summary>
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
        MainLayer = (heads.Arbiters.Count > 0 ? heads.Arbiters : heads.ChoiceCarriers).GroupBy(h => h.Layer)
            .OrderByDescending(g => g.Count()).ThenBy(g => g.Key).First().Key;
    }

    /// <summary>Layers of the heads. The residual stream before these layers is steered for comparison.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>The layer with most of the heads.</summary>
    public int MainLayer { get; }

    private DecoderShape Shape => _study.Model.Engine.Shape;

    /// <summary>Initial values of the trained directions: the mean differences by position, for each method.</summary>
    public IEnumerable<Direction> Starts()
    {
        if (_heads.Arbiters.Count > 0) yield return ByPosition("query_learnt", Site.QueryProj, Pairs(_heads.Arbiters), _spans);
        if (_heads.ChoiceCarriers.Count > 0) yield return ByPosition("z_learnt", Site.HeadOut, Pairs(_heads.ChoiceCarriers), _spans);
        yield return ByPosition("residual_learnt", Site.ResidPre, [(MainLayer, 0)], _spans);
    }

    /// <summary>Every method, with its controls.</summary>
    /// <param name="learnt">The trained directions.</param>
    public IReadOnlyList<SteeringMethod> All(IReadOnlyList<Direction> learnt)
    {
        var methods = new List<SteeringMethod>();
        foreach (var (prefix, site, heads, what) in new[]
        {
            ("query", Site.QueryProj, _heads.Arbiters, "queries of the arbiters"),
            ("z", Site.HeadOut, _heads.ChoiceCarriers, "outputs of the choice carriers"),
        })
        {
            if (heads.Count == 0) continue;
            foreach (var kind in new[] { "mean", "position", "everywhere" })
            {
                methods.Add(OfHeads($"{prefix}_{kind}", what, site, kind, Pairs(heads)) with
                {
                    Controls = [.. RandomHeads(heads).Select(
                        (random, i) => OfHeads($"random/{prefix}_{kind}/{i}", what, site, kind, random))],
                });
            }
            methods.Add(Own($"{prefix}_own", $"{what}: each run's own difference from its donor", site, Pairs(heads)));
            methods.Add(Portable($"{prefix}_learnt", $"{what}: trained, by position", learnt.First(d => d.Name == $"{prefix}_learnt")));
        }
        foreach (var kind in new[] { "residual_mean", "residual_position", "anchor_position", "residual_everywhere" })
            methods.Add(Residual(kind));
        methods.Add(Portable("residual_learnt", $"residual stream entering layer {MainLayer}: trained, by position",
            learnt.First(d => d.Name == "residual_learnt")) with { Family = SteeringFamily.Residual });
        foreach (var (name, heads) in new[] { ("arbiters", _heads.Arbiters), ("decision_carriers", _heads.DecisionCarriers),
            ("necessary", _heads.Necessary) })
        {
            if (heads.Count == 0) continue;
            methods.Add(Gain($"gain_{name}",
                $"outputs of the {name.Replace('_', ' ')}{(name == "necessary" ? " heads" : "")} times a factor", Pairs(heads)) with
            {
                Controls = [.. RandomHeads(heads).Select((random, i) => Gain($"random/gain_{name}/{i}", "", random))],
            });
        }
        methods.Add(Boost());
        return methods;
    }

    /// <summary>Random sets of the same number of heads, disjoint from these.</summary>
    private IEnumerable<IReadOnlyList<(int Layer, int Head)>> RandomHeads(IReadOnlyList<HeadId> heads)
    {
        var (random, excluded) = (new SplitMix(_study.Options.Seed, after: (ulong)heads.Count << 40), Pairs(heads).ToHashSet());
        return Enumerable.Range(0, _options.Draws).Select(_ => HeadRanking.Random(heads.Count, Shape.Layers, Shape.Heads, excluded, random))
            .Where(drawn => drawn.Count == heads.Count);
    }

    private SteeringMethod OfHeads(string name, string what, Site site, string kind, IReadOnlyList<(int Layer, int Head)> heads) =>
        kind switch
        {
            "mean" => Portable(name, $"{what}: mean difference by span", _fit.Of(name, site, heads, _spans, byPosition: false)),
            "position" => Portable(name, $"{what}: mean difference by position", ByPosition(name, site, heads, _spans)),
            _ => Portable(name, $"{what}: mean difference, at every position", _fit.Everywhere(name, site, heads)),
        };

    private SteeringMethod Residual(string kind)
    {
        Direction At(int layer) => kind switch
        {
            "residual_mean" => _fit.Of(kind, Site.ResidPre, [(layer, 0)], _spans, byPosition: false),
            "residual_position" => ByPosition(kind, Site.ResidPre, [(layer, 0)], _spans),
            "anchor_position" => ByPosition(kind, Site.ResidPre, [(layer, 0)], _study.Options.Variants.Instruction),
            _ => _fit.Everywhere(kind, Site.ResidPre, [(layer, 0)]),
        };
        var what = "residual stream entering a layer of these heads, " + kind switch
        {
            "residual_mean" => "question to end: mean difference by span",
            "residual_position" => "question to end: mean difference by position",
            "anchor_position" => "at the instruction alone: mean difference by position",
            _ => "at every position: mean difference",
        };
        SteeringMethod Of(string name, Func<int, Direction> direction) => new(
            name, what, SteeringFamily.Residual, Signed: true, _options.Strengths,
            [.. Layers.Select(layer => Setting($"L{layer}", direction(layer)))]);
        return Of(kind, At) with
        {
            Controls = [.. Enumerable.Range(0, _options.Draws).Select(
                i => Of($"random/{kind}/{i}", layer => AsLong(At(layer), _study.Options.Seed ^ ((ulong)(i + 1) << 32) ^ (ulong)layer)))],
        };
    }

    /// <summary>Random Gaussian vectors, each scaled to the length of the vector it replaces.</summary>
    private static Direction AsLong(Direction direction, ulong seed)
    {
        var random = new SplitMix(seed);
        double Normal() =>
            Math.Sqrt(-2 * Math.Log(((random.Next() >> 11) + 1) / (double)(1UL << 53)))
                * Math.Cos(2 * Math.PI * ((random.Next() >> 11) / (double)(1UL << 53)));
        return direction with
        {
            Parts = [.. direction.Parts.Select(part => part with
            {
                Rows = new DonorRows([.. Enumerable.Range(0, part.Rows.Count).SelectMany(row =>
                {
                    var (length, drawn) = (Math.Sqrt(part.Rows[row].ToArray().Sum(v => (double)v * v)),
                        Enumerable.Range(0, part.Rows.Width).Select(_ => Normal()).ToArray());
                    var scale = length / Math.Sqrt(drawn.Sum(v => v * v));
                    return drawn.Select(v => (float)(v * scale));
                })], part.Rows.Count),
            })],
        };
    }

    private static (int Layer, int Head)[] Pairs(IEnumerable<HeadId> heads) => [.. heads.Select(h => (h.Layer, h.Head))];

    private Direction ByPosition(string name, Site site, IEnumerable<(int Layer, int Head)> heads, IReadOnlyList<SpanKind> spans) =>
        _fit.Of(name, site, heads, spans, byPosition: true);

    private SteeringMethod Portable(string name, string what, Direction direction) =>
        new(name, what, SteeringFamily.Heads, Signed: true, _options.Strengths, [Setting("", direction)]);

    private static SteeringSetting Setting(string label, Direction direction) => new(label, direction, (run, condition, strength) =>
        direction.Parts.Any(p => p.Span is not { } span || run.Prompt.Span(span).Count > 0)
            ? direction.At(condition, (float)strength, run.Prompt.Span) : null);

    private SteeringMethod Own(string name, string what, Site site, IReadOnlyList<(int Layer, int Head)> heads) => new(
        name, what, SteeringFamily.Heads, Signed: true, _options.Strengths,
        [new SteeringSetting("", null, (run, condition, strength) => run.Own is null ? null : new Intervention(condition,
            [.. heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(layer =>
            {
                int[] named = [.. layer.Select(h => h.Head).Order()];
                var at = run.Own.At.Receiver;
                return new Edit(site, layer.Key, Operation.Add)
                {
                    Heads = named, Positions = Positions.Of(at), Factor = (float)strength,
                    Rows = DonorRows.Of(DirectionFit.Difference(Shape, run, site, layer.Key), Shape.Width(site),
                        [.. Enumerable.Range(0, at.Count)], named, Shape.HeadSize),
                };
            })]))]);

    private SteeringMethod Gain(string name, string what, IReadOnlyList<(int Layer, int Head)> heads) => new(
        name, what, SteeringFamily.Gain, Signed: false, [.. _study.Options.Gains.Where(g => g > 1).Order()],
        [new SteeringSetting("", null,
            (run, condition, factor) => Intervention.HeadGain(condition, heads, (float)factor, Positions.Of(run.Prompt.Union(_spans))))]);

    private SteeringMethod Boost() => new(
        "attention_boost", "attention to the instruction, from itself and what follows, in all layers and heads: added to the scores",
        SteeringFamily.Boost, Signed: false, _options.Boosts,
        [new SteeringSetting("", null, (run, condition, added) =>
        {
            var keys = run.Prompt.Union(_study.Options.Variants.Instruction);
            return keys.Length == 0 ? null
                : Intervention.AttentionBoost(condition, Enumerable.Range(0, Shape.Layers), Positions.Range(keys[0], run.Prompt.Length),
                    Positions.Of(keys), (float)added);
        })]);
}
