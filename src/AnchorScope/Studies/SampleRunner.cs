using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Readouts;

namespace AnchorScope.Studies;

/// <summary>A phase of a diagnosis.</summary>
internal enum Phase
{
    /// <summary>Blocks or estimates every head; estimates neurons and edges.</summary>
    Rank,

    /// <summary>Blocks the heads with the strongest estimates.</summary>
    Verify,

    /// <summary>Silences the neurons with the strongest estimates, and cuts the edges with the strongest estimates in one head.</summary>
    Parts,

    /// <summary>Layer curves, knockouts, blocking, amplification.</summary>
    Test,

    /// <summary>Amplification on failed hard samples.</summary>
    Hard,

    /// <summary>The same on the ranking split if there are no hard samples. The amplification factor is chosen on it.</summary>
    Factor,

    /// <summary>Side effects on samples without a conflict.</summary>
    Control,
}

/// <summary>Runs one sample under both instructions and every condition of a phase. One instance per thread.</summary>
/// <param name="replacements">Provides the values that replace removed activations.</param>
internal sealed class SampleRunner(
    VisionLanguageModel model, ConflictPrompts prompts, DiagnosisOptions options, DiagnosisConditions conditions, Replacements replacements,
        int answerTokens, ISession session)
{
    internal const string None = "baseline";

    /// <summary>Number of steps of integrated gradients.</summary>
    public const int Steps = 5;

    /// <summary>Number of neurons of a run whose estimates are kept.</summary>
    private const int NeuronsKept = 512;

    public IReadOnlyList<RunResult> Run(ConflictSample sample, Phase phase, PhasePlan plan, CancellationToken cancel)
    {
        return [.. sample.Runs.Select(run => Run(run, prompts.Of(run), phase, plan, cancel))];
    }

    private RunResult Run(ConflictRun run, Prompt prompt, Phase phase, PhasePlan plan, CancellationToken cancel)
    {
        var entities = AnswerEntities.Of(run, model.Tokenizer, out var reason) ?? throw new InputException($"{run.Id}: {reason}");
        var anchors = prompt.Union(options.Variants.Instruction);
        int[] watched = [.. anchors.Append(prompt.Length - 1).Distinct().Order()];
        var sites = phase switch
        {
            Phase.Rank => [Site.HeadOut, Site.ResidPost],
            Phase.Parts => [Site.HeadOut, Site.NeuronOut],
            Phase.Test => [Site.ResidMid, Site.ResidPost],
            _ => Array.Empty<Site>(),
        };
        using var baseline = session.Record(prompt, new RecordOptions { Sites = sites, Positions = watched });
        var result = new RunResult(run.Id, entities.Following, entities.Competing)
            { Answer = phase is Phase.Verify or Phase.Parts ? "" : Answer(prompt, baseline) };
        var plain = Measure(baseline.LastLogits, entities, baseline.LastLogits);
        result.Outcomes[None] = plain;
        var failed = !entities.FollowingForms.Contains(plain.ArgMax);
        var by = phase == Phase.Hard ? null : conditions.By(replacements, run, prompt, edges: phase is Phase.Parts or Phase.Test);
        IEnumerable<Intervention> interventions = phase switch
        {
            Phase.Rank => options.Variants.Screen == HeadScreen.Exact ? conditions.Alone(prompt, conditions.EachHead, by) : [],
            Phase.Verify => conditions.Alone(prompt, plan.Candidates!.Heads, by),
            Phase.Parts => [.. conditions.Silenced(prompt, plan.Candidates!.Neurons),
                .. conditions.Without(prompt, plan.Candidates.Components), .. conditions.CutInOneHead(prompt, plan.Candidates.Edges, by)],
            Phase.Test => [.. conditions.Knockouts(prompt, by), .. conditions.Blocks(prompt, plan.Heads!, controls: true, by),
                .. conditions.Gains(prompt, plan.Heads!, controls: failed)],
            Phase.Hard or Phase.Factor => conditions.Gains(prompt, plan.Heads!, controls: failed),
            _ => [.. conditions.Blocks(prompt, plan.Heads!, controls: true, by), .. conditions.Gains(prompt, plan.Heads!, controls: false)],
        };
        var variants = interventions.Select(i => new SweepItem(baseline, i)).ToList();
        var outcomes = new Outcome[variants.Count];
        Sweep.LastLogits(session, variants,
            (i, logits) => outcomes[i] = Measure(logits, entities, baseline.LastLogits, variants[i].Intervention.Name), cancel: cancel);
        for (var i = 0; i < outcomes.Length; i++) result.Outcomes[variants[i].Intervention.Name] = outcomes[i];
        if (phase == Phase.Rank)
        {
            var width = model.Engine.Shape.ModelSize;
            var final = baseline.Trace![Site.ResidPost, model.Engine.Shape.Layers - 1].AsSpan(^width..);
            result.Curves["dla"] = HeadContribution.ToMargin(model, baseline.Trace, watched.Length - 1, final,
                entities.Following, entities.Competing);
            AddEstimates(result, prompt, baseline, entities, plan.Parts!.Samples.Contains(run.Sample));
        }
        if (phase == Phase.Parts)
            AddActivations(result, plan.Candidates!, baseline.Trace!,
                [.. anchors.Select(p => Array.IndexOf(watched, p))], watched.Length - 1);
        if (phase == Phase.Test) AddLens(result, prompt, baseline.Trace!, entities, anchors, watched);
        return result;
    }

    private string Answer(Prompt prompt, IRecordedRun baseline)
    {
        if (answerTokens == 1 && !model.Rules.Any) return model.Tokenizer.Decode([Sampler.ArgMax(baseline.LastLogits)]).Trim();
        // max_length includes the prompt. A number of tokens given by the user takes precedence over it.
        var count = options.AnswerTokens is null && model is { MaxNewTokens: null, MaxLength: { } longest }
            ? Math.Clamp(longest - prompt.Length, 1, answerTokens) : answerTokens;
        var generated = Generation.Run(session, prompt, new SequenceOptions(count) { Stop = model.StopTokens, Rules = model.Rules });
        return model.Tokenizer.Decode([.. generated.Tokens]).Trim();
    }

    /// <summary>
    /// Adds gradient-based estimates for neurons, edges and, for a screen, heads. Neurons and edges use the gradient at the unmodified run,
    /// because the path along which head outputs are scaled to 0 does not apply to them.
    /// </summary>
    private void AddEstimates(RunResult result, Prompt prompt, IRecordedRun baseline, AnswerEntities entities, bool parts)
    {
        var at = conditions.Changed(prompt);
        Attribution Of(IReadOnlyList<EdgeGroup> edges, int steps) =>
            Attribution.Of(session, baseline, new AttributionOptions
            {
                TokenA = entities.Following, TokenB = entities.Competing, Positions = at, Edges = edges, Steps = steps,
            });
        if (options.Variants.Screen != HeadScreen.Exact)
            result.Curves[RankedRuns.HeadEstimates] = Of([], options.Variants.Screen == HeadScreen.Slope ? 1 : Steps).Heads;
        if (!parts) return;
        var slope = Of(conditions.EdgeGroups(prompt), 1);
        int[] strongest = [.. Enumerable.Range(0, slope.Neurons.Length).OrderByDescending(i => Math.Abs(slope.Neurons[i]))
            .Take(NeuronsKept).Order()];
        result.Curves[RankedRuns.NeuronIds] = [.. strongest.Select(i => (float)i)];
        result.Curves[RankedRuns.NeuronEstimates] = [.. strongest.Select(i => slope.Neurons[i])];
        foreach (var (edge, estimates) in slope.Edges) result.Curves[RankedRuns.EdgeEstimates + edge] = estimates;
    }

    private void AddActivations(RunResult result, Candidates parts, Trace trace, int[] anchors, int last)
    {
        var shape = model.Engine.Shape;
        float Mean(IReadOnlyList<int> rows, Site site, int layer, int column) =>
            rows.Count == 0 ? 0 : rows.Average(row => trace[site, layer][row * shape.Width(site) + column]);
        float[] Of(params IReadOnlyList<int> rows) =>
            [.. parts.Neurons.Select(n => Mean(rows, Site.NeuronOut, n.Layer, n.Neuron)),
                .. parts.Components.Select(c => Mean(rows, Site.HeadOut, c.Layer, c.Head * shape.HeadSize + c.Component))];
        result.Curves[RankedRuns.AtInstruction] = Of(anchors);
        result.Curves[RankedRuns.AtLast] = Of(last);
    }

    /// <param name="condition">Name of the run's intervention, for the message.</param>
    /// <exception cref="InputException">A logit is not finite.</exception>
    internal static Outcome Measure(
        ReadOnlySpan<float> logits, AnswerEntities entities, ReadOnlySpan<float> baseline, string condition = None)
    {
        LogitRange.Check(logits, condition);
        var (logSum, plainLogSum) = (LogSum(logits), LogSum(baseline));
        var divergence = 0.0;
        for (var i = 0; i < logits.Length; i++)
        {
            var logP = baseline[i] - plainLogSum;
            divergence += Math.Exp(logP) * (logP - (logits[i] - logSum));
        }
        return new Outcome(logits[entities.Following], logits[entities.Competing], (float)logSum, Sampler.ArgMax(logits),
            (float)Math.Max(0, divergence));
    }

    internal static double LogSum(ReadOnlySpan<float> logits)
    {
        var (largest, sum) = (float.NegativeInfinity, 0.0);
        foreach (var logit in logits) largest = MathF.Max(largest, logit);
        foreach (var logit in logits) sum += Math.Exp((double)logit - largest);
        return largest + Math.Log(sum);
    }

    /// <summary>
    /// Phi(y_p) - Phi(y_c) by layer, at the instruction (TopK) and at the last position: before layer 0, after every layer, and between
    /// attention and MLP ("_mid").
    /// </summary>
    private void AddLens(RunResult result, Prompt prompt, Trace trace, AnswerEntities entities, int[] anchors, int[] watched)
    {
        if (entities.CompetingForms.Count == 0) return;
        var (layers, width) = (model.Engine.Shape.Layers, model.Engine.Shape.ModelSize);
        var embedded = watched.SelectMany(p => prompt.Embeddings[(p * width)..((p + 1) * width)]).ToArray();
        var after = Enumerable.Range(0, layers).Select(l => trace[Site.ResidPost, l]).Prepend(embedded)
            .Select(r => Margins(r, entities, anchors, watched)).ToList();
        var mid = Enumerable.Range(0, layers).Select(l => Margins(trace[Site.ResidMid, l], entities, anchors, watched)).ToList();
        result.Curves["margin_anchor"] = [.. after.Select(m => m.Anchor)];
        result.Curves["margin_last"] = [.. after.Select(m => m.Last)];
        result.Curves["margin_anchor_mid"] = [.. mid.Select(m => m.Anchor)];
        result.Curves["margin_last_mid"] = [.. mid.Select(m => m.Last)];
    }

    private (float Anchor, float Last) Margins(float[] resid, AnswerEntities entities, int[] anchors, int[] watched)
    {
        var logits = session.Unembed(resid, options.Variants.Lens == LensNorm.Final);
        var vocabulary = model.Engine.VocabularySize;
        double Phi(IReadOnlyList<int> forms, int row)
        {
            Span<double> values = stackalloc double[forms.Count];
            for (var i = 0; i < forms.Count; i++) values[i] = logits[row * vocabulary + forms[i]];
            return SignalExtraction.Reduce(options.Variants.Entities, values);
        }
        double Anchor(IReadOnlyList<int> forms) =>
            SignalExtraction.TopK([.. anchors.Select(p => Phi(forms, Array.IndexOf(watched, p)))], options.Variants.TopK);
        return ((float)(Anchor(entities.FollowingForms) - Anchor(entities.CompetingForms)),
            (float)(Phi(entities.FollowingForms, watched.Length - 1) - Phi(entities.CompetingForms, watched.Length - 1)));
    }
}
