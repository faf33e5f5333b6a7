using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>A value of a JSON file with its file and path, so that errors can refer to it.</summary>
internal readonly record struct JsonField(string File, string Path, JsonElement Value)
{
    /// <summary>What errors call the whole file, which has no path.</summary>
    public const string Whole = "the document";

    public static JsonField Read(string file) => Parse(file, ReadBytes(file));

    public static byte[] ReadBytes(string file)
    {
        try
        {
            return System.IO.File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{file}: cannot be read: {FileError.Reason(e)}", e);
        }
    }

    public static JsonField Parse(string file, ReadOnlyMemory<byte> utf8)
    {
        try
        {
            return new(file, "", JsonElement.Parse(utf8.Span));
        }
        catch (JsonException e)
        {
            throw new InputException($"{file}: not valid JSON: {JsonText.Reason(e)}", e);
        }
    }

    /// <summary>The member of this object, or null if it is absent or JSON null.</summary>
    public JsonField? Find(string name)
    {
        if (Value.ValueKind != JsonValueKind.Object) throw Expected("an object");
        return Value.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null
            ? new(File, Join(name), member)
            : null;
    }

    public JsonField Get(string name) =>
        Find(name) ?? throw InputException.At(File, Join(name), "a value", "nothing");

    public IEnumerable<JsonField> Items()
    {
        if (Value.ValueKind != JsonValueKind.Array) throw Expected("an array");
        var (file, path) = (File, Path);
        return Value.EnumerateArray().Select((item, i) => new JsonField(file, $"{path}[{i}]", item));
    }

    public IEnumerable<(string Name, JsonField Field)> Members()
    {
        if (Value.ValueKind != JsonValueKind.Object) throw Expected("an object");
        foreach (var member in Value.EnumerateObject())
        {
            string name;
            try
            {
                name = member.Name;
            }
            catch (InvalidOperationException e)
            {
                throw HalfPair(e);
            }
            yield return (name, new(File, Join(name), member.Value));
        }
    }

    public bool IsText => Value.ValueKind == JsonValueKind.String;

    public string Text()
    {
        if (!IsText) throw Expected("a string");
        try
        {
            return Value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw HalfPair(e);
        }
    }

    public int Integer(int least, int most) =>
        Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var number) && number >= least && number <= most
            ? number
            : throw Expected($"an integer from {least} to {most}");

    public bool Flag() => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Expected("true or false"),
    };

    public bool Flag(string name, bool otherwise) => Find(name)?.Flag() ?? otherwise;

    public InputException Expected(string what) =>
        InputException.At(File, Path.Length == 0 ? Whole : Quoted.Line(Path), what, Found);

    /// <summary>The value as shown in an error: one line, shortened.</summary>
    public string Found
    {
        get
        {
            var found = string.Join(' ', Value.GetRawText().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            return found.Length <= 60 ? found : found[..60] + "...";
        }
    }

    /// <summary>The error for a well-formed part of the file that is not supported.</summary>
    public InputException Unsupported(string supported) => Expected($"one of the supported {supported}");

    private string Join(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    // JSON can contain an escaped half of a surrogate pair. The parser accepts it; only reading the string fails.
    private InputException HalfPair(InvalidOperationException e) =>
        new($"{File}: {Path}: expected text, found an escape that is half of a surrogate pair", e);
}
