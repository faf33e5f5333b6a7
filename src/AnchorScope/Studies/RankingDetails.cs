using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Neurons before, among and after the necessary heads.</summary>
/// <param name="Total">Number of neurons of the model.</param>
/// <param name="FirstLayer">First layer with a necessary head (top 5 %).</param>
/// <param name="LastLayer">Last layer with a necessary head.</param>
/// <param name="Ranked">The strongest neurons of each place by estimate, silenced one at a time: ordered by place, then by decreasing
/// effect.</param>
/// <param name="Correlation">Spearman correlation of effect and estimate over them.</param>
internal sealed record NeuronTable(int Total, int FirstLayer, int LastLayer, IReadOnlyList<RankedNeuron> Ranked, double Correlation);

/// <summary>One neuron.</summary>
internal sealed record RankedNeuron
{
    public required NeuronPlace Place { get; init; }

    public required int Layer { get; init; }

    public required int Neuron { get; init; }

    /// <summary>Loss of margin, in logits, when it is set to 0 at the positions of the gain scope.</summary>
    public required ByInstruction Effect { get; init; }

    /// <summary>Gradient-based estimate of the effect.</summary>
    public required double Estimate { get; init; }

    /// <summary>Its activation at the instruction, mean over its positions.</summary>
    public required ByInstruction AtInstruction { get; init; }

    /// <summary>Its activation at the last position.</summary>
    public required ByInstruction AtLast { get; init; }

    /// <summary>Test of its effect over all runs. All neurons are one family.</summary>
    public required Significance Test { get; init; }
}

/// <summary>
/// The components of a necessary head's output z, set to 0 one at a time. Their basis is the model's own and is not privileged: a rotated
/// basis would be equivalent.
/// </summary>
/// <param name="Score">Score of the whole head.</param>
/// <param name="Size">d_head.</param>
/// <param name="ShareOfQuarter">Share of the sum of all magnitudes in the strongest quarter of the components; a quarter if all are
/// equal.</param>
/// <param name="Ranked">The strongest components, at most eight.</param>
internal sealed record OpenedHead(
    int Layer, int Head, double Score, int Size, double ShareOfQuarter, IReadOnlyList<RankedComponent> Ranked);

/// <summary>One component of a head's output.</summary>
/// <param name="Effect">Loss of margin, in logits, when it is set to 0 at the positions of the gain scope.</param>
/// <param name="AtInstruction">Its value at the instruction, mean over its positions.</param>
/// <param name="AtLast">Its value at the last position.</param>
/// <param name="Test">Test of its effect over all runs. The components of all measured heads are one family.</param>
internal sealed record RankedComponent(int Component, ByInstruction Effect, ByInstruction AtInstruction, ByInstruction AtLast,
    Significance Test);

/// <summary>Edges cut in a single head.</summary>
/// <param name="Estimates">Estimates for every edge and head.</param>
/// <param name="Ranked">The pairs with the strongest estimates, cut one at a time, by decreasing effect.</param>
/// <param name="Correlation">Spearman correlation of effect and estimate over them.</param>
internal sealed record EdgeTable(IReadOnlyList<EdgeEstimates> Estimates, IReadOnlyList<RankedEdge> Ranked, double Correlation);

/// <summary>Gradient-based estimates of the loss of margin when an edge is cut in a single head, in logits [layer][head].</summary>
internal sealed record EdgeEstimates(string Edge, IReadOnlyList<IReadOnlyList<double>> Heads);

/// <summary>An edge in one head.</summary>
/// <param name="Effect">Loss of margin, in logits, when it is cut.</param>
/// <param name="Estimate">Gradient-based estimate of the effect.</param>
/// <param name="Test">Test of its effect over all runs. All estimated pairs are one family.</param>
internal sealed record RankedEdge(string Edge, int Layer, int Head, ByInstruction Effect, double Estimate, Significance Test);

/// <summary>Results of the ranking split for parts smaller than heads.</summary>
internal sealed class RankingDetails(DiagnosisStudy study, ResultStore store, HeadPlan plan, MeasuredSet rank)
{
    private readonly Candidates _parts = study.Parts(store, plan);
    private readonly MeasuredSet _rank = rank.Where(r => r.Result.Curves.ContainsKey(RankedRuns.AtLast));

    private Interventions.DecoderShape Shape => study.Model.Engine.Shape;

    public NeuronTable Neurons()
    {
        var means = Candidates.NeuronMeans(_rank.Runs.Select(r => r.Result), Shape);
        var tests = Tests(_parts.Neurons.Select(n => ConditionId.Neuron(n.Layer, n.Neuron)), Shape.Layers * Shape.MlpSize);
        var ranked = _parts.Neurons.Select((n, i) => new RankedNeuron
        {
            Place = Candidates.PlaceOf(n.Layer, plan.Arbitration),
            Layer = n.Layer,
            Neuron = n.Neuron,
            Effect = Lost(_rank, ConditionId.Neuron(n.Layer, n.Neuron)),
            Estimate = means[n.Layer * Shape.MlpSize + n.Neuron],
            AtInstruction = _rank.Split(r => r.Result.Curves[RankedRuns.AtInstruction][i]),
            AtLast = _rank.Split(r => r.Result.Curves[RankedRuns.AtLast][i]),
            Test = tests[i],
        }).ToList();
        return new NeuronTable(
            Shape.Layers * Shape.MlpSize, plan.Arbitration.Min(h => h.Layer), plan.Arbitration.Max(h => h.Layer),
            [.. ranked.OrderBy(n => n.Place).ThenByDescending(n => Math.Abs(n.Effect.All.Mean))],
            HeadRanking.Spearman([.. ranked.Select(n => n.Effect.All.Mean)], [.. ranked.Select(n => n.Estimate)]));
    }

    public IReadOnlyList<OpenedHead> Inside()
    {
        var scores = study.Scores(store, study.Options.Variants.HeadScore).All;
        var tests = Tests(_parts.Components.Select(c => ConditionId.Component(c.Layer, c.Head, c.Component)), _parts.Components.Count);
        return [.. _parts.Components.Select((c, i) =>
            (c.Layer, c.Head, c.Component, Row: _parts.Neurons.Count + i, Test: tests[i],
                Effect: _rank.Runs.Select(r =>
                    Lost(r, ConditionId.Component(c.Layer, c.Head, c.Component))).DefaultIfEmpty(double.NaN).Average()))
            .GroupBy(c => (c.Layer, c.Head)).Select(head =>
            {
                var order = head.OrderByDescending(c => Math.Abs(c.Effect)).ToList();
                double Sum(int count) => order.Take(count).Sum(c => Math.Abs(c.Effect));
                return new OpenedHead(
                    head.Key.Layer, head.Key.Head, scores[head.Key.Layer * Shape.Heads + head.Key.Head], order.Count,
                    Sum((order.Count + 3) / 4) / Sum(order.Count),
                    [.. order.Take(Candidates.PerPlace).Select(c => new RankedComponent(
                        c.Component, Lost(_rank, ConditionId.Component(c.Layer, c.Head, c.Component)),
                        _rank.Split(r => r.Result.Curves[RankedRuns.AtInstruction][c.Row]),
                            _rank.Split(r => r.Result.Curves[RankedRuns.AtLast][c.Row]), c.Test))]);
            })];
    }

    public EdgeTable Edges()
    {
        var means = study.Edges.Select(e => (e.Name, Heads: Candidates.EdgeMeans(_rank.Runs.Select(r => r.Result), e.Name)))
            .Where(e => e.Heads.Length > 0).ToDictionary(e => e.Name, e => e.Heads, StringComparer.Ordinal);
        var tests = Tests(_parts.Edges.Select(e => ConditionId.HeadEdge(e.Edge, e.Layer, e.Head)), means.Values.Sum(heads => heads.Length));
        var ranked = _parts.Edges.Select((e, i) =>
        {
            var condition = ConditionId.HeadEdge(e.Edge, e.Layer, e.Head);
            return new RankedEdge(e.Edge, e.Layer, e.Head, Lost(_rank.Where(r => r.Has(condition)), condition),
                means[e.Edge][e.Layer * Shape.Heads + e.Head], tests[i]);
        }).ToList();
        return new EdgeTable(
            [.. means.Select(e => new EdgeEstimates(e.Key, [.. e.Value.Chunk(Shape.Heads)]))],
            [.. ranked.OrderByDescending(e => Math.Abs(e.Effect.All.Mean))],
            HeadRanking.Spearman([.. ranked.Select(e => e.Effect.All.Mean)], [.. ranked.Select(e => e.Estimate)]));
    }

    /// <summary>
    /// The family includes parts that were only estimated, because the measured ones were selected as the strongest in the same runs.
    /// </summary>
    private IReadOnlyList<Significance> Tests(IEnumerable<ConditionId> conditions, int family) =>
        Significance.Family([.. conditions.Select(c => _rank.Where(r => r.Has(c)).P(r => Lost(r, c)))], family);

    private static ByInstruction Lost(MeasuredSet runs, string condition) => runs.Split(r => Lost(r, condition));

    private static double Lost(MeasuredRun run, string condition) => (double)run.Baseline.Margin - run.Result.Outcomes[condition].Margin;
}
