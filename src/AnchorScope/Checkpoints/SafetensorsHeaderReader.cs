using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>
/// The JSON of a safetensors header:
/// <c>{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [4, 64], "data_offsets": [0, 1024]}}</c>.
/// </summary>
/// <remarks>Reads where the bytes lie; what it allocates grows only with the entries that were valid.</remarks>
internal ref struct SafetensorsHeaderReader(string file, ReadOnlySpan<byte> header)
{
    public const string MetadataName = "__metadata__";
    public const int MostAxes = 64; // the limit of PyTorch and NumPy
    private const int Depth = 4; // one more than a valid header has

    private Utf8JsonReader json = new(header, new JsonReaderOptions { MaxDepth = Depth });

    /// <summary>Tensors with offsets from the start of the data; and the metadata.</summary>
    /// <exception cref="InputException">Not JSON, or not what the format asks for.</exception>
    public (Dictionary<string, TensorEntry> Entries, Dictionary<string, string> Metadata) Read()
    {
        try
        {
            var entries = new Dictionary<string, TensorEntry>();
            Dictionary<string, string>? metadata = null;
            json.Read();
            while (NextName() is { } name)
            {
                if (entries.ContainsKey(name) || (name == MetadataName && metadata is not null))
                    throw new InputException($"{file}: header: {Quoted.Of(name)} is named twice");
                if (name == MetadataName)
                    metadata = ReadMetadata();
                else
                    entries.Add(name, ReadTensor(name));
            }
            json.Read(); // throws if anything but white space follows
            return (entries, metadata ?? []);
        }
        catch (JsonException e)
        {
            throw new InputException($"{file}: header: not valid JSON near its byte {json.BytesConsumed}: {JsonText.Reason(e)}", e);
        }
    }

    /// <summary>Moves to the next property of an object; null at the object's end.</summary>
    private string? NextName()
    {
        json.Read();
        return json.TokenType == JsonTokenType.PropertyName ? JsonText.Read(ref json) : null;
    }

    private Dictionary<string, string> ReadMetadata()
    {
        Expect(JsonTokenType.StartObject, MetadataName, "an object of strings");
        var metadata = new Dictionary<string, string>();
        while (NextName() is { } key)
        {
            string field = $"{MetadataName}: {Quoted.Of(key)}";
            Expect(JsonTokenType.String, field, "a string");
            if (!metadata.TryAdd(key, JsonText.Read(ref json)))
                throw new InputException($"{file}: header: {field} is named twice");
        }
        return metadata;
    }

    private TensorEntry ReadTensor(string name)
    {
        string tensor = $"tensor {Quoted.Of(name)}";
        StoredType? type = null;
        long[]? shape = null, offsets = null;
        Expect(JsonTokenType.StartObject, tensor, "an object with dtype, shape and data_offsets");
        while (NextName() is { } key)
        {
            bool isNew = key switch
            {
                "dtype" => type is null,
                "shape" => shape is null,
                "data_offsets" => offsets is null,
                _ => throw InputException.At(file, tensor, "dtype, shape and data_offsets", Quoted.Of(key)),
            };
            if (!isNew)
                throw new InputException($"{file}: {tensor}: {key} is named twice");
            if (key == "dtype")
                type = ReadType(tensor);
            else if (key == "shape")
                shape = ReadIntegers($"{tensor}: shape", MostAxes);
            else
                offsets = ReadIntegers($"{tensor}: data_offsets", 2);
        }
        return Checked(
            name,
            type ?? throw InputException.At(file, tensor, "dtype, shape and data_offsets", "no dtype"),
            shape ?? throw InputException.At(file, tensor, "dtype, shape and data_offsets", "no shape"),
            offsets ?? throw InputException.At(file, tensor, "dtype, shape and data_offsets", "no data_offsets"));
    }

    private readonly TensorEntry Checked(string name, StoredType type, long[] shape, long[] offsets)
    {
        string tensor = $"tensor {Quoted.Of(name)}";
        string found = TensorEntry.Text(offsets);
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0])
            throw InputException.At(file, $"{tensor}: data_offsets", "a start and an end, 0 <= start <= end", found);
        string shapeText = TensorEntry.Text(shape);
        long? count = TensorEntry.CountOf(shape);
        if (count is null || count > long.MaxValue / type.Bytes())
            throw InputException.At(file, $"{tensor}: shape", "axes of 0 or more whose product fits 63 bits", shapeText);
        long bytes = offsets[1] - offsets[0];
        if (bytes != count * type.Bytes())
        {
            string expected = $"{count * type.Bytes()} bytes for {type.Name} {shapeText}";
            throw InputException.At(file, $"{tensor}: data_offsets", expected, $"{found}: {bytes} bytes");
        }
        return new TensorEntry(name, type, shape, offsets[0], bytes);
    }

    private StoredType ReadType(string tensor)
    {
        Expect(JsonTokenType.String, $"{tensor}: dtype", "a string");
        string name = JsonText.Read(ref json);
        return StoredTypes.WithName(name)
            ?? throw new InputException($"{file}: {tensor}: dtype {Quoted.Of(name)} is not supported; supported: {StoredTypes.Names}");
    }

    private long[] ReadIntegers(string field, int most)
    {
        string expected = $"an array of at most {most} integers";
        Expect(JsonTokenType.StartArray, field, expected);
        var integers = new List<long>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType != JsonTokenType.Number || !json.TryGetInt64(out long integer))
                throw InputException.At(file, field, $"{expected} of 63 bits", Found());
            if (integers.Count == most)
                throw InputException.At(file, field, expected, "more");
            integers.Add(integer);
        }
        return [.. integers];
    }

    private void Expect(JsonTokenType type, string field, string expected)
    {
        json.Read();
        if (json.TokenType != type)
            throw InputException.At(file, field, expected, Found());
    }

    private readonly string Found() => json.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => $"the number {Quoted.Line(System.Text.Encoding.UTF8.GetString(json.ValueSpan))}",
        _ => json.TokenType.ToString().ToLowerInvariant(), // true, false, null
    };
}
