using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>A group of attention edges: from some query positions to some key positions.</summary>
/// <param name="Name">For instance <c>image->instruction</c>.</param>
/// <param name="Queries">Query positions.</param>
/// <param name="Keys">Key positions.</param>
public sealed record EdgeGroup(string Name, IReadOnlyList<int> Queries, IReadOnlyList<int> Keys);

/// <summary>What an <see cref="Attribution"/> attributes, and to what.</summary>
public sealed record AttributionOptions
{
    /// <summary>Token id whose logit minus that of <see cref="TokenB"/> is the margin.</summary>
    public required int TokenA { get; init; }

    /// <summary>Token id whose logit is subtracted.</summary>
    public required int TokenB { get; init; }

    /// <summary>Positions at which heads and neurons would be changed.</summary>
    public required IReadOnlyList<int> Positions { get; init; }

    /// <summary>Groups of edges to attribute.</summary>
    public IReadOnlyList<EdgeGroup> Edges { get; init; } = [];

    /// <summary>
    /// 1: the gradient at the unmodified run. More: integrated gradients along the path that scales all head outputs at
    /// <see cref="Positions"/> from 1 to 0, as the mean of the gradients at the midpoints of the steps. Neurons and edges are taken from
    /// the same passes.
    /// </summary>
    public int Steps { get; init; } = 1;

    /// <summary>Maximum number of rows of steps that share a pass; does not change any bit.</summary>
    public int RowsPerPass { get; init; } = Sweep.DefaultRows;

    /// <exception cref="InputException">A token, a position or an edge does not exist, or a count is below 1.</exception>
    internal void Validate(IEngine engine, Prompt prompt)
    {
        void Within(string what, IEnumerable<int> values, int count)
        {
            foreach (var value in values)
            {
                if (value < 0 || value >= count)
                    throw new InputException($"attribution: {what}: expected 0 to {count - 1}, found {value}");
            }
        }
        Within("token", [TokenA, TokenB], engine.VocabularySize);
        Within("position", Positions, prompt.Length);
        if (Positions.Count == 0 && Edges.Count == 0)
            throw new InputException("attribution: expected positions of heads and neurons, or groups of edges, found neither");
        if (Edges.GroupBy(edge => edge.Name).FirstOrDefault(group => group.Count() > 1) is { } same)
            throw new InputException($"attribution: expected another name for each group of edges, found {same.Count()} called {same.Key}");
        foreach (var edge in Edges)
        {
            Within($"{edge.Name}: query", edge.Queries, prompt.Length);
            Within($"{edge.Name}: key", edge.Keys, prompt.Length);
            if (edge.Queries.Count == 0 || edge.Keys.Count == 0 || edge.Keys.Min() > edge.Queries.Max())
                throw new InputException($"attribution: {edge.Name}: expected a query that attends to one of the keys, found none");
        }
        if (Steps < 1) throw new InputException($"attribution: steps: expected at least 1, found {Steps}");
        if (RowsPerPass < 1) throw new InputException($"attribution: rows per pass: expected at least 1, found {RowsPerPass}");
    }
}

/// <summary>
/// Attribution patching (Nanda 2023; Syed et al. 2023): a first-order estimate of how much of a margin is lost by blocking each head,
/// cutting each edge or silencing each neuron, from a few forward and backward passes of the prompt. A <see cref="Sweep"/> measures it
/// exactly.
/// </summary>
/// <param name="Margin">logit a - logit b at the last position.</param>
/// <param name="Heads">Loss of margin from blocking a head at the chosen positions [layer x head].</param>
/// <param name="Neurons">Loss of margin from silencing a neuron at the chosen positions [layer x d_mlp].</param>
/// <param name="Edges">Loss of margin from cutting a group of edges in one head, by name of the group [layer x head].</param>
public sealed record Attribution(double Margin, float[] Heads, float[] Neurons, IReadOnlyDictionary<string, float[]> Edges)
{
    /// <summary>
    /// Attributes the margin of one token over another. Positions before the first one that could be changed are not computed; the recorded
    /// keys and values are used.
    /// </summary>
    /// <param name="baseline">The prompt and its recorded run.</param>
    /// <exception cref="InputException">A token, a position or an edge does not exist, or a count is below 1.</exception>
    public static Attribution Of(ISession session, IRecordedRun baseline, AttributionOptions options)
    {
        var (edges, steps) = (options.Edges, options.Steps);
        options.Validate(session.Engine, baseline.Prompt);
        int[] positions = [.. options.Positions.Distinct().Order()];
        var (shape, prompt) = (session.Engine.Shape, baseline.Prompt);
        var start = Math.Min(prompt.Length - 1, positions.Concat(edges.SelectMany(e => e.Queries)).DefaultIfEmpty(prompt.Length - 1).Min());
        var (heads, neurons) = (new double[shape.Layers * shape.Heads], new double[shape.Layers * shape.MlpSize]);
        var groups = edges.ToDictionary(e => e.Name, _ => new double[shape.Layers * shape.Heads], StringComparer.Ordinal);
        Site[] sites = edges.Count > 0 ? [Site.HeadOut, Site.NeuronOut, Site.AttnScores] : [Site.HeadOut, Site.NeuronOut];
        // Steps share passes, so that weights are packed once for several steps.
        foreach (var sharing in Enumerable.Range(0, steps).Chunk(Math.Max(1, options.RowsPerPass / (prompt.Length - start))))
        {
            PathStep[] path =
            [
                .. sharing.Select(step => new PathStep(
                    steps == 1 ? 1f : 1 - (step + 0.5f) / steps, new Trace([Site.HeadOut, Site.NeuronOut], positions),
                    Trace.ForGradients(sites))),
            ];
            session.Differentiate(
                [
                    .. path.Select(p => new GradientPlan(prompt, Scaled(shape, positions, p.Gain),
                        p.Derivatives) { Position = start, Past = baseline, Values = p.Values }),
                ],
                LossGradient.Margin(options.TokenA, options.TokenB));
            foreach (var (gain, values, derivatives) in path)
            {
                for (var layer = 0; layer < shape.Layers; layer++)
                {
                    Add(values[Site.HeadOut, layer], derivatives[Site.HeadOut, layer], positions, start,
                        shape.HeadSize, 1 / gain, heads.AsSpan(layer * shape.Heads, shape.Heads));
                    Add(values[Site.NeuronOut, layer], derivatives[Site.NeuronOut, layer], positions, start, 1, 1,
                        neurons.AsSpan(layer * shape.MlpSize, shape.MlpSize));
                    foreach (var edge in edges)
                        Add(edge, derivatives[Site.AttnScores, layer], start, prompt.Length,
                            groups[edge.Name].AsSpan(layer * shape.Heads, shape.Heads));
                }
            }
        }
        float[] Mean(double[] sums) => [.. sums.Select(s => (float)(s / steps))];
        return new Attribution((double)baseline.LastLogits[options.TokenA] - baseline.LastLogits[options.TokenB], Mean(heads),
            Mean(neurons), groups.ToDictionary(g => g.Key, g => Mean(g.Value), StringComparer.Ordinal));
    }

    /// <summary>One step of the path: the gain of the heads, the recorded values, and the gradient with respect to them.</summary>
    private sealed record PathStep(float Gain, Trace Values, Trace Derivatives);

    private static Intervention Scaled(DecoderShape shape, IReadOnlyList<int> positions, float gain) => gain == 1
        ? Intervention.None
        : new Intervention($"all heads x{gain}",
            [.. Enumerable.Range(0, shape.Layers).Select(
                layer => new Edit(Site.HeadOut, layer, Operation.Scale) { Factor = gain, Positions = Positions.Of(positions) })]);

    /// <param name="values">Values at the positions [position, part x width].</param>
    /// <param name="derivatives">Gradients at all positions from <paramref name="start"/> on.</param>
    private static void Add(float[] values, float[] derivatives, IReadOnlyList<int> positions, int start, int width,
        double factor, Span<double> into)
    {
        var columns = into.Length * width;
        for (var i = 0; i < positions.Count; i++)
        {
            for (var part = 0; part < into.Length; part++)
            {
                var sum = 0.0;
                for (var k = part * width; k < (part + 1) * width; k++)
                    sum += (double)values[i * columns + k] * derivatives[(positions[i] - start) * columns + k];
                into[part] += factor * sum;
            }
        }
    }

    private static void Add(EdgeGroup edge, float[] derivatives, int start, int length, Span<double> into)
    {
        for (var head = 0; head < into.Length; head++)
        {
            foreach (var query in edge.Queries.Distinct())
            {
                foreach (var key in edge.Keys.Distinct())
                {
                    if (key <= query) into[head] += derivatives[(head * (length - start) + query - start) * length + key];
                }
            }
        }
    }
}
