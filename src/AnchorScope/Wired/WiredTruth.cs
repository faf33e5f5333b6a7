using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Studies;

namespace AnchorScope.Wired;

/// <summary>truth.json: the role of every head of a wired model. docs/wired.md describes the fields.</summary>
internal static class WiredTruth
{
    private static readonly JsonNamingPolicy Snake = JsonNamingPolicy.SnakeCaseLower;

    /// <summary>The roles and places of all heads.</summary>
    public static JsonObject Of(WiredModel model) => new()
    {
        ["version"] = 1,
        ["model"] = model.Name,
        ["shows"] = model.Shows,
        ["route"] = model.Direct ? "direct" : "relay",
        ["mlp_decides"] = model.MlpDecides is { } decides ? new JsonObject { ["layer"] = decides } : null,
        ["arbiters_act_together"] = model.ArbitersActTogether,
        ["heads"] = new JsonArray([.. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer))]),
    };

    private static IEnumerable<JsonNode> Layer(WiredModel model, int layer) =>
        Enumerable.Range(0, WiredModel.Heads).Select(head => Head(model, layer, head));

    private static JsonObject Head(WiredModel model, int layer, int head)
    {
        var planted = model.Planted.FirstOrDefault(h => (h.Layer, h.Head) == (layer, head));
        return new JsonObject
        {
            ["layer"] = layer,
            ["head"] = head,
            ["role"] = Name(planted?.Role ?? HeadRole.None),
            ["does"] = planted?.Does ?? "Weights of a generator: it attends to everything a little and writes noise.",
            ["at"] = new JsonArray([.. (planted?.At ?? []).Select(place => (JsonNode)Name(place))]),
            ["reads"] = planted?.Reads is { } reads ? Name(reads) : null,
            ["blocked"] = Name(planted?.Blocked ?? WiredBlocking.Kept),
        };
    }

    private static string Name<T>(T value)
        where T : struct, Enum => Snake.ConvertName(value.ToString());
}
