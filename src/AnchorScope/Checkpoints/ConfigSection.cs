using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>One object of a JSON file, with typed access to its keys. A key whose value is null counts as absent.</summary>
internal sealed class ConfigSection
{
    private ConfigSection(string file, string path, JsonElement json)
    {
        File = file;
        Path = path;
        Json = json;
    }

    /// <summary>The path given to <see cref="Load"/>.</summary>
    public string File { get; }

    /// <summary>Path of keys from the root of the file, for instance <c>text_config.rope_scaling</c>; empty for the root.</summary>
    public string Path { get; }

    /// <summary>The object itself, for access that this class has no method for.</summary>
    public JsonElement Json { get; }

    /// <summary>Reads a file whose root is an object.</summary>
    /// <exception cref="InputException">The file is missing, unreadable, above 64 MiB, not UTF-8, not JSON, nested deeper than 64, not an
    /// object, or has a duplicate key.</exception>
    public static ConfigSection Load(string path)
    {
        var json = StrictJson.Read(path);
        return json.ValueKind == JsonValueKind.Object
            ? new ConfigSection(path, "", json)
            : throw InputException.At(path, "file", "a JSON object", Describe(json));
    }

    /// <summary>This section, with absent keys taken from <paramref name="other"/>. Messages refer to this section.</summary>
    internal ConfigSection Or(ConfigSection other)
    {
        var both = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var section in new[] { this, other })
        {
            foreach (var property in section.Json.EnumerateObject())
            {
                if (property.Value.ValueKind != JsonValueKind.Null) both.TryAdd(property.Name, property.Value);
            }
        }
        return new ConfigSection(File, Path, JsonSerializer.SerializeToElement(both));
    }

    /// <summary>Whether the key is present and not null.</summary>
    public bool Has(string key) => Find(key) is not null;

    /// <exception cref="InputException">The key is absent, or not a 32-bit integer. <c>64.0</c> is not an integer.</exception>
    public int Int(string key) => Integer(Required(key), PathOf(key), int.MinValue, "an integer");

    /// <summary>The same, with a value for an absent key.</summary>
    public int Int(string key, int otherwise) => Has(key) ? Int(key) : otherwise;

    /// <exception cref="InputException">The key is absent, or not an integer from 1 to 2^31 - 1.</exception>
    public int PositiveInt(string key) => Integer(Required(key), PathOf(key), 1, "a positive integer");

    /// <summary>The same, with a value for an absent key.</summary>
    public int PositiveInt(string key, int otherwise) => Has(key) ? PositiveInt(key) : otherwise;

    /// <exception cref="InputException">The key is absent, or not a number in the range of a double.</exception>
    public double Number(string key)
    {
        var json = Required(key);
        if (json.ValueKind != JsonValueKind.Number || !json.TryGetDouble(out double number) || !double.IsFinite(number))
            throw InputException.At(File, PathOf(key), "a number", Describe(json));
        return number;
    }

    /// <summary>The same, with a value for an absent key.</summary>
    public double Number(string key, double otherwise) => Has(key) ? Number(key) : otherwise;

    /// <exception cref="InputException">The key is absent, or not a string.</exception>
    public string Text(string key)
    {
        var json = Required(key);
        return json.ValueKind == JsonValueKind.String
            ? json.GetString()!
            : throw InputException.At(File, PathOf(key), "a string", Describe(json));
    }

    /// <summary>The same, with a value for an absent key.</summary>
    public string Text(string key, string otherwise) => Has(key) ? Text(key) : otherwise;

    /// <exception cref="InputException">The key is present and neither true nor false.</exception>
    public bool Flag(string key, bool otherwise) => Find(key) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } json => throw InputException.At(File, PathOf(key), "true or false", Describe(json)),
    };

    /// <exception cref="InputException">The key is absent, or not an array of 32-bit integers.</exception>
    public IReadOnlyList<int> Ints(string key)
    {
        var json = Required(key);
        if (json.ValueKind != JsonValueKind.Array)
            throw InputException.At(File, PathOf(key), "an array of integers", Describe(json));
        return [.. json.EnumerateArray().Select((element, i) => Integer(element, $"{PathOf(key)}[{i}]", int.MinValue, "an integer"))];
    }

    /// <exception cref="InputException">The key is absent, or not an array of numbers in the range of a double.</exception>
    public IReadOnlyList<double> Numbers(string key)
    {
        var json = Required(key);
        if (json.ValueKind != JsonValueKind.Array) throw InputException.At(File, PathOf(key), "an array of numbers", Describe(json));
        return [.. json.EnumerateArray().Select((item, i) => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out double number)
            && double.IsFinite(number)
            ? number
            : throw InputException.At(File, $"{PathOf(key)}[{i}]", "a number", Describe(item)))];
    }

    /// <exception cref="InputException">The key is absent, empty, or not an array of pairs of positive multiples of
    /// <paramref name="unit"/>.</exception>
    public IReadOnlyList<(int First, int Second)> Pairs(string key, int unit)
    {
        var json = Required(key);
        if (json.ValueKind != JsonValueKind.Array || json.GetArrayLength() == 0)
            throw InputException.At(File, PathOf(key), "an array of pairs", Describe(json));
        return [.. json.EnumerateArray().Select((pair, i) => pair.ValueKind == JsonValueKind.Array && pair.GetArrayLength() == 2
            && pair[0].ValueKind == JsonValueKind.Number && pair[0].TryGetInt32(out int first) && pair[1].ValueKind == JsonValueKind.Number
            && pair[1].TryGetInt32(out int second)
            && first > 0 && second > 0 && first % unit == 0 && second % unit == 0
            ? (first, second)
            : throw InputException.At(File, $"{PathOf(key)}[{i}]", $"two multiples of {unit}", Quoted.Line(pair.GetRawText())))];
    }

    /// <exception cref="InputException">The key is absent, or not an object.</exception>
    public ConfigSection Section(string key)
    {
        var json = Required(key);
        return json.ValueKind == JsonValueKind.Object
            ? new ConfigSection(File, PathOf(key), json)
            : throw InputException.At(File, PathOf(key), "an object", Describe(json));
    }

    /// <summary>The same, or null for an absent key.</summary>
    public ConfigSection? SectionOrNull(string key) => Has(key) ? Section(key) : null;

    /// <exception cref="InputException">The key is absent, or not an array of objects.</exception>
    public IReadOnlyList<ConfigSection> Sections(string key)
    {
        var json = Required(key);
        if (json.ValueKind != JsonValueKind.Array) throw InputException.At(File, PathOf(key), "an array of objects", Describe(json));
        return [.. json.EnumerateArray().Select((item, i) => item.ValueKind == JsonValueKind.Object
            ? new ConfigSection(File, $"{PathOf(key)}[{i}]", item)
            : throw InputException.At(File, $"{PathOf(key)}[{i}]", "an object", Describe(item)))];
    }

    /// <summary>
    /// Checks a format in which every key is known. An unknown key is an error, because it may change the meaning of the others.
    /// </summary>
    /// <exception cref="InputException">There is another key.</exception>
    public void Only(params IReadOnlyList<string> keys)
    {
        foreach (var property in Json.EnumerateObject())
        {
            if (!keys.Contains(property.Name))
                throw InputException.At(File, PathOf(property.Name), $"only {string.Join(", ", keys)}",
                    $"this field{Nearest.Hint(property.Name, keys)}");
        }
    }

    /// <summary>The key with its parent keys, as used in messages.</summary>
    public string PathOf(string key) => Path.Length == 0 ? Quoted.Line(key) : $"{Path}.{Quoted.Line(key)}";

    /// <summary>The error for a well-formed value that is not supported.</summary>
    public InputException Unsupported(string key, string found, IEnumerable<string> supported) =>
        new($"{File}: {PathOf(key)}: {Quoted.Of(found)} is not supported; supported: {string.Join(", ", supported)}");

    private JsonElement? Find(string key) =>
        Json.TryGetProperty(key, out var json) && json.ValueKind != JsonValueKind.Null ? json : null;

    private JsonElement Required(string key) =>
        Find(key)
        ?? throw new InputException($"{File}: {PathOf(key)}: the key is missing{(Json.TryGetProperty(key, out _) ? " (it is null)" : "")}");

    private int Integer(JsonElement json, string path, int least, string expected) =>
        json.ValueKind == JsonValueKind.Number && json.TryGetInt32(out int integer) && integer >= least
            ? integer
            : throw InputException.At(File, path, expected, Describe(json));

    private static string Describe(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => $"an array of {json.GetArrayLength()}",
        JsonValueKind.String => Quoted.Of(json.GetString()!),
        _ => Quoted.Line(json.GetRawText()),
    };
}
