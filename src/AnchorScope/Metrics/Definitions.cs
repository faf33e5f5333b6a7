using System.Globalization;
using AnchorScope.Prompts;

namespace AnchorScope.Metrics;

/// <summary>
/// How I_NSSD is computed from a change of the two-answer distribution. All variants are reconstructions, because the paper's equation was
/// not available.
/// </summary>
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

/// <summary>How the logits of an answer's token forms are combined into one.</summary>
public enum EntityReduction
{
    /// <summary>Their maximum.</summary>
    Max,

    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>Log of the sum of exp: the logit of "any of them".</summary>
    SumOfProb,
}

/// <summary>The score by which heads are ranked.</summary>
public enum HeadScoreVariant
{
    /// <summary>Mean margin without intervention minus mean margin with the head's output set to 0.</summary>
    CausalMargin,

    /// <summary>Minus the mean I_NSSD of setting the head's output to 0.</summary>
    CausalNssd,

    /// <summary>Mean direct logit attribution to the margin at the last position.</summary>
    DirectLogitAttribution,

    /// <summary>Share of the margin moved by replacing the head's queries by those under the other instruction.</summary>
    Choice,

    /// <summary>Share of the margin moved by replacing the head's output by that of a crossed donor.</summary>
    Content,

    /// <summary>Share of the margin moved by replacing the head's output by that of a run with another question.</summary>
    Question,

    /// <summary>
    /// Share of the margin moved by replacing the head's output by that of a run with another picture; only runs instructed to follow the
    /// picture.
    /// </summary>
    Picture,

    /// <summary>
    /// Share of the margin moved by replacing the head's output by that of a run with another note; only runs instructed to follow the
    /// note.
    /// </summary>
    Note,
}

/// <summary>How the scores of heads are obtained.</summary>
public enum HeadScreen
{
    /// <summary>Every head is blocked.</summary>
    Exact,

    /// <summary>
    /// Every head is estimated by integrated gradients in five steps along which all head outputs are scaled to 0; the strongest are then
    /// blocked.
    /// </summary>
    Gradient,

    /// <summary>Every head is estimated by the gradient at the unmodified run; the strongest are then blocked.</summary>
    Slope,
}

/// <summary>How much a cut must remove for its edge to count as a route.</summary>
public enum RouteMeasure
{
    /// <summary>A quarter of MFR by arg-max.</summary>
    Argmax,

    /// <summary>A quarter of the excess over chance of MFR by the larger of the two logits.</summary>
    Larger,
}

/// <summary>Positions at which a head's output is scaled.</summary>
public enum GainScope
{
    /// <summary>Question, instruction, constraint and suffix: everything after the context.</summary>
    Relay,

    /// <summary>All positions, including generated ones.</summary>
    All,

    /// <summary>The last position.</summary>
    Last,

    /// <summary>The instruction.</summary>
    Instruction,
}

/// <summary>How a share of the heads is rounded to a number of heads.</summary>
public enum TopRounding
{
    /// <summary>To nearest, half away from zero.</summary>
    Round,

    /// <summary>Down.</summary>
    Floor,

    /// <summary>Up.</summary>
    Ceiling,
}

/// <summary>Every choice that the paper leaves open. All are named in every result file. docs/definitions.md explains each.</summary>
public sealed record Definitions
{
    /// <summary>Name of the preset: "default" or "paper-v1".</summary>
    public string Preset { get; init; } = "default";

    /// <summary>Definition of I_NSSD.</summary>
    public NssdVariant Nssd { get; init; } = NssdVariant.SignedKl;

    /// <summary>Norm of the logit lens.</summary>
    public LensNorm Lens { get; init; } = LensNorm.Final;

    /// <summary>K of TopK instruction aggregation.</summary>
    public int TopK { get; init; } = 2;

    /// <summary>Reduction over an answer's token forms.</summary>
    public EntityReduction Entities { get; init; } = EntityReduction.Max;

    /// <summary>Number of layers of a knockout window, centred and clipped.</summary>
    public int Window { get; init; } = 3;

    /// <summary>The score by which heads are ranked.</summary>
    public HeadScoreVariant HeadScore { get; init; } = HeadScoreVariant.CausalMargin;

    /// <summary>How the scores are obtained.</summary>
    public HeadScreen Screen { get; init; } = HeadScreen.Exact;

    /// <summary>The measure that distinguishes routes.</summary>
    public RouteMeasure Route { get; init; } = RouteMeasure.Argmax;

    /// <summary>Positions at which heads are blocked or amplified.</summary>
    public GainScope Scope { get; init; } = GainScope.Relay;

    /// <summary>What replaces removed heads and edges.</summary>
    public AblationVariant Ablation { get; init; } = AblationVariant.Zero;

    /// <summary>How positions of a donor run are aligned with the receiver's.</summary>
    public SpanAlignment Alignment { get; init; } = SpanAlignment.Equal;

    /// <summary>Rounding of "the top 5 %"; at least one head.</summary>
    public TopRounding Rounding { get; init; } = TopRounding.Round;

    /// <summary>Spans that count as the instruction in edges and in TopK aggregation.</summary>
    public IReadOnlyList<SpanKind> Instruction { get; init; } = [SpanKind.Instruction];

    /// <summary>Named presets.</summary>
    public static IReadOnlyDictionary<string, Definitions> Presets { get; } = new Dictionary<string, Definitions>(StringComparer.Ordinal)
    {
        ["default"] = new(),
        // The values best supported by the authors' figures and rebuttal: a lens without norm (shallow values near 0.07), K = 2, windows of
        // 3.
        ["paper-v1"] = new() { Preset = "paper-v1", Lens = LensNorm.None },
    };

    /// <summary>Every choice by the name of its option, as listed in result files.</summary>
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

    /// <summary>The preset with this name.</summary>
    /// <exception cref="InputException">The name is unknown; the message lists the presets.</exception>
    public static Definitions Of(string preset) => Presets.TryGetValue(preset, out var variants)
        ? variants
        : throw InputException.At("--preset", "name", string.Join(" or ", Presets.Keys), preset + Nearest.Hint(preset, Presets.Keys));
}

/// <summary>How positions of a donor run are aligned with those of the receiver, span by span.</summary>
public enum SpanAlignment
{
    /// <summary>Spans must have the same number of tokens in both runs. Other pairs are left out and counted.</summary>
    Equal,

    /// <summary>If spans differ in length, their last tokens are aligned, as many as the shorter one has.</summary>
    End,
}

/// <summary>What replaces a head's output when the head is removed, and keys and values when an edge is removed.</summary>
public enum AblationVariant
{
    /// <summary>0, which is far from anything the model has seen. Edges are cut.</summary>
    Zero,

    /// <summary>The mean at that span over the ranking split.</summary>
    Mean,

    /// <summary>The values of a random other run, position by position from the end of each span.</summary>
    Resample,
}
