using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>What came of steering a model: the content of steering.json. Definitions: docs/definitions.md.</summary>
/// <param name="Variants">Named definitions.</param>
/// <param name="EquivalenceMargin">A change within it is none.</param>
/// <param name="FittedRuns">Runs of the first half of the ranking split whose differences the directions are means of.</param>
/// <param name="ValidationRuns">Runs on which settings and strengths were chosen: the other half, and the hard samples.</param>
/// <param name="Failed">Test runs that do not follow their instruction.</param>
/// <param name="TestRuns">All test runs.</param>
/// <param name="ControlRuns">Runs without a conflict; 0: none.</param>
/// <param name="UnseenRuns">Runs of the second data folder; 0: none.</param>
/// <param name="BestGain">The gain with the largest net gain on validation runs, which repairs are compared with; null where none gains.</param>
/// <param name="BestResidual">The residual direction that turns most validation runs, which turns are compared with; null where none does.</param>
internal sealed record SteeringResult(
    int Schema, string Tool, ModelFacts Model, IReadOnlyList<SetFacts> Data, IReadOnlyDictionary<string, string> Variants, ulong Seed, double EquivalenceMargin, DiagnosedHeads Heads,
    int FittedRuns, int ValidationRuns, int Failed, int TestRuns, int ControlRuns, int UnseenRuns, string? BestGain, string? BestResidual,
    IReadOnlyList<SteeredMethod> Methods)
{
    /// <summary>The method of a name, or null.</summary>
    public SteeredMethod? Method(string? name) => Methods.FirstOrDefault(m => m.Name == name);
}

/// <summary>One method.</summary>
/// <param name="Name">"query_position", …</param>
/// <param name="Signed">Whether its strength has a sense: towards the picture or towards the text.</param>
/// <param name="Lowest">Strongest turn towards the text, of those tried, that leaves third answers within the margin on validation runs; 0 where none does.</param>
/// <param name="Highest">The same towards the picture; for what has no sense, the largest strength.</param>
/// <param name="Turn">Against the instruction, as a knob; null for what has no sense.</param>
/// <param name="Repair">In the sense of each run's instruction.</param>
/// <param name="Turned">Every setting and strength, on the test runs that follow without it.</param>
internal sealed record SteeredMethod(string Name, string What, bool Signed, double Lowest, double Highest, SteeringTurn? Turn, SteeringRepair Repair, IReadOnlyList<TurnedRuns> Turned);

/// <summary>A setting and strength.</summary>
/// <param name="Label">Such as the layer, "L3"; "" where there is one setting.</param>
/// <param name="Norm">Change of the residual stream that leaves the last layer, over its norm.</param>
internal sealed record SteeringChoice(string Label, double Strength, Estimate Norm);

/// <summary>Turning runs that follow their instruction to the other modality.</summary>
/// <param name="Chosen">Setting and strength with the largest score on validation runs; null where none is above 0.</param>
/// <param name="Score">On the test split: share that switches to the other modality's answer when steered against its instruction, minus the share that loses its own when steered with it.</param>
/// <param name="ToPicture">Turned towards the picture.</param>
/// <param name="ToText">Turned towards the text.</param>
/// <param name="Control">Change of the share of right answers where nothing contradicts, turned the same way.</param>
/// <param name="Unseen">The score on the second data folder.</param>
/// <param name="BeyondResidual">Score minus that of <see cref="SteeringResult.BestResidual"/>, paired.</param>
/// <param name="Random">Rank of the score among the method's controls (random heads, or random vectors as long), each at its own best setting and strength; null where it has none.</param>
/// <param name="P">That the score is 0, after Holm over the methods.</param>
/// <param name="Status">Present: a score above 0, and no random set as large.</param>
internal sealed record SteeringTurn(
    SteeringChoice? Chosen, Estimate? Score, TurnedSide? ToPicture, TurnedSide? ToText, Estimate? Control, Estimate? Unseen, Estimate? BeyondResidual, PermutationRank? Random,
    double P, FindingStatus Status, string Text);

/// <summary>Making failed runs follow their instruction.</summary>
/// <param name="Chosen">Setting and strength with the largest net gain on validation runs; null where none gains.</param>
/// <param name="Test">On the test split.</param>
/// <param name="Control">Where nothing contradicts.</param>
/// <param name="Unseen">On the second data folder.</param>
/// <param name="BeyondGain">Share of test runs that follow, minus that under <see cref="SteeringResult.BestGain"/>, paired.</param>
/// <param name="Random">Rank of the net gain among the method's controls, each at its own best setting and strength; null where it has none.</param>
/// <param name="Matched">The same with each at the strength that changes the residual stream as much as this method does, of those that reach that.</param>
/// <param name="MatchedReached">How many reach it.</param>
/// <param name="P">That the net gain is 0, after Holm over the methods.</param>
/// <param name="Status">Present: a net gain on the test split, more than random heads, and harmless where nothing contradicts.</param>
internal sealed record SteeringRepair(
    SteeringChoice? Chosen, RepairEffect? Test, RepairEffect? Control, RepairEffect? Unseen, Estimate? BeyondGain, PermutationRank? Random, PermutationRank? Matched, int MatchedReached, double P,
    FindingStatus Status, string Text);

/// <summary>What steering does to runs that should follow their instruction.</summary>
/// <param name="Runs">Runs that could be steered.</param>
/// <param name="Repaired">Share of the failing ones that follow.</param>
/// <param name="Broken">Share of the following ones that fail.</param>
/// <param name="Net">Change of the share that follows, paired.</param>
internal sealed record RepairEffect(int Runs, Estimate Repaired, Estimate Broken, Estimate Net);

/// <summary>The knob at one strength, on the test runs that follow their instruction without it.</summary>
/// <param name="ToldPicture">Of those told to trust the picture.</param>
/// <param name="ToldText">Of those told to trust the text.</param>
internal sealed record TurnedRuns(string Label, double Strength, TurnedShares ToldPicture, TurnedShares ToldText);

/// <summary>Turning towards one side.</summary>
/// <param name="Switched">Of the runs that follow the other side: share that switches.</param>
/// <param name="Third">Of these: share that gives neither answer.</param>
/// <param name="Kept">Of the runs on this side already: share that keeps its answer.</param>
internal sealed record TurnedSide(Estimate Switched, Estimate Third, Estimate Kept);

/// <summary>Shares of answers.</summary>
/// <param name="Switched">The other modality's answer.</param>
/// <param name="Third">Neither.</param>
internal sealed record TurnedShares(Estimate Switched, Estimate Third);
