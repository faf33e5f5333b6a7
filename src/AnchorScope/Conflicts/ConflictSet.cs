using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Conflicts;

/// <summary>
/// Conflict samples on disk: JSONL with one sample per line, and pictures in the same folder. docs/conflicts.md describes the fields.
/// </summary>
public sealed class ConflictSet
{
    private const int LongestLine = 1 << 20;

    private readonly Lazy<string> _pictures;

    private ConflictSet(
        string name, string file, string sha256, IReadOnlyList<ConflictSample> samples, IReadOnlyList<RejectedLine> rejected)
    {
        (Name, File, Sha256, Samples, Rejected) = (name, file, sha256, samples, rejected);
        _pictures = new Lazy<string>(PictureDigest);
    }

    /// <summary>File name without extension, for instance "test". A part of a file has its own name.</summary>
    public string Name { get; }

    /// <summary>Path of the JSONL file.</summary>
    public string File { get; }

    /// <summary>SHA-256 of the file's bytes.</summary>
    public string Sha256 { get; }

    /// <summary>
    /// SHA-256 of the list of the SHA-256 of each picture's bytes: those of <see cref="Samples"/>, then those of <see cref="Donors"/> by
    /// id. Computed on first use, which reads every picture.
    /// </summary>
    /// <exception cref="InputException">A picture can no longer be read.</exception>
    public string PicturesSha256 => _pictures.Value;

    /// <summary>Usable samples in the order of the file.</summary>
    public IReadOnlyList<ConflictSample> Samples { get; }

    /// <summary>Lines that were left out.</summary>
    public IReadOnlyList<RejectedLine> Rejected { get; }

    /// <summary>The usable samples that others name as donors, by id. They may be beyond a limit or in another part of the file.</summary>
    public IReadOnlyDictionary<string, ConflictSample> Donors { get; private init; } =
        new Dictionary<string, ConflictSample>(StringComparer.Ordinal);

    /// <summary>This set with other samples, and with the reasons for leaving out the rest added.</summary>
    public ConflictSet With(IReadOnlyList<ConflictSample> samples, IEnumerable<RejectedLine> rejected)
    {
        List<RejectedLine> added = [.. rejected];
        var gone = added.Select(r => r.Id).Except(samples.Select(s => s.Id)).ToHashSet();
        return new(Name, File, Sha256, samples, [.. Rejected, .. added])
        {
            Donors = Donors.Where(d => !gone.Contains(d.Key)).ToDictionary(StringComparer.Ordinal),
        };
    }

    /// <summary>Some of the samples as a set with another name.</summary>
    public ConflictSet Part(string name, IReadOnlyList<ConflictSample> samples) =>
        new(name, File, Sha256, samples, Rejected) { Donors = Donors };

    /// <summary>
    /// Reads a set. Invalid lines, missing pictures and answers that do not differ are listed in <see cref="Rejected"/>, and the other
    /// lines are read.
    /// </summary>
    /// <param name="limit">Maximum number of samples, the first ones; null for all.</param>
    /// <exception cref="InputException">The file is missing or has no usable line, or a sample names a donor that no line has.</exception>
    public static ConflictSet Load(string path, int? limit = null)
    {
        var bytes = Bytes(path);
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
                if (Sample(bytes, line, number, folder, out id) is not { } sample) continue;
                if (!ids.Add(sample.Id)) throw new LineException($"id {sample.Id} is there twice");
                samples.Add(sample);
            }
            catch (Exception e) when (IsOfTheLine(e))
            {
                rejected.Add(new RejectedLine(path, number, id,
                    e is JsonException broken ? "not valid JSON: " + JsonText.Reason(broken) : e.Message));
            }
        }
        if (samples.Count == 0)
        {
            var first = rejected.Count == 0 ? "the file is empty" : $"line {rejected[0].Line}: {rejected[0].Reason}";
            throw new InputException($"{path}: no usable sample in {Plural.Of(number, "line")}; {first}");
        }
        return new ConflictSet(Path.GetFileNameWithoutExtension(path), path, Digest.Of(bytes), samples,
            rejected)
        {
            Donors = Named(path, bytes, folder, samples),
        };
    }

    private static byte[] Bytes(string path)
    {
        if (Directory.Exists(path)) throw InputException.At(path, "path", "a file of JSON lines", "a folder");
        byte[] bytes;
        try
        {
            bytes = System.IO.File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {FileError.Reason(e)}", e);
        }
        if (bytes is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
            throw InputException.At(path, "encoding", "UTF-8", "UTF-16; save the file as UTF-8");
        var text = bytes.AsSpan().TrimStart("\uFEFF \t\r\n"u8);
        if (text is [(byte)'[', ..]) throw InputException.At(path, "form", "one sample a line, each a JSON object", "a JSON list");
        return text is [(byte)'{', (byte)'\r' or (byte)'\n', ..]
            ? throw InputException.At(path, "form", "one sample a line, each a JSON object", "an object over several lines")
            : bytes;
    }

    /// <summary>The sample of a line, or null if the line is empty.</summary>
    /// <param name="id">Id of the sample; set even if the rest of the line is invalid.</param>
    private static ConflictSample? Sample(byte[] bytes, (int Start, int Length) line, int number, string folder, out string? id)
    {
        id = null;
        if (line.Length > LongestLine) throw new LineException($"is longer than {LongestLine} bytes");
        if (bytes.AsSpan()[line.Start..(line.Start + line.Length)].Trim(" \t\r"u8).IsEmpty) return null;
        if (!System.Text.Unicode.Utf8.IsValid(bytes.AsSpan(line.Start, line.Length)))
            throw new LineException("expected UTF-8, found other bytes; save the file as UTF-8");
        using var json = JsonDocument.Parse(bytes.AsMemory(line.Start, line.Length),
            new JsonDocumentOptions { MaxDepth = 16, AllowDuplicateProperties = false });
        var reader = new SampleReader(json.RootElement);
        id = reader.Id;
        return reader.Read(folder) with { Line = number };
    }

    /// <summary>
    /// Whether an exception is about the content of a line. InvalidOperationException is an escape that is half of a surrogate pair.
    /// </summary>
    private static bool IsOfTheLine(Exception e) =>
        e is LineException or JsonException or DecoderFallbackException or InvalidOperationException;

    /// <summary>The donors that <paramref name="samples"/> name. The whole file is searched, whatever the limit.</summary>
    private static Dictionary<string, ConflictSample> Named(string path, byte[] bytes, string folder, List<ConflictSample> samples)
    {
        var wanted = samples.SelectMany(s => s.Donors.Values).ToHashSet(StringComparer.Ordinal);
        if (wanted.Count == 0) return [];
        var found = samples.Where(s => wanted.Contains(s.Id)).ToDictionary(s => s.Id, StringComparer.Ordinal);
        var (ids, number) = (new HashSet<string>(StringComparer.Ordinal), 0);
        foreach (var line in Lines(bytes))
        {
            number++;
            string? id = null;
            try
            {
                if (Sample(bytes, line, number, folder, out id) is { } sample && wanted.Contains(sample.Id))
                    found.TryAdd(sample.Id, sample);
            }
            catch (Exception e) when (IsOfTheLine(e))
            {
                // The id of a rejected line is known all the same: a sample that names it has no usable donor, but that is not an error.
            }
            if (id is not null) ids.Add(id);
        }
        foreach (var sample in samples)
        {
            foreach (var (factor, id) in sample.Donors)
            {
                var place = $"{path}:{sample.Line}";
                if (!ConflictSample.DonorFactors.Contains(factor))
                    throw InputException.At(place, "donors", string.Join(", ", ConflictSample.DonorFactors), Quoted(factor));
                if (id == sample.Id) throw InputException.At(place, $"donors.{factor}", "another sample", $"{Quoted(id)} itself");
                if (!ids.Contains(id)) throw InputException.At(place, $"donors.{factor}", "the id of a sample of this file", Quoted(id));
            }
        }
        return found;
    }

    private string PictureDigest()
    {
        var paths = Samples.Concat(Donors.OrderBy(d => d.Key, StringComparer.Ordinal).Select(d => d.Value)).Select(s => s.Image).ToArray();
        var digests = paths.OfType<string>().Distinct(StringComparer.Ordinal).AsParallel().Select(path => (path, Digest.OfFile(path)))
            .ToDictionary(StringComparer.Ordinal);
        return Digest.Of(Encoding.UTF8.GetBytes(string.Join('\n', paths.Select(path => path is null ? "none" : digests[path]))));
    }

    /// <summary>The text on one line, whatever characters it has.</summary>
    private static string Quoted(string text) => JsonSerializer.Serialize(text);

    /// <summary>Writes samples as JSONL, atomically. Paths of pictures in the file's folder are relative to it.</summary>
    public static void Save(string path, IEnumerable<ConflictSample> samples)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        using var stream = new MemoryStream();
        foreach (var sample in samples)
        {
            using (var writer = new Utf8JsonWriter(stream,
                new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
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
        if (sample.Donors.Count > 0)
        {
            writer.WriteStartObject("donors");
            foreach (var factor in ConflictSample.DonorFactors)
            {
                if (sample.Donors.TryGetValue(factor, out var id)) writer.WriteString(factor, id);
            }
            writer.WriteEndObject();
        }
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

/// <summary>Why one line cannot be used. It never leaves the reader of a set.</summary>
internal sealed class LineException(string message) : Exception(message);
