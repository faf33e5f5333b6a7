using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>Describes JSON values for messages.</summary>
internal static class JsonKind
{
    /// <summary>The kind of the value, or the value itself if it is short.</summary>
    public static string Of(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => json.GetArrayLength() == 0 ? "an empty list" : "a list",
        JsonValueKind.String => Quoted.Of(json.GetString()!),
        JsonValueKind.Undefined => "nothing",
        _ => Quoted.Line(json.GetRawText()),
    };
}
