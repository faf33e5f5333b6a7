using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>
/// The JSON of a safetensors header:
/// <c>{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [4, 64], "data_offsets": [0, 1024]}}</c>.
/// </summary>
/// <remarks>Parses the bytes in place. Its allocations grow only with the number of valid entries.</remarks>
internal ref struct SafetensorsHeaderReader(string file, ReadOnlySpan<byte> header)
{
    public const string MetadataName = "__metadata__";
    public const int MostAxes = 64; // the limit of PyTorch and NumPy
    private const int Depth = 4; // one more than a valid header has

    private Utf8JsonReader json = new(header, new JsonReaderOptions { MaxDepth = Depth });
    private string? tensor; // the one being read, for messages

    /// <summary>Reads the tensors, with offsets from the start of the data, and the metadata.</summary>
    /// <exception cref="InputException">The header is not JSON, or violates the format.</exception>
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
                    throw Twice(name);
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

    /// <summary>Moves to the next property of an object. Returns null at the end of the object.</summary>
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
            Expect(JsonTokenType.String, MetadataName, "strings");
            if (!metadata.TryAdd(key, JsonText.Read(ref json)))
                throw Twice(key);
        }
        return metadata;
    }

    private TensorEntry ReadTensor(string name)
    {
        const string Fields = "dtype, shape and data_offsets";
        tensor = name;
        StoredType? type = null;
        long[]? shape = null, offsets = null;
        Expect(JsonTokenType.StartObject, "entry", "an object");
        while (NextName() is { } key)
        {
            bool isNew = key switch
            {
                "dtype" => type is null,
                "shape" => shape is null,
                "data_offsets" => offsets is null,
                _ => throw Wrong("entry", Fields, Quoted.Of(key)),
            };
            if (!isNew)
                throw Twice(key);
            if (key == "dtype")
                type = ReadType();
            else if (key == "shape")
                shape = ReadIntegers(key, MostAxes);
            else
                offsets = ReadIntegers(key, 2);
        }
        var entry = Checked(
            type ?? throw Wrong("entry", Fields, "no dtype"),
            shape ?? throw Wrong("entry", Fields, "no shape"),
            offsets ?? throw Wrong("entry", Fields, "no data_offsets"));
        tensor = null;
        return entry;
    }

    private readonly TensorEntry Checked(StoredType type, long[] shape, long[] offsets)
    {
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0])
            throw Wrong("data_offsets", "a start and an end, 0 <= start <= end", TensorEntry.Text(offsets));
        long? count = TensorEntry.CountOf(shape);
        if (count is null || count > long.MaxValue / type.Bytes())
            throw Wrong("shape", "axes of 0 or more whose product fits 63 bits", TensorEntry.Text(shape));
        long bytes = offsets[1] - offsets[0];
        if (bytes != count * type.Bytes())
        {
            string expected = $"{count * type.Bytes()} bytes for {type.Name} {TensorEntry.Text(shape)}";
            throw Wrong("data_offsets", expected, $"{TensorEntry.Text(offsets)}: {bytes} bytes");
        }
        return new TensorEntry(tensor!, type, shape, offsets[0], bytes);
    }

    private StoredType ReadType()
    {
        Expect(JsonTokenType.String, "dtype", "a string");
        string name = JsonText.Read(ref json);
        return StoredTypes.WithName(name)
            ?? throw new InputException($"{file}: {Subject}: dtype {Quoted.Of(name)} is not supported; supported: {StoredTypes.Names}");
    }

    private long[] ReadIntegers(string field, int most)
    {
        Expect(JsonTokenType.StartArray, field, "an array");
        var integers = new List<long>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType != JsonTokenType.Number || !json.TryGetInt64(out long integer))
                throw Wrong(field, "integers of 63 bits", Found());
            if (integers.Count == most)
                throw Wrong(field, $"at most {most} integers", "more");
            integers.Add(integer);
        }
        return [.. integers];
    }

    private void Expect(JsonTokenType type, string field, string expected)
    {
        json.Read();
        if (json.TokenType != type)
            throw Wrong(field, expected, Found());
    }

    private readonly string Subject => tensor is null ? "header" : $"tensor {Quoted.Of(tensor)}";

    private readonly InputException Wrong(string field, string expected, string found) =>
        InputException.At(file, $"{Subject}: {field}", expected, found);

    private readonly InputException Twice(string name) => new($"{file}: {Subject}: {Quoted.Of(name)} is named twice");

    private readonly string Found() => json.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => $"the number {Quoted.Line(System.Text.Encoding.UTF8.GetString(json.ValueSpan))}",
        _ => json.TokenType.ToString().ToLowerInvariant(), // true, false, null
    };
}
