using System.Security.Cryptography;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Server.Policies;

namespace AnchorScope.Server.Api;

/// <summary>A change as it was made in one request.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Layers">Its layers.</param>
/// <param name="Heads">Number of heads, over all layers.</param>
/// <param name="Rows">Number of positions of the prompt at which something was changed.</param>
internal sealed record AppliedEdit(string Kind, IReadOnlyList<int> Layers, int Heads, int Rows);

/// <summary>What a request changes inside the model: the edits and what they amount to.</summary>
internal sealed record SteeringPlan(Intervention Intervention, IReadOnlyList<AppliedEdit> Applied)
{
    /// <summary>SHA-256 of the edits as JSON: the same for the same changes at the same positions.</summary>
    public string Fingerprint { get; } = Intervention.Edits.Count == 0
        ? "" : Convert.ToHexStringLower(SHA256.HashData(InterventionJson.Write(Intervention with { Name = "" })));

    /// <summary>Builds the edits of a request for its prompt, within the bounds of the policy.</summary>
    /// <exception cref="ApiException">The policy does not allow one, or it would change nothing.</exception>
    public static SteeringPlan Of(SteeringRequest request, Policy policy, KnobBoard knobs, IEngine engine, Prompt prompt)
    {
        var (edits, applied) = (new List<Edit>(), new List<AppliedEdit>());
        Turn(request, policy, knobs, engine, prompt, edits, applied);
        if (request.Edits.Count == 0)
            return new SteeringPlan(edits.Count == 0 ? Intervention.None : new Intervention("request", edits), applied);
        if (request.Edits.Count > policy.MostEdits)
            throw Forbidden("anchorscope.interventions",
                policy.Kinds.Count == 0 ? "the policy allows no interventions"
                    : $"the policy allows {policy.MostEdits} in a request, found {request.Edits.Count}");
        // The bounds of the policy are for a head as a whole: factors of several changes would multiply beyond them.
        var changed = edits.SelectMany(edit => Places(edit, engine.Shape)).ToHashSet();
        foreach (var wanted in request.Edits)
        {
            if (!policy.Kinds.Contains(wanted.Kind))
                throw Forbidden(wanted.Place, $"the policy does not allow {wanted.Kind}, only {string.Join(", ", policy.Kinds)}");
            try
            {
                var made = wanted switch
                {
                    RequestedHeadGain gain => Of(gain, policy, engine.Shape, prompt),
                    RequestedEdges edges => Of(edges, policy, engine.Shape, prompt),
                    _ => throw new ArgumentOutOfRangeException(nameof(request), wanted.Kind, "unknown kind"),
                };
                made.Validate(engine.Shape, prompt.Length);
                if (made.Edits.SelectMany(edit => Places(edit, engine.Shape)).Any(place => !changed.Add(place)))
                    throw Forbidden(wanted.Place,
                        "a head or an edge of it is changed by a knob or by an earlier change, and the policy's bounds "
                            + "are for each of them once");
                edits.AddRange(made.Edits);
                applied.Add(Summary(wanted.Kind, made, engine, prompt));
            }
            catch (InputException e)
            {
                throw new ApiException(400, $"{wanted.Place}: {e.Message}", wanted.Place, "intervention_without_effect");
            }
        }
        return new SteeringPlan(new Intervention("request", edits), applied);
    }

    /// <summary>The heads of an edit, by site; cuts are left out, because cutting twice is cutting once.</summary>
    private static IEnumerable<(Site Site, int Layer, int Head)> Places(Edit edit, DecoderShape shape) =>
        edit.Operation == Operation.Set ? []
            : (edit.Heads ?? Enumerable.Range(0, shape.Heads)).Select(head => (edit.Site, edit.Layer, head));

    /// <summary>The edits of the policy's knobs, unless the request opts out.</summary>
    private static void Turn(SteeringRequest request, Policy policy, KnobBoard knobs, IEngine engine, Prompt prompt, List<Edit> edits,
        List<AppliedEdit> applied)
    {
        foreach (var name in request.Knobs.Keys)
        {
            if (!policy.Knobs.ContainsKey(name))
                throw new ApiException(400,
                    $"anchorscope.follow: expected a knob of the policy ({string.Join(", ", policy.Knobs.Keys)}), found "
                        + name, "anchorscope.follow", "knob_not_found");
        }
        if (!request.Follows) return;
        var directions = policy.Knobs.Values.Where(knob => knob.Direction is not null).ToList();
        if (request.Toward is not null && directions.Count != 1)
            throw new ApiException(400, "anchorscope.follow.modality: expected a policy with one direction, found "
                + $"{directions.Count}; name a knob and its value instead", "anchorscope.follow.modality", "knob_not_found");
        foreach (var (knob, setting) in knobs.All)
        {
            var value = request.Knobs.TryGetValue(knob.Name, out var own) ? own
                : knob.Direction is not null && request.Toward is { } toward ? toward : setting.Value;
            if (!knob.Bounds.Contains(value))
                throw Forbidden($"anchorscope.follow.{knob.Name}",
                    FormattableString.Invariant($"the policy allows {knob.Bounds}, found {value}"));
            if (value == knob.Neutral) continue;
            try
            {
                var made = knob.Turned(value, prompt);
                made.Validate(engine.Shape, prompt.Length);
                edits.AddRange(made.Edits);
                applied.Add(Summary(knob.Name, made, engine, prompt));
            }
            catch (InputException e)
            {
                throw new ApiException(400, $"knob {knob.Name}: {e.Message}; a request opts out with \"follow\": false",
                    "anchorscope.follow",
                    "intervention_without_effect");
            }
        }
    }

    private static AppliedEdit Summary(string kind, Intervention made, IEngine engine, Prompt prompt) => new(
        kind, [.. made.Edits.Select(e => e.Layer).Distinct().Order()], made.Edits.Sum(e => e.Heads?.Count ?? engine.Shape.Heads),
        made.Edits[0].Positions is { IsAll: false } some ? some.List.Count : prompt.Length);

    private static Intervention Of(RequestedHeadGain wanted, Policy policy, DecoderShape shape, Prompt prompt)
    {
        if (wanted.Set is null && !policy.AllowsListedHeads)
            throw Forbidden($"{wanted.Place}.heads", "the policy allows named head sets only");
        if (!policy.Factor.Contains(wanted.Factor))
            throw Forbidden($"{wanted.Place}.factor",
                FormattableString.Invariant($"the policy allows factors from {policy.Factor}, found {wanted.Factor}"));
        var heads = wanted.Set is { } name
            ? policy.HeadSets.TryGetValue(name, out var set) ? set.Heads
                : throw new InputException(
                    $"set: expected a head set of the policy ({string.Join(", ", policy.HeadSets.Keys)}), found {name}")
            : wanted.Heads;
        foreach (var (layer, head) in heads) shape.Check(layer, head, "heads");
        return Intervention.HeadGain("head_gain", heads, wanted.Factor, wanted.At is { } at ? prompt.Positions(at) : null);
    }

    private static Intervention Of(RequestedEdges wanted, Policy policy, DecoderShape shape, Prompt prompt)
    {
        if (wanted.Added is { } added && !policy.Added.Contains(added))
            throw Forbidden($"{wanted.Place}.add",
                FormattableString.Invariant($"the policy allows {policy.Added} to be added to scores, found {added}"));
        var (keys, queries) = (prompt.Positions(wanted.From), prompt.Positions(wanted.To));
        IReadOnlyList<int> layers = wanted.Layers ?? [.. Enumerable.Range(0, shape.Layers)];
        return wanted.Added is { } number
            ? Intervention.AttentionBoost("edge_boost", layers, queries, keys, number, wanted.Heads)
            : Intervention.Knockout("edge_cut", layers, queries, keys, wanted.Heads);
    }

    private static ApiException Forbidden(string place, string why) => new(403, $"{place}: {why}", place, "policy_violation");
}
