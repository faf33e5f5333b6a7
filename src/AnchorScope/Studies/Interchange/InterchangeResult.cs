using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Who chooses and who carries: the content of <c>interchange</c> in diagnosis.json. Definitions: docs/definitions.md.</summary>
/// <param name="Alignment">How positions were matched.</param>
/// <param name="Positions">Spans at which heads were exchanged.</param>
/// <param name="Pairs">Pairs by split and factor, and why other runs gave none.</param>
/// <param name="Heads">Every head, on the ranking split.</param>
/// <param name="Sets">The sets that were searched on the ranking split, measured on the test split.</param>
/// <param name="Necessary">The heads whose blocking costs most, under the same exchanges.</param>
/// <param name="Layers">All heads of a layer, and its MLP, exchanged together.</param>
/// <param name="AllQueries">Queries of all heads.</param>
/// <param name="AllOutputs">Outputs of all heads.</param>
internal sealed record InterchangeResult(
    string Alignment, IReadOnlyList<string> Positions, IReadOnlyList<SplitPairs> Pairs, IReadOnlyList<ProfiledHead> Heads, IReadOnlyList<FoundSet> Sets, MeasuredHeads Necessary,
    IReadOnlyList<LayerExchange> Layers, ExchangeEffect AllQueries, ExchangeEffect AllOutputs)
{
    /// <summary>The layer whose MLP decides where no head does; null where heads do, or nothing was found.</summary>
    public required int? MlpDecides { get; init; }

    /// <summary>Where the choice is made: at the instruction's tokens or behind them.</summary>
    public required ChoicePlace Place { get; init; }

    /// <summary>Heads by estimates from backward passes, and what their queries do, exchanged exactly.</summary>
    public required GradientSet ByGradient { get; init; }

    /// <summary>The found sets and the necessary heads, removed in every way.</summary>
    public required IReadOnlyList<AblationResult> Ablations { get; init; }

    /// <summary>The set of a name.</summary>
    public FoundSet Set(string name) => Sets.First(s => s.Name == name);

    /// <summary>Heads by role, in order.</summary>
    public IReadOnlyList<ProfiledHead> Of(HeadRole role) => [.. Heads.Where(h => h.Role == EnumName.Of(role))];
}

/// <summary>Where the choice is made, on the test split.</summary>
/// <param name="Where">"instruction", "behind", "both", "neither" or "unclear".</param>
/// <param name="QueriesAtInstruction">Queries of all heads at the instruction alone, from the run under the other one.</param>
/// <param name="QueriesBehind">The same behind it alone.</param>
/// <param name="PassedOnCrossed">
/// Keys and values of the instruction in all layers, for the queries behind it alone, of a crossed donor: the donor's answer where a decision is passed on, the own other one where a choice is.
/// </param>
internal sealed record ChoicePlace(string Where, ExchangeEffect QueriesAtInstruction, ExchangeEffect QueriesBehind, ExchangeEffect PassedOnCrossed)
{
    /// <summary>Moved by queries: more at one of the two places than at the other, whole interval against whole interval.</summary>
    internal static string Of(ExchangeEffect instruction, ExchangeEffect behind)
    {
        var (at, after) = (instruction.Moved, behind.Moved);
        // A prompt that ends with its instruction has nothing behind it to compare with.
        if (instruction.Pairs == 0 || behind.Pairs == 0) return "unclear";
        return at.Low > RoleRule.Least && after.High < at.Low / 2 ? "instruction"
            : after.Low > RoleRule.Least && at.High < after.Low / 2 ? "behind"
            : at.Low > RoleRule.Least && after.Low > RoleRule.Least ? "both"
            : at.High < RoleRule.Least && after.High < RoleRule.Least ? "neither"
            : "unclear";
    }
}

/// <summary>Heads by the estimated effect of exchanging their queries.</summary>
/// <param name="Heads">The heads with the largest estimates, with the share of the margin that each is estimated to move.</param>
/// <param name="Steps">The first heads, one more each: exchanged exactly on the test split.</param>
/// <param name="Half">Heads that switch half of the test pairs; null where none of the steps does.</param>
/// <param name="Ninety">Heads that switch 90 %.</param>
/// <param name="Shared">How many of them are among the arbiters that the search found.</param>
/// <param name="RankCorrelation">Of all estimates with the exact effects of single heads.</param>
internal sealed record GradientSet(IReadOnlyList<AttributedHead> Heads, IReadOnlyList<GradientStep> Steps, int? Half, int? Ninety, int Shared, double RankCorrelation);

/// <summary>An estimate.</summary>
internal sealed record AttributedHead(int Layer, int Head, Estimate Moved);

/// <summary>So many of the first heads, exchanged.</summary>
internal sealed record GradientStep(int Heads, ExchangeEffect Test);

/// <summary>Pairs of one split.</summary>
internal sealed record SplitPairs(string Split, IReadOnlyList<PairCount> Factors);

/// <summary>A set of heads under the exchanges that tell what they do.</summary>
/// <param name="Choice">Queries, donor under the other instruction.</param>
/// <param name="ChoiceCrossed">Queries, crossed donor.</param>
/// <param name="Output">z, donor under the other instruction.</param>
/// <param name="Content">z, crossed donor.</param>
/// <param name="Question">z, donor with another question.</param>
internal sealed record MeasuredHeads(
    IReadOnlyList<HeadId> Heads, ExchangeEffect Choice, ExchangeEffect ChoiceCrossed, ExchangeEffect Output, ExchangeEffect Content,
        ExchangeEffect Question)
{
    /// <summary>Control: queries, donor under the same instruction in other words.</summary>
    public ExchangeEffect Phrasing { get; init; } = ExchangeEffect.NoPairs;

    /// <summary>Control: z, donor under the same instruction in other words.</summary>
    public ExchangeEffect PhrasingOutput { get; init; } = ExchangeEffect.NoPairs;
}

/// <summary>What a search came to.</summary>
/// <param name="Name">"arbiters", "decision_carriers" or "choice_carriers".</param>
/// <param name="Exchanged">What was exchanged in the search: factor and content.</param>
/// <param name="Steps">The set as it grew.</param>
/// <param name="Found">Whether it holds on the test split: <see cref="FoundSet.Aim"/> beyond the threshold, more than random sets, and of the kind that was looked for.</param>
/// <param name="Aim">Share of the test pairs that the whole set switches in the way that was looked for.</param>
/// <param name="Half">Heads that switch half of the test pairs; null where none of the steps does.</param>
/// <param name="Ninety">Heads that switch 90 %.</param>
/// <param name="Random">Random sets of as many heads: how many move as much.</param>
/// <param name="Census">Whether these are all sets of that size: nothing is drawn, and none may move as much.</param>
/// <param name="RandomMoved">Largest share moved by a random set.</param>
/// <param name="Measured">The whole set on the test split; null where it is empty.</param>
internal sealed record FoundSet(
    string Name, string Exchanged, IReadOnlyList<FoundStep> Steps, bool Found, Estimate Aim, int? Half, int? Ninety, PermutationRank? Random, bool Census, double RandomMoved, MeasuredHeads? Measured)
{
    /// <summary>The heads.</summary>
    public IReadOnlyList<HeadId> Heads => Steps.Count == 0 ? [] : Steps[^1].Heads;
}

/// <summary>A set on the way.</summary>
/// <param name="Ranking">On the ranking split, where it was chosen.</param>
/// <param name="Test">On the test split.</param>
internal sealed record FoundStep(IReadOnlyList<HeadId> Heads, ExchangeEffect Ranking, ExchangeEffect Test);

/// <summary>One layer.</summary>
internal sealed record LayerExchange(
    int Layer, ExchangeEffect Choice, ExchangeEffect ChoiceCrossed, ExchangeEffect Output, ExchangeEffect Content, ExchangeEffect Mlp, ExchangeEffect MlpCrossed);

/// <summary>Heads removed in one way, on a part of the test split.</summary>
/// <param name="Set">"arbiters", "decision_carriers", "choice_carriers" or "necessary".</param>
/// <param name="Variant">"zero", "mean" or "resample".</param>
/// <param name="Following">MFR by arg-max.</param>
/// <param name="Competitor">Share that gives the other answer.</param>
/// <param name="Third">Share that gives neither.</param>
/// <param name="NoAnswerWord">Share whose likeliest token begins no answer of any sample of the set: how far off the usual distribution the model is.</param>
/// <param name="Distance">Norm of the change of the removed outputs over the norm of what they were, mean over runs.</param>
internal sealed record AblationResult(
    string Set, IReadOnlyList<HeadId> Heads, string Variant, Estimate Following, Estimate Competitor, Estimate Third, Estimate NoAnswerWord, Estimate Distance);
