using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>What a JSON value is, in words.</summary>
internal static class JsonKind
{
    /// <summary>Its kind, or the value itself where that is short: what a message says was found.</summary>
    public static string Of(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => json.GetArrayLength() == 0 ? "an empty list" : "a list",
        JsonValueKind.String => Quoted.Of(json.GetString()!),
        JsonValueKind.Undefined => "nothing",
        _ => Quoted.Line(json.GetRawText()),
    };
}
