using System.Security.Cryptography;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Server.Policies;

namespace AnchorScope.Server.Api;

/// <summary>A knob that did not act, because the policy lets requests pass that lack the part at which it acts.</summary>
internal sealed record SkippedKnob(string Name, string Why);

/// <summary>What a request changes inside the model: the edits and what they amount to.</summary>
internal sealed record SteeringPlan
{
    private SteeringPlan(Intervention intervention) => (Intervention, Fingerprint) = (intervention, intervention.Edits.Count == 0
        ? "" : Convert.ToHexStringLower(SHA256.HashData(InterventionJson.Write(intervention with { Name = "" }))));

    public Intervention Intervention { get; }

    public required IReadOnlyList<AppliedEdit> Applied { get; init; }

    public required IReadOnlyList<SkippedKnob> Skipped { get; init; }

    /// <summary>SHA-256 of the edits as JSON: the same for the same changes at the same positions.</summary>
    public string Fingerprint { get; }

    /// <summary>Builds the edits of a request for its prompt, within the bounds of the policy.</summary>
    /// <exception cref="ApiException">The policy does not allow one, or it would change nothing.</exception>
    public static SteeringPlan Of(SteeringRequest request, Policy policy, KnobBoard knobs, IEngine engine, Prompt prompt)
    {
        var made = new SteeringEdits(policy, engine, prompt);
        made.Turn(request, knobs);
        made.Add(request.Edits);
        return new SteeringPlan(made.Edits.Count == 0 ? Intervention.None : new Intervention("request", made.Edits))
            { Applied = made.Applied, Skipped = made.Skipped };
    }
}
