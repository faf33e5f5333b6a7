using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Policies;

/// <summary>
/// Something that an operator may turn within bounds: the gain of a head set, or the strength of a steering direction. It acts on every
/// request that does not opt out.
/// </summary>
internal sealed record Knob
{
    public required string Name { get; init; }

    /// <summary>The heads that are scaled; null for a direction.</summary>
    public PolicyHeadSet? Heads { get; init; }

    /// <summary>The direction that is added: above 0 towards the picture, below 0 towards the text; null for a gain.</summary>
    public Direction? Direction { get; init; }

    /// <summary>The part of the prompt at whose positions heads are scaled; null: at all positions.</summary>
    public SpanKind? At { get; init; }

    /// <summary>Whether a request that lacks a part at which it acts is answered without it; otherwise such a request is refused.</summary>
    public bool SkipsWithoutPart { get; init; }

    /// <summary>The parts of the prompt at which it acts; empty: it acts at all positions.</summary>
    public IReadOnlyList<SpanKind> Parts => Direction is not null
        ? [.. Direction.Parts.Where(part => part.Span is not null).Select(part => part.Span!.Value).Distinct()] : At is { } at ? [at] : [];

    /// <summary>The values that are allowed.</summary>
    public required Bounds Bounds { get; init; }

    /// <summary>The longest time for which an operator may turn it, in seconds; null: as long as the server runs.</summary>
    public int? MostSeconds { get; init; }

    /// <summary>SHA-256 of the report that justifies it, which the policy names; null: none is named.</summary>
    public string? JustifiedBy { get; init; }

    /// <summary>The value without an operator.</summary>
    public required double Default { get; init; }

    /// <summary>The value that changes nothing.</summary>
    public double Neutral => Direction is null ? 1 : 0;

    /// <summary>Its kind in responses.</summary>
    public string Kind => Direction is null ? "head_gain" : "direction";

    /// <summary>The edits of a value for a prompt.</summary>
    /// <exception cref="InputException">The prompt lacks the part at which it acts.</exception>
    public Intervention Turned(double value, Engines.Prompt prompt) => Direction is null
        ? Intervention.HeadGain(Name, Heads!.Heads, (float)value, At is { } at ? prompt.Positions(at) : null)
        : Direction.At(Name, (float)value, prompt.Span);
}

/// <summary>The value of a knob now, and who set it.</summary>
/// <param name="Until">When it falls back to its default; null: never.</param>
/// <param name="By">Name of the key; empty for the default.</param>
internal sealed record KnobSetting(double Value, DateTimeOffset? Until, string By, string Reason);

/// <summary>The values of all knobs. A restart sets them to their defaults.</summary>
internal sealed class KnobBoard(Policy policy, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, KnobSetting> _set = new(StringComparer.Ordinal);

    /// <summary>Called when a value has fallen back, with the setting that ended.</summary>
    public Action<Knob, KnobSetting>? Expired { get; set; }

    /// <summary>The setting of a knob.</summary>
    public KnobSetting Of(Knob knob)
    {
        KnobSetting? ended;
        lock (_lock)
        {
            if (!_set.TryGetValue(knob.Name, out var setting)) return new KnobSetting(knob.Default, null, "", "");
            if (setting.Until is not { } until || until > time.GetUtcNow()) return setting;
            _set.Remove(knob.Name);
            ended = setting;
        }
        Expired?.Invoke(knob, ended);
        return new KnobSetting(knob.Default, null, "", "");
    }

    /// <summary>Turns a knob.</summary>
    /// <param name="record">Writes the change down before it takes effect.</param>
    public void Set(Knob knob, KnobSetting setting, Action<KnobSetting> record)
    {
        // One at a time: the record has the changes in the order in which they take effect.
        lock (_lock)
        {
            record(Of(knob));
            _set[knob.Name] = setting;
        }
    }

    /// <summary>Puts a knob back to its default.</summary>
    /// <param name="record">Writes the change down before it takes effect, with the settings before and after.</param>
    public void Reset(Knob knob, Action<KnobSetting, KnobSetting> record)
    {
        lock (_lock)
        {
            record(Of(knob), new KnobSetting(knob.Default, null, "", ""));
            _set.Remove(knob.Name);
        }
    }

    /// <summary>The knobs of the policy with their values.</summary>
    public IEnumerable<(Knob Knob, KnobSetting Setting)> All => policy.Knobs.Values.Select(knob => (knob, Of(knob)));
}
