using System.Globalization;
using AnchorScope.Prompts;

namespace AnchorScope.Metrics;

/// <summary>How a change of the two-answer distribution is turned into I_NSSD. All are reconstructions: the paper's equation could not be had.</summary>
public enum NssdVariant
{
    /// <summary>sign(p~' - p~) KL(P~ || P~'), natural logarithm.</summary>
    SignedKl,

    /// <summary>ln(p~' / p~).</summary>
    LogRatio,

    /// <summary>sign(p~' - p~) JS(P~, P~').</summary>
    SignedJs,

    /// <summary>p~' - p~.</summary>
    DeltaP,

    /// <summary>(p~' - p~) / p~.</summary>
    RelativeDeltaP,

    /// <summary>sign(p' - p) KL(P || P') over the whole vocabulary, p = p(y_p).</summary>
    FullVocabSignedKl,

    /// <summary>ln(p' / p) with p = p(y_p) over the whole vocabulary.</summary>
    RawLogRatio,
}

/// <summary>Whether the logit lens applies the final norm.</summary>
public enum LensNorm
{
    /// <summary>The head on the raw residual stream.</summary>
    None,

    /// <summary>The final norm first, as at the output.</summary>
    Final,
}

/// <summary>How the logits of an answer's several token forms become one.</summary>
public enum EntityReduction
{
    /// <summary>The largest.</summary>
    Max,

    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>Log of the sum of exp: the logit of "any of them".</summary>
    SumOfProb,
}

/// <summary>What a head is ranked by.</summary>
public enum HeadScoreVariant
{
    /// <summary>Mean margin without intervention minus mean margin with the head's output at 0.</summary>
    CausalMargin,

    /// <summary>Minus the mean I_NSSD of setting the head's output to 0.</summary>
    CausalNssd,

    /// <summary>Mean direct logit attribution to the margin at the last position.</summary>
    DirectLogitAttribution,

    /// <summary>Share of the margin that the head's queries move, taken from the other instruction.</summary>
    Choice,

    /// <summary>Share of the margin that its output moves, taken from a crossed donor.</summary>
    Content,

    /// <summary>The same, taken from a run with another question.</summary>
    Question,

    /// <summary>The same, taken from a run with another picture; of runs told to follow the picture alone.</summary>
    Picture,

    /// <summary>The same, taken from a run with another note; of runs told to follow the note alone.</summary>
    Note,
}

/// <summary>How the heads that are ranked come by their scores.</summary>
public enum HeadScreen
{
    /// <summary>Every head is blocked.</summary>
    Exact,

    /// <summary>Every head is estimated from derivatives, as the mean over five steps on which all heads fade out; the strongest are then blocked.</summary>
    Gradient,

    /// <summary>The same from the derivatives where nothing is changed.</summary>
    Slope,
}

/// <summary>What a cut has to take before its edge counts as a route.</summary>
public enum RouteMeasure
{
    /// <summary>A quarter of MFR by arg-max.</summary>
    Argmax,

    /// <summary>A quarter of what MFR by the larger of the two has above chance.</summary>
    Larger,
}

/// <summary>Where a head's output is scaled.</summary>
public enum GainScope
{
    /// <summary>Question, instruction, constraint and suffix: everything behind the context.</summary>
    Relay,

    /// <summary>Everywhere, generated positions included.</summary>
    All,

    /// <summary>The last position.</summary>
    Last,

    /// <summary>The instruction.</summary>
    Instruction,
}

/// <summary>How a share of the heads becomes a number.</summary>
public enum TopRounding
{
    /// <summary>Nearest, half away from zero.</summary>
    Round,

    /// <summary>Down.</summary>
    Floor,

    /// <summary>Up.</summary>
    Ceiling,
}

/// <summary>Every choice that the paper's text leaves open, named in every result file. docs/definitions.md explains each.</summary>
public sealed record Definitions
{
    /// <summary>"default" or "paper-v1".</summary>
    public string Preset { get; init; } = "default";

    /// <summary>Definition of I_NSSD.</summary>
    public NssdVariant Nssd { get; init; } = NssdVariant.SignedKl;

    /// <summary>Norm of the logit lens.</summary>
    public LensNorm Lens { get; init; } = LensNorm.Final;

    /// <summary>K of TopK instruction aggregation.</summary>
    public int TopK { get; init; } = 2;

    /// <summary>Reduction over an answer's token forms.</summary>
    public EntityReduction Entities { get; init; } = EntityReduction.Max;

    /// <summary>Layers of a knockout window, centred and clipped.</summary>
    public int Window { get; init; } = 3;

    /// <summary>Score that ranks heads.</summary>
    public HeadScoreVariant HeadScore { get; init; } = HeadScoreVariant.CausalMargin;

    /// <summary>Where the scores come from.</summary>
    public HeadScreen Screen { get; init; } = HeadScreen.Exact;

    /// <summary>What tells routes apart.</summary>
    public RouteMeasure Route { get; init; } = RouteMeasure.Argmax;

    /// <summary>Positions at which heads are blocked or amplified.</summary>
    public GainScope Scope { get; init; } = GainScope.Relay;

    /// <summary>What takes the place of heads and edges that are removed.</summary>
    public AblationVariant Ablation { get; init; } = AblationVariant.Zero;

    /// <summary>How positions of a donor run are matched with the receiver's.</summary>
    public SpanAlignment Alignment { get; init; } = SpanAlignment.Equal;

    /// <summary>Rounding of "the top 5 %"; at least one head in any case.</summary>
    public TopRounding Rounding { get; init; } = TopRounding.Round;

    /// <summary>What counts as instruction in edges and in TopK aggregation.</summary>
    public IReadOnlyList<SpanKind> Instruction { get; init; } = [SpanKind.Instruction];

    /// <summary>Named presets.</summary>
    public static IReadOnlyDictionary<string, Definitions> Presets { get; } = new Dictionary<string, Definitions>(StringComparer.Ordinal)
    {
        ["default"] = new(),
        // What the authors' figures and rebuttal support best: a lens without norm (shallow values near 0.07), K = 2, windows of 3.
        ["paper-v1"] = new() { Preset = "paper-v1", Lens = LensNorm.None },
    };

    /// <summary>Every choice by the name that its option has, as result files list them.</summary>
    public IReadOnlyDictionary<string, string> Named => new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["preset"] = Preset,
        ["nssd"] = EnumName.Of(Nssd),
        ["lens_norm"] = EnumName.Of(Lens),
        ["top_k"] = TopK.ToString(CultureInfo.InvariantCulture),
        ["entity_reduction"] = EnumName.Of(Entities),
        ["window"] = Window.ToString(CultureInfo.InvariantCulture),
        ["head_score"] = EnumName.Of(HeadScore),
        ["screen"] = EnumName.Of(Screen),
        ["route"] = EnumName.Of(Route),
        ["gain_scope"] = EnumName.Of(Scope),
        ["ablation"] = EnumName.Of(Ablation),
        ["alignment"] = EnumName.Of(Alignment),
        ["top_rounding"] = EnumName.Of(Rounding),
        ["instruction_span"] = string.Join('+', Instruction.Select(EnumName.Of)),
    };

    /// <summary>The preset of a name; an unknown one is an error that lists them.</summary>
    public static Definitions Of(string preset) => Presets.TryGetValue(preset, out var variants)
        ? variants
        : throw InputException.At("--preset", "name", string.Join(" or ", Presets.Keys), preset + Nearest.Hint(preset, Presets.Keys));
}

/// <summary>How positions of a donor run are matched with those of the receiver, span by span.</summary>
public enum SpanAlignment
{
    /// <summary>Spans have as many tokens in both runs; else the pair is left out and counted.</summary>
    Equal,

    /// <summary>Of spans that differ in length the last tokens are matched, as many as the shorter has.</summary>
    End,
}

/// <summary>What takes the place of a head's output when the head is removed, and of keys and values when an edge is.</summary>
public enum AblationVariant
{
    /// <summary>0: far from anything that the model has seen. Edges are cut.</summary>
    Zero,

    /// <summary>The mean at that span, over the ranking split.</summary>
    Mean,

    /// <summary>What a random other run has there, position by position from the end of each span.</summary>
    Resample,
}
