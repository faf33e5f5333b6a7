using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>A run that is steered.</summary>
/// <param name="Run">The sample with one of its instructions.</param>
/// <param name="Prompt">Its prompt.</param>
/// <param name="Own">The run under the other instruction beside this one; null where there is none with spans of the same lengths.</param>
internal sealed record SteeredRun(ConflictRun Run, Prompt Prompt, OwnDonor? Own)
{
    /// <summary>1 where the instruction says to trust the picture, -1 where it says to trust the text: the sense in which a direction repairs the run.</summary>
    public int Sense => Run.Instruction == Modality.Vision ? 1 : -1;
}

/// <summary>Activations of a run and of its donor under the other instruction, at positions that correspond.</summary>
internal sealed record OwnDonor(AlignedPositions At, Trace Receiver, Trace Donor);

/// <summary>One way to steer a model in one setting, such as a layer, with a strength.</summary>
/// <param name="Label">Which setting, or "".</param>
/// <param name="Direction">The portable direction, where it is one.</param>
/// <param name="Edits">The edits of a run at a strength; null where the run cannot be steered so.</param>
internal sealed record SteeringSetting(string Label, Direction? Direction, Func<SteeredRun, string, double, Intervention?> Edits);

/// <summary>What is changed by a method.</summary>
internal enum SteeringFamily { Heads, Residual, Gain, Boost }

/// <summary>A way to steer a model.</summary>
/// <param name="Name">As in files: "query_mean".</param>
/// <param name="What">What it does, in words.</param>
/// <param name="Family">What it is compared with.</param>
/// <param name="Signed">Whether the strength has a sign, towards the picture or towards the text; else the same is done to every run.</param>
/// <param name="Strengths">Ascending, above 0.</param>
internal sealed record SteeringMethod(string Name, string What, SteeringFamily Family, bool Signed, IReadOnlyList<double> Strengths, IReadOnlyList<SteeringSetting> Settings)
{
    /// <summary>The same with random other heads, or with random vectors as long as its own; empty where there is no such control.</summary>
    public IReadOnlyList<SteeringMethod> Controls { get; init; } = [];

    /// <summary>The condition in results.jsonl: "steer/residual_mean/L3/+2".</summary>
    public string Condition(SteeringSetting setting, double strength) => FormattableString.Invariant($"steer/{Name}/{(setting.Label.Length > 0 ? setting.Label + "/" : "")}{(Signed && strength >= 0 ? "+" : "")}{strength:R}");

    /// <summary>The condition of a run that is steered in the sense of its own instruction.</summary>
    public string Condition(SteeringSetting setting, double strength, ConflictRun run) =>
        Condition(setting, Signed && run.Instruction == Modality.Text ? -strength : strength);
}
