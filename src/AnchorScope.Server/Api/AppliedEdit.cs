using System.Text.Json;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>A change as it was made in one request.</summary>
internal sealed record AppliedEdit
{
    /// <summary>head_gain, edge_cut, edge_boost or direction.</summary>
    public required string What { get; init; }

    /// <summary>The knob that made it; null: the request described it.</summary>
    public string? Knob { get; init; }

    /// <summary>Name of the head set; null if there is none.</summary>
    public string? Set { get; init; }

    /// <summary>factor, add or strength, with its value; null for a cut.</summary>
    public (string Name, double Value)? Amount { get; init; }

    /// <summary>at, from and to, with the parts of the prompt. Without at: all positions, those generated too.</summary>
    public IReadOnlyList<(string Name, SpanKind Part)> Parts { get; init; } = [];

    /// <summary>The parts at which a direction acts that the prompt has.</summary>
    public IReadOnlyList<SpanKind> Present { get; init; } = [];

    /// <summary>Those that it lacks: the direction does less than where it was validated.</summary>
    public IReadOnlyList<SpanKind> Lacking { get; init; } = [];

    public required IReadOnlyList<int> Layers { get; init; }

    /// <summary>Number of heads, over all layers.</summary>
    public required int Heads { get; init; }

    /// <summary>Number of positions of the prompt at which something was changed; those that read, for edges.</summary>
    public required int Rows { get; init; }

    /// <summary>Describes the edits of a change.</summary>
    public static AppliedEdit Of(string what, Intervention made, DecoderShape shape, Prompt prompt) => new()
    {
        What = what,
        Layers = [.. made.Edits.Select(e => e.Layer).Distinct().Order()],
        Heads = made.Edits.GroupBy(e => e.Layer).Sum(layer => layer.Any(e => e.Heads is null)
            ? shape.Heads : layer.SelectMany(e => e.Heads!).Distinct().Count()),
        Rows = made.Edits.Any(e => e.Positions.IsAll) ? prompt.Length
            : made.Edits.SelectMany(e => e.Positions.List).Where(position => position < prompt.Length).Distinct().Count(),
    };

    /// <summary>Writes it as an object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("what", What);
        if (Knob is not null) json.WriteString("knob", Knob);
        if (Set is not null) json.WriteString("set", Set);
        if (Amount is { } amount) json.WriteNumber(amount.Name, amount.Value);
        foreach (var (name, part) in Parts) json.WriteString(name, EnumName.Of(part));
        Names(json, "parts", Present);
        Names(json, "lacking", Lacking);
        json.WriteStartArray("layers");
        foreach (var layer in Layers) json.WriteNumberValue(layer);
        json.WriteEndArray();
        json.WriteNumber("heads", Heads);
        json.WriteNumber("rows", Rows);
        json.WriteEndObject();
    }

    private static void Names(Utf8JsonWriter json, string name, IReadOnlyList<SpanKind> parts)
    {
        if (parts.Count == 0) return;
        json.WriteStartArray(name);
        foreach (var part in parts) json.WriteStringValue(EnumName.Of(part));
        json.WriteEndArray();
    }
}
