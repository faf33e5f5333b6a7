using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The results of a steering study: the content of steering.json. Definitions are in docs/definitions.md.</summary>
internal sealed record SteeringResult
{
    public required int Schema { get; init; }

    public required string Tool { get; init; }

    public required ModelFacts Model { get; init; }

    public required IReadOnlyList<SetFacts> Data { get; init; }

    /// <summary>Named definitions.</summary>
    public required IReadOnlyDictionary<string, string> Variants { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>A change within this margin counts as none.</summary>
    public required double EquivalenceMargin { get; init; }

    public required DiagnosedHeads Heads { get; init; }

    /// <summary>Number of runs of the first half of the ranking split, whose differences are averaged to directions.</summary>
    public required int FittedRuns { get; init; }

    /// <summary>Number of runs on which settings and strengths were chosen: the other half, and the hard samples.</summary>
    public required int ValidationRuns { get; init; }

    /// <summary>Number of test runs that do not follow their instruction.</summary>
    public required int Failed { get; init; }

    /// <summary>Number of test runs.</summary>
    public required int TestRuns { get; init; }

    /// <summary>Number of runs without a conflict; 0 for none.</summary>
    public required int ControlRuns { get; init; }

    /// <summary>Number of runs of the second data folder; 0 for none.</summary>
    public required int UnseenRuns { get; init; }

    /// <summary>
    /// The gain method with the largest net gain on validation runs, with which repairs are compared; null if none gains.
    /// </summary>
    public required string? BestGain { get; init; }

    /// <summary>
    /// The residual direction with the largest turning score on validation runs, with which turns are compared; null if none is above 0.
    /// </summary>
    public required string? BestResidual { get; init; }

    public required IReadOnlyList<SteeredMethod> Methods { get; init; }

    /// <summary>The method with this name, or null.</summary>
    public SteeredMethod? Method(string? name) => Methods.FirstOrDefault(m => m.Name == name);
}

/// <summary>One method.</summary>
internal sealed record SteeredMethod
{
    /// <summary>For instance "query_position".</summary>
    public required string Name { get; init; }

    public required string What { get; init; }

    /// <summary>Whether its strength has a sign: towards the picture or the text.</summary>
    public required bool Signed { get; init; }

    /// <summary>
    /// Strongest tried strength towards the text that keeps third answers within the margin on validation runs; 0 if none does.
    /// </summary>
    public required double Lowest { get; init; }

    /// <summary>The same towards the picture; for an unsigned method its largest strength.</summary>
    public required double Highest { get; init; }

    /// <summary>Result of steering against the instruction; null for an unsigned method.</summary>
    public required SteeringTurn? Turn { get; init; }

    /// <summary>Result of steering towards each run's instructed modality.</summary>
    public required SteeringRepair Repair { get; init; }

    /// <summary>Every setting and strength, on the test runs that follow without steering.</summary>
    public required IReadOnlyList<TurnedRuns> Turned { get; init; }
}

/// <summary>A setting and strength.</summary>
/// <param name="Label">For instance the layer, "L3"; "" if there is one setting.</param>
/// <param name="Norm">Norm of the change of the residual stream after the last layer, divided by the norm of that stream.</param>
internal sealed record SteeringChoice(string Label, double Strength, Estimate Norm);

/// <summary>The result of turning runs that follow their instruction to the other modality.</summary>
internal sealed record SteeringTurn
{
    /// <summary>Setting and strength with the largest score on validation runs; null if none is above 0.</summary>
    public required SteeringChoice? Chosen { get; init; }

    /// <summary>
    /// On the test split: share that switches to the other modality's answer when steered against its instruction, minus the share that
    /// loses its own answer when steered with it.
    /// </summary>
    public required Estimate? Score { get; init; }

    /// <summary>Steered towards the picture.</summary>
    public required TurnedSide? ToPicture { get; init; }

    /// <summary>Steered towards the text.</summary>
    public required TurnedSide? ToText { get; init; }

    /// <summary>Change of accuracy on runs without a conflict, steered in the same way.</summary>
    public required Estimate? Control { get; init; }

    /// <summary>The score on the second data folder.</summary>
    public required Estimate? Unseen { get; init; }

    /// <summary>Score minus that of <see cref="SteeringResult.BestResidual"/>, paired.</summary>
    public required Estimate? BeyondResidual { get; init; }

    /// <summary>
    /// Rank of the score among the method's controls (random heads, or random vectors of the same length), each at its own best setting and
    /// strength; null if it has none.
    /// </summary>
    public required PermutationRank? Random { get; init; }

    /// <summary>p of the hypothesis that the score is 0, after Holm over the methods.</summary>
    public required double P { get; init; }

    /// <summary>Present: the score is above 0, and no random set has one as large.</summary>
    public required FindingStatus Status { get; init; }

    public required string Text { get; init; }
}

/// <summary>The result of making failed runs follow their instruction.</summary>
internal sealed record SteeringRepair
{
    /// <summary>Setting and strength with the largest net gain on validation runs; null if none gains.</summary>
    public required SteeringChoice? Chosen { get; init; }

    /// <summary>Effect on the test split.</summary>
    public required RepairEffect? Test { get; init; }

    /// <summary>Effect on runs without a conflict.</summary>
    public required RepairEffect? Control { get; init; }

    /// <summary>Effect on the second data folder.</summary>
    public required RepairEffect? Unseen { get; init; }

    /// <summary>Share of test runs that follow, minus that under <see cref="SteeringResult.BestGain"/>, paired.</summary>
    public required Estimate? BeyondGain { get; init; }

    /// <summary>
    /// Rank of the net gain among the method's controls, each at its own best setting and strength; null if it has none.
    /// </summary>
    public required PermutationRank? Random { get; init; }

    /// <summary>
    /// The same, with each control at the strength that changes the residual stream as much as this method does; only controls that reach
    /// it.
    /// </summary>
    public required PermutationRank? Matched { get; init; }

    /// <summary>Number of controls that reach it.</summary>
    public required int MatchedReached { get; init; }

    /// <summary>p of the hypothesis that the net gain is 0, after Holm over the methods.</summary>
    public required double P { get; init; }

    /// <summary>Present: a net gain on the test split, larger than with random heads, and no harm on runs without a conflict.</summary>
    public required FindingStatus Status { get; init; }

    public required string Text { get; init; }
}

/// <summary>The effect of steering on runs that should follow their instruction.</summary>
/// <param name="Runs">Number of runs that could be steered.</param>
/// <param name="Repaired">Share of the failing runs that follow.</param>
/// <param name="Broken">Share of the following runs that fail.</param>
/// <param name="Net">Change of the share that follows, paired.</param>
internal sealed record RepairEffect(int Runs, Estimate Repaired, Estimate Broken, Estimate Net);

/// <summary>The effect of one strength on the test runs that follow their instruction without steering.</summary>
/// <param name="ToldPicture">Runs instructed to trust the picture.</param>
/// <param name="ToldText">Runs instructed to trust the text.</param>
internal sealed record TurnedRuns(string Label, double Strength, TurnedShares ToldPicture, TurnedShares ToldText);

/// <summary>The effect of steering towards one modality.</summary>
/// <param name="Switched">Of the runs that follow the other modality: share that switches.</param>
/// <param name="Third">Of the same runs: share that gives neither answer.</param>
/// <param name="Kept">Of the runs that follow this modality already: share that keeps its answer.</param>
internal sealed record TurnedSide(Estimate Switched, Estimate Third, Estimate Kept);

/// <summary>Shares of answers.</summary>
/// <param name="Switched">The other modality's answer.</param>
/// <param name="Third">Neither answer.</param>
internal sealed record TurnedShares(Estimate Switched, Estimate Third);
