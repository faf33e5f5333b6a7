using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace AnchorScope.Checkpoints;

/// <summary>
/// Checks JSON against the type it will be deserialised to, so that errors are reported in the user's terms. The serializer's own messages
/// refer to .NET types.
/// </summary>
internal static class JsonShape
{
    /// <summary>Reports the first mismatch.</summary>
    /// <exception cref="InputException">There is an unknown or missing key, or a value of the wrong kind.</exception>
    public static void Check<T>(JsonElement json, string file, JsonSerializerOptions options) => Check(json, typeof(T), file, "", options);

    private static void Check(JsonElement json, Type type, string file, string path, JsonSerializerOptions options)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        var info = options.GetTypeInfo(type);
        var at = path.Length == 0 ? "the document" : path;
        switch (info.Kind)
        {
            case JsonTypeInfoKind.Object:
                if (json.ValueKind != JsonValueKind.Object) throw InputException.At(file, at, "an object", JsonKind.Of(json));
                CheckKeys(json, info, file, path, options);
                break;
            case JsonTypeInfoKind.Enumerable:
                if (json.ValueKind != JsonValueKind.Array) throw InputException.At(file, at, "a list", JsonKind.Of(json));
                var i = 0;
                foreach (var item in json.EnumerateArray()) Check(item, info.ElementType!, file, $"{path}[{i++}]", options);
                break;
            default:
                if (!Fits(json, type, out var expected)) throw InputException.At(file, at, expected, JsonKind.Of(json));
                break;
        }
    }

    private static void CheckKeys(JsonElement json, JsonTypeInfo info, string file, string path, JsonSerializerOptions options)
    {
        var known = info.Properties.ToDictionary(p => p.Name, StringComparer.Ordinal);
        string At(string name) => path.Length == 0 ? Quoted.Line(name) : $"{path}.{Quoted.Line(name)}";
        foreach (var property in json.EnumerateObject())
        {
            if (!known.TryGetValue(property.Name, out var member))
                throw InputException.At(file, At(property.Name), $"only {string.Join(", ", known.Keys)}",
                    $"this field{Nearest.Hint(property.Name, known.Keys)}");
            if (property.Value.ValueKind != JsonValueKind.Null)
                Check(property.Value, member.PropertyType, file, At(property.Name), options);
            else if (member.IsRequired) throw InputException.At(file, At(property.Name), "a value", "null");
        }
        if (known.Values.FirstOrDefault(
            p => (p.IsRequired || p.AssociatedParameter is { HasDefaultValue: false })
                && !json.TryGetProperty(p.Name, out _)) is { } missing)
            throw InputException.At(file, At(missing.Name), "a value", "nothing");
    }

    private static bool Fits(JsonElement json, Type type, out string expected)
    {
        if (type.IsEnum)
        {
            string[] names = [.. Enum.GetNames(type).Select(
                name => type.GetField(name)!.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()?.Name ?? name)];
            expected = string.Join(" or ", names);
            return json.ValueKind == JsonValueKind.String && names.Contains(json.GetString());
        }
        (expected, var fits) = Type.GetTypeCode(type) switch
        {
            TypeCode.Boolean => ("true or false", json.ValueKind is JsonValueKind.True or JsonValueKind.False),
            TypeCode.String => ("a string", json.ValueKind == JsonValueKind.String),
            TypeCode.Int32 => ("an integer", json.ValueKind == JsonValueKind.Number && json.TryGetInt32(out _)),
            TypeCode.Int64 => ("an integer", json.ValueKind == JsonValueKind.Number && json.TryGetInt64(out _)),
            TypeCode.UInt64 => ("an integer of at least 0", json.ValueKind == JsonValueKind.Number && json.TryGetUInt64(out _)),
            _ => ("a number", json.ValueKind == JsonValueKind.Number),
        };
        return fits;
    }
}
