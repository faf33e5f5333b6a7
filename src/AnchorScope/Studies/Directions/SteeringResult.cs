using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The results of a steering study: the content of steering.json. Definitions are in docs/definitions.md.</summary>
/// <param name="Variants">Named definitions.</param>
/// <param name="EquivalenceMargin">A change within this margin counts as none.</param>
/// <param name="FittedRuns">Number of runs of the first half of the ranking split, whose differences are averaged to directions.</param>
/// <param name="ValidationRuns">Number of runs on which settings and strengths were chosen: the other half, and the hard samples.</param>
/// <param name="Failed">Number of test runs that do not follow their instruction.</param>
/// <param name="TestRuns">Number of test runs.</param>
/// <param name="ControlRuns">Number of runs without a conflict; 0 for none.</param>
/// <param name="UnseenRuns">Number of runs of the second data folder; 0 for none.</param>
/// <param name="BestGain">The gain method with the largest net gain on validation runs, with which repairs are compared; null if none
/// gains.</param>
/// <param name="BestResidual">The residual direction with the largest turning score on validation runs, with which turns are compared; null
/// if none is above 0.</param>
internal sealed record SteeringResult(
    int Schema, string Tool, ModelFacts Model, IReadOnlyList<SetFacts> Data, IReadOnlyDictionary<string, string> Variants, ulong Seed, double EquivalenceMargin, DiagnosedHeads Heads,
    int FittedRuns, int ValidationRuns, int Failed, int TestRuns, int ControlRuns, int UnseenRuns, string? BestGain, string? BestResidual,
    IReadOnlyList<SteeredMethod> Methods)
{
    /// <summary>The method with this name, or null.</summary>
    public SteeredMethod? Method(string? name) => Methods.FirstOrDefault(m => m.Name == name);
}

/// <summary>One method.</summary>
/// <param name="Name">For instance "query_position".</param>
/// <param name="Signed">Whether its strength has a sign: towards the picture or the text.</param>
/// <param name="Lowest">Strongest tried strength towards the text that keeps third answers within the margin on validation runs; 0 if none
/// does.</param>
/// <param name="Highest">The same towards the picture; for an unsigned method its largest strength.</param>
/// <param name="Turn">Result of steering against the instruction; null for an unsigned method.</param>
/// <param name="Repair">Result of steering towards each run's instructed modality.</param>
/// <param name="Turned">Every setting and strength, on the test runs that follow without steering.</param>
internal sealed record SteeredMethod(string Name, string What, bool Signed, double Lowest, double Highest, SteeringTurn? Turn, SteeringRepair Repair, IReadOnlyList<TurnedRuns> Turned);

/// <summary>A setting and strength.</summary>
/// <param name="Label">For instance the layer, "L3"; "" if there is one setting.</param>
/// <param name="Norm">Norm of the change of the residual stream after the last layer, divided by the norm of that stream.</param>
internal sealed record SteeringChoice(string Label, double Strength, Estimate Norm);

/// <summary>The result of turning runs that follow their instruction to the other modality.</summary>
/// <param name="Chosen">Setting and strength with the largest score on validation runs; null if none is above 0.</param>
/// <param name="Score">On the test split: share that switches to the other modality's answer when steered against its instruction, minus
/// the share that loses its own answer when steered with it.</param>
/// <param name="ToPicture">Steered towards the picture.</param>
/// <param name="ToText">Steered towards the text.</param>
/// <param name="Control">Change of accuracy on runs without a conflict, steered in the same way.</param>
/// <param name="Unseen">The score on the second data folder.</param>
/// <param name="BeyondResidual">Score minus that of <see cref="SteeringResult.BestResidual"/>, paired.</param>
/// <param name="Random">Rank of the score among the method's controls (random heads, or random vectors of the same length), each at its own
/// best setting and strength; null if it has none.</param>
/// <param name="P">p of the hypothesis that the score is 0, after Holm over the methods.</param>
/// <param name="Status">Present: the score is above 0, and no random set has one as large.</param>
internal sealed record SteeringTurn(
    SteeringChoice? Chosen, Estimate? Score, TurnedSide? ToPicture, TurnedSide? ToText, Estimate? Control, Estimate? Unseen, Estimate? BeyondResidual, PermutationRank? Random,
    double P, FindingStatus Status, string Text);

/// <summary>The result of making failed runs follow their instruction.</summary>
/// <param name="Chosen">Setting and strength with the largest net gain on validation runs; null if none gains.</param>
/// <param name="Test">Effect on the test split.</param>
/// <param name="Control">Effect on runs without a conflict.</param>
/// <param name="Unseen">Effect on the second data folder.</param>
/// <param name="BeyondGain">Share of test runs that follow, minus that under <see cref="SteeringResult.BestGain"/>, paired.</param>
/// <param name="Random">Rank of the net gain among the method's controls, each at its own best setting and strength; null if it has
/// none.</param>
/// <param name="Matched">The same, with each control at the strength that changes the residual stream as much as this method does; only
/// controls that reach it.</param>
/// <param name="MatchedReached">Number of controls that reach it.</param>
/// <param name="P">p of the hypothesis that the net gain is 0, after Holm over the methods.</param>
/// <param name="Status">Present: a net gain on the test split, larger than with random heads, and no harm on runs without a
/// conflict.</param>
internal sealed record SteeringRepair(
    SteeringChoice? Chosen, RepairEffect? Test, RepairEffect? Control, RepairEffect? Unseen, Estimate? BeyondGain, PermutationRank? Random, PermutationRank? Matched, int MatchedReached, double P,
    FindingStatus Status, string Text);

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
