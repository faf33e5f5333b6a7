using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace AnchorScope.Checkpoints;

/// <summary>
/// The header of a safetensors file: 8 bytes with the length n of the header, n bytes of JSON, then the data. It is checked that every byte
/// of the data belongs to exactly one tensor.
/// </summary>
/// <remarks>Format: https://huggingface.co/docs/safetensors.</remarks>
internal sealed record SafetensorsHeader(IReadOnlyDictionary<string, TensorEntry> Tensors, IReadOnlyDictionary<string, string> Metadata)
{
    private const int LengthBytes = 8;

    private static readonly SearchValues<byte> TextBytes =
        SearchValues.Create([(byte)'\t', (byte)'\n', (byte)'\r', .. Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (byte)c)]);

    /// <summary>The limit of the reference implementation.</summary>
    private const int LongestHeader = 100_000_000;

    /// <exception cref="InputException">The file violates the format.</exception>
    public static SafetensorsHeader Of(string path, MappedFile file)
    {
        if (file.Length < LengthBytes)
            throw InputException.At(path, "file", $"at least {LengthBytes} bytes of safetensors", $"{file.Length} bytes");
        ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(file.Slice(0, LengthBytes));
        if (headerBytes > LongestHeader || (long)headerBytes > file.Length - LengthBytes)
            throw NoHeader(path, file, headerBytes);

        long dataStart = LengthBytes + (long)headerBytes;
        var json = file.Slice(LengthBytes, (int)headerBytes);
        if (json.IsEmpty || json[0] != (byte)'{')
            throw InputException.At(path, "header", "JSON that starts with '{'", json.IsEmpty ? "a length of 0" : $"byte 0x{json[0]:x2}");
        if (!Utf8.IsValid(json))
            throw InputException.At(path, "header", "UTF-8", "bytes that are not");

        var (entries, metadata) = new SafetensorsHeaderReader(path, json).Read();
        CheckCoverage(path, entries.Values, dataStart, file.Length);
        var tensors = entries.ToDictionary(pair => pair.Key, pair => pair.Value with { Offset = dataStart + pair.Value.Offset });
        return new SafetensorsHeader(tensors, metadata);
    }

    private static InputException NoHeader(string path, MappedFile file, ulong headerBytes)
    {
        var lfs = "version https://git-lfs"u8;
        if (file.Length > lfs.Length && file.Slice(0, lfs.Length).SequenceEqual(lfs))
            return new InputException($"{path}: this is a Git LFS pointer, not the weights: expected a safetensors file, " +
                $"found {file.Length} bytes of text; fetch the weights with 'git lfs pull'");
        // Eight bytes of text are a header length far above the limit, so no valid file is mistaken for text.
        var start = file.Slice(0, LengthBytes);
        if (!start.ContainsAnyExcept(TextBytes))
            return new InputException($"{path}: this is a text file: expected a safetensors file, " +
                $"found {Quoted.Of(Encoding.ASCII.GetString(start))} where the length of the header should be");
        if (headerBytes > LongestHeader)
            return InputException.At(path, "header length", $"at most {LongestHeader} bytes", $"{headerBytes}: not a safetensors file");
        return Truncated(path, $"at least {LengthBytes + headerBytes}", file.Length);
    }

    private static InputException Truncated(string path, string expected, long found) =>
        new($"{path}: the file is truncated: expected {expected} bytes, found {found}; fetch it again");

    /// <summary>Checks coverage. The offsets of the entries are still relative to the start of the data.</summary>
    private static void CheckCoverage(string path, IEnumerable<TensorEntry> entries, long dataStart, long fileBytes)
    {
        long covered = 0;
        string before = "";
        foreach (var entry in entries.OrderBy(entry => entry.Offset).ThenBy(entry => entry.Bytes))
        {
            if (entry.Offset != covered)
            {
                string problem = entry.Offset > covered ? "a gap that belongs to no tensor" : $"an overlap with {Quoted.Of(before)}";
                string field = $"tensor {Quoted.Of(entry.Name)}: data_offsets";
                throw InputException.At(path, field, $"a start at {covered}", $"{entry.Offset}: {problem}");
            }
            covered = entry.Offset + entry.Bytes;
            before = entry.Name;
        }
        ulong expected = (ulong)dataStart + (ulong)covered;
        if (expected > (ulong)fileBytes)
            throw Truncated(path, $"{expected}", fileBytes);
        if (expected < (ulong)fileBytes)
            throw InputException.At(path, "file", $"{expected} bytes", $"{fileBytes}: the end belongs to no tensor");
    }
}
