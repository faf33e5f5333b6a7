using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Conflicts;

/// <summary>Conflict samples on disk: JSONL, a sample a line, pictures beside it. docs/conflicts.md describes the fields.</summary>
public sealed class ConflictSet
{
    private const int LongestLine = 1 << 20;

    private ConflictSet(string name, string file, string sha256, IReadOnlyList<ConflictSample> samples, IReadOnlyList<RejectedLine> rejected) =>
        (Name, File, Sha256, Samples, Rejected) = (name, file, sha256, samples, rejected);

    /// <summary>File name without extension, "test"; a part of a file has its own.</summary>
    public string Name { get; }

    /// <summary>Path of the JSONL.</summary>
    public string File { get; }

    /// <summary>SHA-256 of its bytes.</summary>
    public string Sha256 { get; }

    /// <summary>Usable samples in the order of the file.</summary>
    public IReadOnlyList<ConflictSample> Samples { get; }

    /// <summary>Lines left out.</summary>
    public IReadOnlyList<RejectedLine> Rejected { get; }

    /// <summary>This set with other samples, the reasons for leaving out the rest added.</summary>
    public ConflictSet With(IReadOnlyList<ConflictSample> samples, IEnumerable<RejectedLine> rejected) =>
        new(Name, File, Sha256, samples, [.. Rejected, .. rejected]);

    /// <summary>Some of the samples as a set called <paramref name="name"/>.</summary>
    public ConflictSet Part(string name, IReadOnlyList<ConflictSample> samples) => new(name, File, Sha256, samples, Rejected);

    /// <summary>
    /// Reads a set. Broken lines, missing pictures and answers that do not differ are listed in <see cref="Rejected"/>, and the rest
    /// goes on; a missing file or one without any usable line is an error.
    /// </summary>
    /// <param name="limit">Keep only the first so many samples.</param>
    public static ConflictSet Load(string path, int? limit = null)
    {
        byte[] bytes;
        try
        {
            bytes = System.IO.File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var (samples, rejected, ids) = (new List<ConflictSample>(), new List<RejectedLine>(), new HashSet<string>(StringComparer.Ordinal));
        var number = 0;
        foreach (var line in Lines(bytes))
        {
            number++;
            if (samples.Count == limit) break;
            string? id = null;
            try
            {
                if (line.Length > LongestLine) throw new LineException($"is longer than {LongestLine} bytes");
                if (bytes.AsSpan()[line.Start..(line.Start + line.Length)].Trim(" \t\r"u8).IsEmpty) continue;
                using var json = JsonDocument.Parse(bytes.AsMemory(line.Start, line.Length), new JsonDocumentOptions { MaxDepth = 16 });
                var reader = new SampleReader(json.RootElement);
                id = reader.Id;
                var sample = reader.Read(folder) with { Line = number };
                if (!ids.Add(sample.Id)) throw new LineException($"id {sample.Id} is there twice");
                samples.Add(sample);
            }
            // InvalidOperationException: an escape that is half of a surrogate pair.
            catch (Exception e) when (e is LineException or JsonException or DecoderFallbackException or InvalidOperationException)
            {
                rejected.Add(new RejectedLine(path, number, id, e is JsonException ? "not valid JSON: " + e.Message : e.Message));
            }
        }
        if (samples.Count == 0)
        {
            var first = rejected.Count == 0 ? "the file is empty" : $"line {rejected[0].Line}: {rejected[0].Reason}";
            throw new InputException($"{path}: no usable sample in {number} lines; {first}");
        }
        return new ConflictSet(Path.GetFileNameWithoutExtension(path), path, Convert.ToHexStringLower(SHA256.HashData(bytes)), samples, rejected);
    }

    /// <summary>Writes samples as JSONL, pictures relative to the file's folder where they lie in it; atomic.</summary>
    public static void Save(string path, IEnumerable<ConflictSample> samples)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        using var stream = new MemoryStream();
        foreach (var sample in samples)
        {
            using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
                Write(writer, sample, folder);
            stream.WriteByte((byte)'\n');
        }
        stream.Position = 0;
        AtomicFile.Write(path, stream.CopyTo);
    }

    private static void Write(Utf8JsonWriter writer, ConflictSample sample, string folder)
    {
        writer.WriteStartObject();
        writer.WriteString("id", sample.Id);
        if (sample.Image is null) writer.WriteNull("image");
        else writer.WriteString("image", Path.GetRelativePath(folder, sample.Image).Replace('\\', '/'));
        writer.WriteString("question", sample.Question);
        writer.WriteString("text_context", sample.TextContext);
        writer.WriteStartObject("instructions");
        foreach (var (modality, text) in sample.Instructions.OrderBy(i => i.Key)) writer.WriteString(SampleReader.NameOf(modality), text);
        writer.WriteEndObject();
        writer.WriteStartObject("answers");
        foreach (var (modality, answers) in sample.Answers.OrderBy(a => a.Key))
        {
            writer.WriteStartArray(SampleReader.NameOf(modality));
            foreach (var answer in answers) writer.WriteStringValue(answer);
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
        if (sample.Constraint is not null) writer.WriteString("constraint", sample.Constraint);
        if (sample.System is not null) writer.WriteString("system", sample.System);
        writer.WriteString("category", sample.Category);
        writer.WriteString("kind", SampleReader.NameOf(sample.Kind));
        writer.WriteStartArray("tags");
        foreach (var tag in sample.Tags) writer.WriteStringValue(tag);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static IEnumerable<(int Start, int Length)> Lines(byte[] bytes)
    {
        var start = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
        while (start < bytes.Length)
        {
            var length = Array.IndexOf(bytes, (byte)'\n', start) is var end && end < 0 ? bytes.Length - start : end - start;
            yield return (start, length);
            start += length + 1;
        }
    }
}

/// <summary>Why one line cannot be used; never leaves the reader of a set.</summary>
internal sealed class LineException(string message) : Exception(message);
