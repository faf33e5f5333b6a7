using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The runs of the ranking split with the results of all phases that used them: ranking, verification, parts.</summary>
internal static class RankedRuns
{
    /// <summary>Curve with an estimate of every head's score [layer x head].</summary>
    public const string HeadEstimates = "attribution";

    /// <summary>Curves with the strongest neurons of a run, as layer x d_mlp + neuron, and with their estimates.</summary>
    public const string NeuronIds = "neurons", NeuronEstimates = "neuron_attribution";

    /// <summary>
    /// Curves with the activations of neurons, then of components of heads, at the instruction (mean over its positions) and at the last
    /// position, in the order of <see cref="Candidates"/>.
    /// </summary>
    public const string AtInstruction = "activation_instruction", AtLast = "activation_last";

    /// <summary>Prefix of the names of curves with estimates of an edge in every head [layer x head].</summary>
    public const string EdgeEstimates = "edge/";

    /// <summary>The runs of a sample.</summary>
    public static IReadOnlyList<RunResult> Of(ResultStore store, string sample)
    {
        var runs = store.Find("rank", sample)!;
        foreach (var phase in new[] { "verify", "parts" })
        {
            if (store.Find(phase, sample) is { } more) runs = [.. runs.Zip(more, Joined)];
        }
        return runs;
    }

    /// <summary>Whether a head's score is an estimate, because the head was not blocked.</summary>
    public static bool IsEstimate(RunResult run, int layer, int head, HeadScoreVariant variant) =>
        variant != HeadScoreVariant.DirectLogitAttribution && !run.Outcomes.ContainsKey(ConditionId.Head(layer, head));

    /// <summary>
    /// One head's score in one run. Scores that are exchanges are not defined for single runs (<see cref="ExchangeScore"/>).
    /// </summary>
    public static double Score(RunResult run, int head, int headsPerLayer, HeadScoreVariant variant)
    {
        if (variant == HeadScoreVariant.DirectLogitAttribution) return run.Curves["dla"][head];
        if (!run.Outcomes.TryGetValue(ConditionId.Head(head / headsPerLayer, head % headsPerLayer), out var blocked))
            return run.Curves[HeadEstimates][head];
        var plain = run.Outcomes[ConditionId.Baseline];
        return variant switch
        {
            HeadScoreVariant.CausalMargin => (double)plain.Margin - blocked.Margin,
            HeadScoreVariant.CausalNssd => -StructuralDivergence.Of(NssdVariant.SignedKl, plain.Margin, blocked.Margin),
            _ => throw new ArgumentOutOfRangeException(nameof(variant), variant, "is no score of a single run"),
        };
    }

    private static RunResult Joined(RunResult run, RunResult more) =>
        run with { Outcomes = Joined(run.Outcomes, more.Outcomes), Curves = Joined(run.Curves, more.Curves) };

    private static Dictionary<string, T> Joined<T>(Dictionary<string, T> values, Dictionary<string, T> more)
    {
        var joined = new Dictionary<string, T>(values, StringComparer.Ordinal);
        foreach (var (name, value) in more) joined[name] = value;
        return joined;
    }
}
