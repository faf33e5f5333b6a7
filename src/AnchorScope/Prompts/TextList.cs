using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>A JSON list of texts.</summary>
internal static class TextList
{
    /// <param name="utf8">The JSON.</param>
    /// <param name="name">Replaces the path in messages.</param>
    /// <exception cref="InputException">The JSON is not a list of strings.</exception>
    public static IReadOnlyList<string> Parse(ReadOnlySpan<byte> utf8, string name)
    {
        var list = StrictJson.Parse(utf8, name);
        if (list.ValueKind != JsonValueKind.Array)
            throw new InputException($"{name}: expected a JSON array of strings, found {JsonKind.Of(list)}");
        return [.. list.EnumerateArray().Select((item, i) => item.ValueKind == JsonValueKind.String
            ? item.GetString()!
            : throw new InputException($"{name}: item {i}: expected a string, found {JsonKind.Of(item)}"))];
    }
}
