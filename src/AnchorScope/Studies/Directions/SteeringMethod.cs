using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>A run to be steered.</summary>
/// <param name="Run">The sample with one of its instructions.</param>
/// <param name="Prompt">The prompt of the run.</param>
/// <param name="Own">The run of the same sample under the other instruction; null if there is none with spans of the same lengths.</param>
internal sealed record SteeredRun(ConflictRun Run, Prompt Prompt, OwnDonor? Own)
{
    /// <summary>
    /// Sign of the strength that steers towards the instructed modality: 1 if the instruction names the picture, -1 if it names the text.
    /// </summary>
    public int Sense => Run.Instruction == Modality.Vision ? 1 : -1;
}

/// <summary>Activations of a run and of its donor under the other instruction, at corresponding positions.</summary>
internal sealed record OwnDonor(AlignedPositions At, Trace Receiver, Trace Donor);

/// <summary>A steering method in one setting, such as a layer.</summary>
/// <param name="Label">The setting, or "".</param>
/// <param name="Direction">The portable direction, or null if the method is not a direction.</param>
/// <param name="Edits">Returns the edits of a run at a strength; null if the run cannot be steered in this way.</param>
internal sealed record SteeringSetting(string Label, Direction? Direction, Func<SteeredRun, string, double, Intervention?> Edits);

/// <summary>What a method changes.</summary>
internal enum SteeringFamily { Heads, Residual, Gain, Boost }

/// <summary>A steering method.</summary>
/// <param name="Name">Name in files, for instance "query_mean".</param>
/// <param name="What">Description.</param>
/// <param name="Family">The family of methods it is compared with.</param>
/// <param name="Signed">Whether the strength has a sign, towards the picture or the text. Otherwise every run is changed in the same
/// way.</param>
/// <param name="Strengths">Ascending, above 0.</param>
internal sealed record SteeringMethod(string Name, string What, SteeringFamily Family, bool Signed, IReadOnlyList<double> Strengths,
    IReadOnlyList<SteeringSetting> Settings)
{
    /// <summary>
    /// The same with random other heads, or with random vectors of the same length; empty if the method has no such control.
    /// </summary>
    public IReadOnlyList<SteeringMethod> Controls { get; init; } = [];

    /// <summary>The name of a condition in results.jsonl, for instance "steer/residual_mean/L3/+2".</summary>
    public string Condition(SteeringSetting setting, double strength) =>
        FormattableString.Invariant(
            $"steer/{Name}/{(setting.Label.Length > 0 ? setting.Label + "/" : "")}{(Signed && strength >= 0 ? "+" : "")}{strength:R}");

    /// <summary>The condition that steers a run towards its instructed modality.</summary>
    public string Condition(SteeringSetting setting, double strength, ConflictRun run) =>
        Condition(setting, Signed && run.Instruction == Modality.Text ? -strength : strength);
}
