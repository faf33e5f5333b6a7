using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Jinja;

/// <summary>
/// Converts JSON to template values like Python's json module: integers stay integers, objects keep the order of their members.
/// </summary>
internal static class FromJson
{
    /// <summary>Throws for values that <see cref="Read"/> cannot represent: integers beyond 64 bits, halves of surrogate pairs.</summary>
    public static void Check(JsonField field)
    {
        switch (field.Value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var (_, member) in field.Members()) Check(member);
                break;
            case JsonValueKind.Array:
                foreach (var item in field.Items()) Check(item);
                break;
            case JsonValueKind.String:
                field.Text();
                break;
            case JsonValueKind.Number when IsWhole(field.Value) && !field.Value.TryGetInt64(out _):
                throw field.Expected("a whole number of 64 bits");
        }
    }

    /// <summary>The value that a template receives.</summary>
    public static object? Read(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => Object(value),
        JsonValueKind.Array => value.EnumerateArray().Select(Read).ToList(),
        JsonValueKind.String => new SourcedText(value.GetString()!),
        JsonValueKind.Number => IsWhole(value) ? value.GetInt64() : (object)value.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private static Mapping Object(JsonElement value)
    {
        var mapping = new Mapping();
        foreach (var member in value.EnumerateObject()) mapping[member.Name] = Read(member.Value);
        return mapping;
    }

    private static bool IsWhole(JsonElement number) => number.GetRawText().AsSpan().IndexOfAny(".eE") < 0;
}
