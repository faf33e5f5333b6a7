using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace AnchorScope.Checkpoints;

/// <summary>Writes safetensors files. The bytes do not depend on the order of the given tensors and metadata.</summary>
public static class SafetensorsWriter
{
    private const int Alignment = 8;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>
    /// Writes all tensors, ordered by decreasing element size and then by name, each aligned to its element size. Afterwards the target is
    /// either complete and on the disk, or unchanged.
    /// </summary>
    /// <exception cref="ArgumentException">A name is a duplicate, reserved or not valid text, or the bytes do not fit the shape. Nothing
    /// was written.</exception>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string path, IReadOnlyList<TensorData> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var bytes = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        foreach (var tensor in tensors)
            bytes[tensor.Name] = tensor.Bytes;
        Write(
            path, [.. tensors.Select(tensor => new TensorEntry(tensor.Name, tensor.Type, tensor.Shape, 0, tensor.Bytes.Length))],
            (entry, file) => file.Write(bytes[entry.Name].Span), metadata);
    }

    /// <summary>The same for tensors that are streamed, so that none has to fit into memory.</summary>
    /// <param name="tensors">Their offsets are ignored.</param>
    /// <param name="content">Writes the bytes of one tensor.</param>
    /// <exception cref="ArgumentException">As in the other overload. Nothing was written.</exception>
    /// <exception cref="InvalidOperationException"><paramref name="content"/> wrote too few or too many bytes.</exception>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(
        string path, IReadOnlyList<TensorEntry> tensors, Action<TensorEntry, Stream> content,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        Check(tensors, metadata);
        var ordered = tensors
            .OrderByDescending(tensor => tensor.Type.Bytes())
            .ThenBy(tensor => tensor.Name, StringComparer.Ordinal)
            .ToArray();
        byte[] start = Start(ordered, metadata);
        AtomicFile.Write(path, file =>
        {
            file.Write(start);
            foreach (var tensor in ordered)
            {
                long end = file.Position + tensor.Bytes;
                content(tensor, file);
                if (file.Position != end)
                    throw new InvalidOperationException(
                        $"tensor '{tensor.Name}' takes {tensor.Bytes} bytes, {file.Position - end + tensor.Bytes} were written");
            }
        });
    }

    private static void Check(IReadOnlyList<TensorEntry> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var names = new HashSet<string>();
        foreach (var (name, type, shape, _, bytes) in tensors)
        {
            if (name == SafetensorsHeaderReader.MetadataName || !names.Add(name))
                throw new ArgumentException($"the tensor name '{name}' is reserved or used twice", nameof(tensors));
            const int most = SafetensorsHeaderReader.MostAxes;
            if (shape.Length > most)
                throw new ArgumentException($"tensor '{name}' has {shape.Length} axes, more than {most}", nameof(tensors));
            long? count = TensorEntry.CountOf(shape);
            if (count is null || count > long.MaxValue / type.Bytes() || count * type.Bytes() != bytes)
            {
                string tensor = $"tensor '{name}': {type.Name} {TensorEntry.Text(shape)}";
                throw new ArgumentException($"{tensor} does not take {bytes} bytes", nameof(tensors));
            }
        }
        foreach (string text in names.Concat(metadata?.Keys ?? []).Concat(metadata?.Values ?? []))
        {
            // The JSON writer would replace half a surrogate pair by a replacement character; this encoding throws.
            StrictUtf8.GetByteCount(text);
        }
    }

    /// <summary>The length of the header, the header, and spaces up to a multiple of 8 bytes.</summary>
    private static byte[] Start(IReadOnlyList<TensorEntry> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var header = new ArrayBufferWriter<byte>();
        header.Write(new byte[sizeof(ulong)]);
        // Safe here: the header is never part of a web page.
        using (var json = new Utf8JsonWriter(header, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            WriteJson(json, tensors, metadata);
        int padding = -header.WrittenCount & (Alignment - 1);
        header.GetSpan(padding)[..padding].Fill((byte)' ');
        header.Advance(padding);
        byte[] start = header.WrittenSpan.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(start, (ulong)(start.Length - sizeof(ulong)));
        return start;
    }

    private static void WriteJson(Utf8JsonWriter json, IReadOnlyList<TensorEntry> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        json.WriteStartObject();
        if (metadata is not null)
        {
            json.WriteStartObject(SafetensorsHeaderReader.MetadataName);
            foreach (var (key, text) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                json.WriteString(key, text);
            json.WriteEndObject();
        }
        long offset = 0;
        foreach (var tensor in tensors)
        {
            json.WriteStartObject(tensor.Name);
            json.WriteString("dtype", tensor.Type.Name);
            json.WriteStartArray("shape");
            foreach (long axis in tensor.Shape)
                json.WriteNumberValue(axis);
            json.WriteEndArray();
            json.WriteStartArray("data_offsets");
            json.WriteNumberValue(offset);
            json.WriteNumberValue(offset += tensor.Bytes);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }
}
