using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Which heads choose and which carry: the content of <c>interchange</c> in diagnosis.json. Definitions are in docs/definitions.md.
/// </summary>
internal sealed record InterchangeResult
{
    /// <summary>How positions were aligned.</summary>
    public required string Alignment { get; init; }

    /// <summary>Spans at which heads were exchanged.</summary>
    public required IReadOnlyList<string> Positions { get; init; }

    /// <summary>Pairs by split and factor, and why other runs gave none.</summary>
    public required IReadOnlyList<SplitPairs> Pairs { get; init; }

    /// <summary>Every head, on the ranking split.</summary>
    public required IReadOnlyList<ProfiledHead> Heads { get; init; }

    /// <summary>The sets that were searched on the ranking split, measured on the test split.</summary>
    public required IReadOnlyList<FoundSet> Sets { get; init; }

    /// <summary>The heads whose blocking lowers MFR most, under the same exchanges.</summary>
    public required MeasuredHeads Necessary { get; init; }

    /// <summary>All heads of a layer, and its MLP, exchanged together.</summary>
    public required IReadOnlyList<LayerExchange> Layers { get; init; }

    /// <summary>Queries of all heads.</summary>
    public required ExchangeEffect AllQueries { get; init; }

    /// <summary>Outputs of all heads.</summary>
    public required ExchangeEffect AllOutputs { get; init; }

    /// <summary>The layer whose MLP decides if no head does; null if heads do, or nothing was found.</summary>
    public required int? MlpDecides { get; init; }

    /// <summary>Where the choice is made: at the instruction's tokens or after them.</summary>
    public required ChoicePlace Place { get; init; }

    /// <summary>Heads selected by gradient-based estimates, and the exact effect of exchanging their queries.</summary>
    public required GradientSet ByGradient { get; init; }

    /// <summary>The found sets and the necessary heads, removed in each way.</summary>
    public required IReadOnlyList<AblationResult> Ablations { get; init; }

    /// <summary>The set with this name.</summary>
    public FoundSet Set(string name) => Sets.First(s => s.Name == name);

    /// <summary>Heads with a role, in order.</summary>
    public IReadOnlyList<ProfiledHead> Of(HeadRole role) => [.. Heads.Where(h => h.Role == EnumName.Of(role))];
}

/// <summary>Where the choice is made, on the test split.</summary>
/// <param name="Where">"instruction", "behind" (after it), "both", "neither" or "unclear".</param>
/// <param name="QueriesAtInstruction">Queries of all heads, only at the instruction, from the run under the other instruction.</param>
/// <param name="QueriesBehind">The same only after the instruction.</param>
/// <param name="PassedOnCrossed">Keys and values of the instruction in all layers, only for later queries, from a crossed donor: it gives
/// the donor's answer if a decision is passed on, the receiver's own other answer if a choice is.</param>
internal sealed record ChoicePlace(string Where, ExchangeEffect QueriesAtInstruction, ExchangeEffect QueriesBehind,
    ExchangeEffect PassedOnCrossed)
{
    /// <summary>
    /// Where queries have the larger effect: at the instruction or after it. The intervals must be separated by a factor of two.
    /// </summary>
    internal static string Of(ExchangeEffect instruction, ExchangeEffect later)
    {
        var (at, after) = (instruction.Moved, later.Moved);
        // In a prompt that ends with its instruction there are no later positions to compare with.
        if (instruction.Pairs == 0 || later.Pairs == 0) return "unclear";
        return at.Low > RoleRule.Least && after.High < at.Low / 2 ? "instruction"
            : after.Low > RoleRule.Least && at.High < after.Low / 2 ? "behind"
            : at.Low > RoleRule.Least && after.Low > RoleRule.Least ? "both"
            : at.High < RoleRule.Least && after.High < RoleRule.Least ? "neither"
            : "unclear";
    }
}

/// <summary>Heads selected by the estimated effect of exchanging their queries.</summary>
/// <param name="Heads">The heads with the largest estimates, each with its estimated share of the margin.</param>
/// <param name="Steps">The first n heads, n = 1, 2, …, exchanged exactly on the test split.</param>
/// <param name="Half">Number of heads that switch half of the test pairs; null if no step does.</param>
/// <param name="Ninety">Number of heads that switch 90 %; null if no step does.</param>
/// <param name="Shared">How many of them are among the arbiters that the search found.</param>
/// <param name="RankCorrelation">Rank correlation of all estimates with the exact effects of single heads.</param>
internal sealed record GradientSet(IReadOnlyList<AttributedHead> Heads, IReadOnlyList<GradientStep> Steps, int? Half, int? Ninety,
    int Shared, double RankCorrelation);

/// <summary>A head with its estimate.</summary>
internal sealed record AttributedHead(int Layer, int Head, Estimate Moved);

/// <summary>The effect of exchanging the first n heads.</summary>
internal sealed record GradientStep(int Heads, ExchangeEffect Test);

/// <summary>Pairs of one split.</summary>
internal sealed record SplitPairs(string Split, IReadOnlyList<PairCount> Factors);

/// <summary>A set of heads under the exchanges that identify its role.</summary>
/// <param name="Choice">Queries, donor under the other instruction.</param>
/// <param name="ChoiceCrossed">Queries, crossed donor.</param>
/// <param name="Output">z, donor under the other instruction.</param>
/// <param name="Content">z, crossed donor.</param>
/// <param name="Question">z, donor with another question.</param>
internal sealed record MeasuredHeads(
    IReadOnlyList<HeadId> Heads, ExchangeEffect Choice, ExchangeEffect ChoiceCrossed, ExchangeEffect Output, ExchangeEffect Content,
        ExchangeEffect Question)
{
    /// <summary>Control: queries, donor with another phrasing of the same instruction.</summary>
    public ExchangeEffect Phrasing { get; init; } = ExchangeEffect.NoPairs;

    /// <summary>Control: z, donor with another phrasing of the same instruction.</summary>
    public ExchangeEffect PhrasingOutput { get; init; } = ExchangeEffect.NoPairs;
}

/// <summary>The result of a search.</summary>
internal sealed record FoundSet
{
    /// <summary>"arbiters", "decision_carriers" or "choice_carriers".</summary>
    public required string Name { get; init; }

    /// <summary>What was exchanged in the search: factor and content.</summary>
    public required string Exchanged { get; init; }

    /// <summary>The set after each step.</summary>
    public required IReadOnlyList<FoundStep> Steps { get; init; }

    /// <summary>
    /// Whether it is confirmed on the test split: <see cref="FoundSet.Aim"/> is above the threshold and above that of random sets, and the
    /// set has the effect that was searched for.
    /// </summary>
    public required bool Found { get; init; }

    /// <summary>Share of the test pairs that the whole set switches to the answer that was searched for.</summary>
    public required Estimate Aim { get; init; }

    /// <summary>Number of heads that switch half of the test pairs; null if no step does.</summary>
    public required int? Half { get; init; }

    /// <summary>Number of heads that switch 90 %; null if no step does.</summary>
    public required int? Ninety { get; init; }

    /// <summary>Random sets of the same number of heads: how many have an effect as large.</summary>
    public required PermutationRank? Random { get; init; }

    /// <summary>Whether these are all sets of that size, so that none was drawn and none may have an effect as large.</summary>
    public required bool Census { get; init; }

    /// <summary>Largest share moved by a random set.</summary>
    public required double RandomMoved { get; init; }

    /// <summary>The whole set on the test split; null if it is empty.</summary>
    public required MeasuredHeads? Measured { get; init; }

    /// <summary>The heads.</summary>
    public IReadOnlyList<HeadId> Heads => Steps.Count == 0 ? [] : Steps[^1].Heads;
}

/// <summary>A set during the search.</summary>
/// <param name="Ranking">Effect on the ranking split, where it was chosen.</param>
/// <param name="Test">Effect on the test split.</param>
internal sealed record FoundStep(IReadOnlyList<HeadId> Heads, ExchangeEffect Ranking, ExchangeEffect Test);

/// <summary>The effects of exchanging a whole layer.</summary>
internal sealed record LayerExchange(
    int Layer, ExchangeEffect Choice, ExchangeEffect ChoiceCrossed, ExchangeEffect Output, ExchangeEffect Content, ExchangeEffect Mlp,
    ExchangeEffect MlpCrossed);

/// <summary>Heads removed in one way, on a part of the test split.</summary>
internal sealed record AblationResult
{
    /// <summary>"arbiters", "decision_carriers", "choice_carriers" or "necessary".</summary>
    public required string Set { get; init; }

    public required IReadOnlyList<HeadId> Heads { get; init; }

    /// <summary>"zero", "mean" or "resample".</summary>
    public required string Variant { get; init; }

    /// <summary>MFR by arg-max.</summary>
    public required Estimate Following { get; init; }

    /// <summary>Share that gives the other answer.</summary>
    public required Estimate Competitor { get; init; }

    /// <summary>Share that gives neither.</summary>
    public required Estimate Third { get; init; }

    /// <summary>
    /// Share whose likeliest token begins no answer of any sample of the set. It shows how far the model is from its usual distribution.
    /// </summary>
    public required Estimate NoAnswerWord { get; init; }

    /// <summary>Norm of the change of the removed outputs divided by the norm of the original outputs, mean over runs.</summary>
    public required Estimate Distance { get; init; }
}
