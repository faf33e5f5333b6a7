using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>The interventions of a diagnosis on one prompt, named as in results.jsonl.</summary>
internal sealed class DiagnosisConditions(DiagnosisOptions options, DecoderShape shape)
{
    /// <summary>Edges on which all window sizes are tried; the others are cut with the standard window only.</summary>
    public static IReadOnlyList<string> SensitivityEdges { get; } = ["image->instruction", "text_context->instruction", "instruction->last"];

    public IReadOnlyList<Edge> Edges { get; } = Edge.Standard(options.Variants.Instruction);

    public static string Knockout(string edge, int window, int layer) => $"knockout/{edge}/w{window}/L{layer}";

    public static string KnockoutAll(string edge) => $"knockout/{edge}/all";

    public static string Gain(string set, double factor) => $"gain/{set}/{factor:0.###}";

    public static IReadOnlyList<int> WindowsOf(string edge, DiagnosisOptions options) =>
        SensitivityEdges.Contains(edge) ? [.. options.Windows.Append(options.Variants.Window).Distinct().Order()] : [options.Variants.Window];

    /// <summary>Every head of the model set to 0, one at a time.</summary>
    public IEnumerable<Intervention> EachHead(Prompt prompt)
    {
        var at = Scope(prompt);
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            for (var head = 0; head < shape.Heads; head++) yield return Intervention.HeadGain($"head/{layer}.{head}", [(layer, head)], 0, at);
        }
    }

    /// <summary>Every edge, layer by layer and in all layers at once. Edges that the prompt does not have are left out.</summary>
    public IEnumerable<Intervention> Knockouts(Prompt prompt)
    {
        foreach (var edge in Edges)
        {
            foreach (var window in WindowsOf(edge.Name, options))
            {
                for (var layer = 0; layer < shape.Layers; layer++)
                {
                    if (edge.Cut(prompt, Knockout(edge.Name, window, layer), LayerWindow.Centred(layer, window, shape.Layers)) is { } cut) yield return cut;
                }
            }
            if (edge.Cut(prompt, KnockoutAll(edge.Name), Enumerable.Range(0, shape.Layers)) is { } all) yield return all;
        }
    }

    /// <summary>The chosen sets blocked, and with <paramref name="controls"/> the random ones.</summary>
    public IEnumerable<Intervention> Blocks(Prompt prompt, HeadPlan plan, bool controls)
    {
        var at = Scope(prompt);
        foreach (var (name, heads) in plan.Sets)
        {
            var random = name.Contains('/', StringComparison.Ordinal);
            if (heads.Count > 0 && (random ? controls : plan.Blocked.Contains(name))) yield return Intervention.HeadGain($"block/{name}", heads, 0, at);
        }
    }

    /// <summary>The chosen sets amplified, and with <paramref name="controls"/> random sets as large as 5 %.</summary>
    public IEnumerable<Intervention> Gains(Prompt prompt, HeadPlan plan, bool controls)
    {
        var at = Scope(prompt);
        foreach (var (name, heads) in plan.Sets)
        {
            var random = name.StartsWith("random5/", StringComparison.Ordinal) || name.StartsWith("layer5/", StringComparison.Ordinal);
            if (heads.Count == 0 || !(random ? controls : plan.Amplified.Contains(name))) continue;
            foreach (var factor in options.Gains) yield return Intervention.HeadGain(Gain(name, factor), heads, (float)factor, at);
        }
    }

    private Positions Scope(Prompt prompt) => options.Variants.Scope switch
    {
        GainScope.All => Positions.All,
        GainScope.Last => Positions.Of(prompt.Length - 1),
        GainScope.Instruction => Positions.Of(prompt.Union(options.Variants.Instruction)),
        _ => Positions.Of(prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Constraint, SpanKind.Suffix)),
    };
}
