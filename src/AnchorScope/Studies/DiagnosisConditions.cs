using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>The interventions of a diagnosis on one prompt, with their names in results.jsonl.</summary>
internal sealed class DiagnosisConditions(DiagnosisOptions options, DecoderShape shape)
{
    /// <summary>Edges for which all window sizes are tried. The others are cut with the standard window only.</summary>
    public static IReadOnlyList<string> SensitivityEdges { get; } = ["image->instruction",
        "text_context->instruction", "instruction->last"];

    public IReadOnlyList<Edge> Edges { get; } = Edge.Standard(options.Variants.Instruction);

    public static IReadOnlyList<int> WindowsOf(string edge, DiagnosisOptions options) =>
        SensitivityEdges.Contains(edge)
            ? [.. options.Windows.Append(options.Variants.Window).Distinct().Order()] : [options.Variants.Window];

    /// <summary>Every head of the model.</summary>
    public IEnumerable<(int Layer, int Head)> EachHead =>
        from layer in Enumerable.Range(0, shape.Layers) from head in Enumerable.Range(0, shape.Heads) select (layer, head);

    /// <summary>Removes heads, one at a time.</summary>
    /// <param name="by">The values that replace them; null: 0.</param>
    public IEnumerable<Intervention> Alone(Prompt prompt, IEnumerable<(int Layer, int Head)> heads, Removal? by)
    {
        var at = Scope(options.Variants, prompt);
        foreach (var (layer, head) in heads) yield return Without(ConditionId.Head(layer, head), [(layer, head)], at, by);
    }

    /// <summary>Sets neurons to 0, one at a time.</summary>
    public IEnumerable<Intervention> Silenced(Prompt prompt, IEnumerable<(int Layer, int Neuron)> neurons)
    {
        var at = Scope(options.Variants, prompt);
        foreach (var (layer, neuron) in neurons)
            yield return new Intervention(ConditionId.Neuron(layer, neuron),
                new Edit(Site.NeuronOut, layer, Operation.Scale) { Factor = 0, Components = [neuron], Positions = at });
    }

    /// <summary>Sets components of heads' outputs to 0, one at a time.</summary>
    public IEnumerable<Intervention> Without(Prompt prompt, IEnumerable<(int Layer, int Head, int Component)> components)
    {
        var at = Scope(options.Variants, prompt);
        foreach (var (layer, head, component) in components)
            yield return new Intervention(ConditionId.Component(layer, head, component),
                new Edit(Site.HeadOut, layer, Operation.Scale)
                    { Factor = 0, Components = [head * shape.HeadSize + component], Positions = at });
    }

    /// <summary>Cuts edges in one head each, if the prompt has them.</summary>
    public IEnumerable<Intervention> CutInOneHead(Prompt prompt, IEnumerable<(string Edge, int Layer, int Head)> pairs, Removal? by) =>
        pairs.Select(p => Cut(Edges.First(e => e.Name == p.Edge), prompt, ConditionId.HeadEdge(p.Edge, p.Layer, p.Head), [p.Layer], by,
            [p.Head])).OfType<Intervention>();

    /// <summary>The edges into the instruction and later spans, for estimates by head.</summary>
    public IReadOnlyList<EdgeGroup> EdgeGroups(Prompt prompt) =>
        [.. Edges.Where(e => !e.To.Contains(SpanKind.TextContext) && e.Exists(prompt))
            .Select(e => new EdgeGroup(e.Name, prompt.Union(e.To), prompt.Union(e.From)))];

    /// <summary>Positions at which heads are blocked.</summary>
    public int[] Changed(Prompt prompt) =>
        Scope(options.Variants, prompt) is { IsAll: false } some ? [.. some.List] : [.. Enumerable.Range(0, prompt.Length)];

    /// <summary>Cuts every edge, layer by layer and in all layers at once. Edges that the prompt does not have are left out.</summary>
    public IEnumerable<Intervention> Knockouts(Prompt prompt, Removal? by)
    {
        foreach (var edge in Edges)
        {
            foreach (var window in WindowsOf(edge.Name, options))
            {
                for (var layer = 0; layer < shape.Layers; layer++)
                {
                    if (Cut(edge, prompt, ConditionId.Knockout(edge.Name, window, layer), LayerWindow.Centred(layer, window, shape.Layers),
                        by) is { } cut) yield return cut;
                }
            }
            if (Cut(edge, prompt, ConditionId.KnockoutAll(edge.Name), Enumerable.Range(0, shape.Layers), by) is { } all) yield return all;
        }
    }

    /// <summary>Blocks the chosen sets and, with <paramref name="controls"/>, the random ones.</summary>
    public IEnumerable<Intervention> Blocks(Prompt prompt, HeadPlan plan, bool controls, Removal? by)
    {
        var at = Scope(options.Variants, prompt);
        foreach (var (id, heads) in plan.Sets)
        {
            if (heads.Count > 0 && (id.IsDrawn ? controls : plan.Blocked.Contains(id)))
                yield return Without(ConditionId.Block(id), heads, at, by);
        }
    }

    /// <summary>Amplifies the chosen sets and, with <paramref name="controls"/>, random sets of the size of the best 5 %.</summary>
    public IEnumerable<Intervention> Gains(Prompt prompt, HeadPlan plan, bool controls)
    {
        var at = Scope(options.Variants, prompt);
        foreach (var (id, heads) in plan.Sets)
        {
            var random = id with { Draw = null } == HeadPlan.Random || id with { Draw = null } == HeadPlan.SameLayers;
            if (heads.Count == 0 || !(random ? controls : plan.Amplified.Contains(id))) continue;
            foreach (var factor in options.Gains)
                yield return Intervention.HeadGain(ConditionId.Gain(id, factor), heads, (float)factor, at);
        }
    }

    /// <summary>Spans at which heads are exchanged: those at which they are blocked, without the spans before the question.</summary>
    public static IReadOnlyList<SpanKind> SpansOf(Definitions variants) => variants.Scope == GainScope.Instruction
        ? variants.Instruction
        : [SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix];

    /// <summary>Spans at which heads are blocked; null stands for template tokens that belong to no span.</summary>
    public IReadOnlyList<SpanKind?> Blocked { get; } = options.Variants.Scope switch
    {
        // The last position is part of the suffix.
        GainScope.All => [.. Enum.GetValues<SpanKind>().Where(kind => kind != SpanKind.Last).Select(kind => (SpanKind?)kind), null],
        GainScope.Last => [SpanKind.Last],
        GainScope.Instruction => [.. options.Variants.Instruction.Select(kind => (SpanKind?)kind)],
        _ => [SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix],
    };

    /// <summary>
    /// How heads, and with <paramref name="edges"/> edges, are removed from a run; null if heads are set to 0 and edges are cut.
    /// </summary>
    public Removal? By(Replacements replacements, Conflicts.ConflictRun run, Prompt prompt, bool edges)
    {
        if (options.Variants.Ablation == AblationVariant.Zero) return null;
        var replacement = edges
            ? replacements.Of(options.Variants.Ablation, run, [Site.HeadOut, Site.Key, Site.Value], Blocked.Concat(Read).Distinct())
            : replacements.Of(options.Variants.Ablation, run, [Site.HeadOut], Blocked);
        return new Removal(shape, prompt, Blocked, replacement);
    }

    /// <summary>
    /// Where means are taken: of head outputs at the spans where heads are removed, of keys and values at the spans where edges begin.
    /// </summary>
    public IReadOnlyList<(Site Site, SpanKind? Span)> MeanPlaces =>
        [.. Blocked.Select(span => (Site.HeadOut, span)), .. Read.SelectMany(span => new[] { (Site.Key, span), (Site.Value, span) })];

    /// <summary>Spans that edges read from.</summary>
    private IEnumerable<SpanKind?> Read => Edges.SelectMany(edge => edge.From).Distinct().Select(kind => (SpanKind?)kind);

    private static Intervention Without(string name, IReadOnlyList<(int Layer, int Head)> heads, Positions at, Removal? by) =>
        by is null ? Intervention.HeadGain(name, heads, 0, at) : by.Heads(name, heads);

    private static Intervention? Cut(Edge edge, Prompt prompt, string name, IEnumerable<int> layers, Removal? by,
        IReadOnlyList<int>? heads = null) =>
        by is null ? edge.Cut(prompt, name, layers, heads) : by.Along(edge, name, layers, heads);

    /// <summary>Positions at which heads are blocked or amplified.</summary>
    public static Positions Scope(Definitions variants, Prompt prompt) => variants.Scope switch
    {
        GainScope.All => Positions.All,
        GainScope.Last => Positions.Of(prompt.Length - 1),
        GainScope.Instruction => Positions.Of(prompt.Union(variants.Instruction)),
        _ => Positions.Of(prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix)),
    };
}
