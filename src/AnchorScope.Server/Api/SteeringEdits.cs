using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Server.Policies;

namespace AnchorScope.Server.Api;

/// <summary>The edits of one request as they are collected: those of the policy's knobs, then those that it describes.</summary>
internal sealed class SteeringEdits(Policy policy, IEngine engine, Prompt prompt)
{
    private readonly DecoderShape _shape = engine.Shape;

    public List<Edit> Edits { get; } = [];

    public List<AppliedEdit> Applied { get; } = [];

    public List<SkippedKnob> Skipped { get; } = [];

    /// <summary>Adds the edits of the policy's knobs, unless the request opts out.</summary>
    /// <exception cref="ApiException">A value is outside a knob's bounds, or a knob cannot act on this prompt.</exception>
    public void Turn(SteeringRequest request, KnobBoard board)
    {
        foreach (var name in request.Knobs.Keys)
        {
            if (!policy.Knobs.ContainsKey(name))
                throw new ApiException(400, $"anchorscope.follow: expected a knob of the policy "
                    + $"({(policy.Knobs.Count == 0 ? "it has none" : string.Join(", ", policy.Knobs.Keys))}), found {Quoted.Line(name)}",
                    "anchorscope.follow", "knob_not_found");
        }
        if (!request.Follows) return;
        var directions = policy.Knobs.Values.Count(knob => knob.Direction is not null);
        if (request.Toward is not null && directions != 1)
            throw new ApiException(400, $"anchorscope.follow.modality: expected a policy with one direction, found {directions}; "
                + "name a knob and its value instead", "anchorscope.follow.modality", "knob_not_found");
        foreach (var (knob, setting) in board.All) Turn(knob, ValueOf(knob, setting, request));
    }

    /// <summary>Adds the changes that a request describes.</summary>
    /// <exception cref="ApiException">The policy does not allow one, or it would change nothing.</exception>
    public void Add(IReadOnlyList<RequestedEdit> wanted)
    {
        if (wanted.Count == 0) return;
        if (wanted.Count > policy.MostEdits)
            throw Forbidden("anchorscope.interventions", policy.Kinds.Count == 0 ? "the policy allows no interventions"
                : $"the policy allows {policy.MostEdits} in a request, found {wanted.Count}");
        // The bounds of the policy are for a head as a whole: factors of several changes would multiply beyond them.
        var changed = Edits.SelectMany(Places).ToHashSet();
        foreach (var one in wanted)
        {
            if (!policy.Kinds.Contains(one.Kind))
                throw Forbidden(one.Place, policy.Kinds.Count == 0 ? "the policy allows no interventions"
                    : $"the policy does not allow {one.Kind}, only {string.Join(", ", policy.Kinds)}");
            try
            {
                var (made, applied) = one switch
                {
                    RequestedHeadGain gain => Of(gain),
                    RequestedEdges edges => Of(edges),
                    _ => throw new ArgumentOutOfRangeException(nameof(wanted), one.Kind, "unknown kind"),
                };
                if (made.Edits.SelectMany(Places).Any(place => !changed.Add(place)))
                    throw Forbidden(one.Place,
                        "a head or an edge of it is changed by a knob or by an earlier change, and the policy's bounds "
                            + "are for each of them once");
                Edits.AddRange(made.Edits);
                Applied.Add(applied);
                EditEffect.RequireUncut(Edits, _shape);
            }
            catch (InputException e)
            {
                throw new ApiException(400, $"{one.Place}: {e.Message}", one.Place, "intervention_without_effect");
            }
        }
    }

    private static double ValueOf(Knob knob, KnobSetting setting, SteeringRequest request) =>
        request.Knobs.TryGetValue(knob.Name, out var own) ? own
        : knob.Direction is not null && request.Toward is { } toward ? toward : setting.Value;

    private void Turn(Knob knob, double value)
    {
        if (!knob.Bounds.Contains(value))
            throw Forbidden($"anchorscope.follow.{knob.Name}",
                FormattableString.Invariant($"the policy allows {knob.Bounds}, found {value}"));
        if (value == knob.Neutral) return;
        var lacking = knob.Parts.Where(part => !Has(part)).ToList();
        if (lacking.Count > 0 && lacking.Count == knob.Parts.Count)
        {
            var why = $"the prompt has no {string.Join(" or ", lacking.Select(EnumName.Of))}, where it acts";
            if (!knob.SkipsWithoutPart)
                throw new ApiException(422, $"knob {knob.Name}: {why}, and the policy lets no request pass without it", "messages",
                    "knob_without_part");
            Skipped.Add(new SkippedKnob(knob.Name, why));
            return;
        }
        try
        {
            var made = Checked(knob.Turned(value, prompt));
            Edits.AddRange(made.Edits);
            Applied.Add(AppliedEdit.Of(knob.Kind, made, _shape, prompt) with
            {
                Knob = knob.Name, Set = knob.Heads?.Name, Amount = (knob.Direction is null ? "factor" : "strength", value),
                Parts = knob.At is { } at ? [("at", at)] : [],
                Present = knob.Direction is null ? [] : [.. knob.Parts.Except(lacking)], Lacking = lacking,
            });
        }
        catch (InputException e)
        {
            throw new ApiException(422, $"knob {knob.Name}: {e.Message}", "messages", "knob_without_effect");
        }
    }

    private bool Has(SpanKind part) => part == SpanKind.Last || prompt.Span(part).Count > 0;

    /// <summary>The heads of an edit, by site; cuts are left out, because cutting twice is cutting once.</summary>
    private IEnumerable<(Site Site, int Layer, int Head)> Places(Edit edit) => edit.Operation == Operation.Set ? []
        : (edit.Heads ?? Enumerable.Range(0, _shape.Heads)).Select(head => (edit.Site, edit.Layer, head));

    private (Intervention Made, AppliedEdit Applied) Of(RequestedHeadGain wanted)
    {
        if (wanted.Set is null && !policy.AllowsListedHeads)
            throw Forbidden($"{wanted.Place}.heads", "the policy allows named head sets only");
        if (!policy.Factor.Contains(wanted.Factor))
            throw Forbidden($"{wanted.Place}.factor",
                FormattableString.Invariant($"the policy allows factors from {policy.Factor}, found {wanted.Factor}"));
        var heads = wanted.Set is not { } name ? wanted.Heads
            : policy.HeadSets.TryGetValue(name, out var set) ? set.Heads
            : throw new InputException($"set: expected a head set of the policy "
                + $"({(policy.HeadSets.Count == 0 ? "it has none" : string.Join(", ", policy.HeadSets.Keys))}), found {Quoted.Line(name)}");
        foreach (var (layer, head) in heads) _shape.Check(layer, head, "heads");
        var made = Checked(Intervention.HeadGain("head_gain", heads, wanted.Factor, wanted.At is { } at ? Part(at, "at") : null));
        return (made, AppliedEdit.Of(wanted.Kind, made, _shape, prompt) with
        {
            Set = wanted.Set, Amount = ("factor", wanted.Factor), Parts = wanted.At is { } part ? [("at", part)] : [],
        });
    }

    private (Intervention Made, AppliedEdit Applied) Of(RequestedEdges wanted)
    {
        if (wanted.Added is { } added && !policy.Added.Contains(added))
            throw Forbidden($"{wanted.Place}.add",
                FormattableString.Invariant($"the policy allows {policy.Added} to be added to scores, found {added}"));
        var (keys, queries) = (Part(wanted.From, "from"), Part(wanted.To, "to"));
        IReadOnlyList<int> layers = wanted.Layers ?? [.. Enumerable.Range(0, _shape.Layers)];
        var made = Checked(wanted.Added is { } number
            ? Intervention.AttentionBoost("edge_boost", layers, queries, keys, number, wanted.Heads)
            : Intervention.Knockout("edge_cut", layers, queries, keys, wanted.Heads));
        return (made, AppliedEdit.Of(wanted.Kind, made, _shape, prompt) with
        {
            Amount = wanted.Added is { } value ? ("add", value) : null, Parts = [("from", wanted.From), ("to", wanted.To)],
        });
    }

    private Positions Part(SpanKind part, string member) => Has(part) ? prompt.Positions(part)
        : throw new InputException($"{member}: expected a part of the prompt ("
            + $"{string.Join(", ", prompt.Spans.Keys.Order().Select(EnumName.Of))}), found {EnumName.Of(part)}, which it lacks");

    private Intervention Checked(Intervention made)
    {
        made.Validate(_shape, prompt.Length);
        EditEffect.Require(made, _shape, prompt);
        return made;
    }

    private static ApiException Forbidden(string place, string why) => new(403, $"{place}: {why}", place, "policy_violation");
}
