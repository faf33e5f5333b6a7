using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// The output file of a sweep. Each pass is appended to FILE.partial when it is done, after a first line that identifies the sweep. At the
/// end FILE is written atomically, in the order of the variants. An interrupted sweep is resumed from the partial file.
/// </summary>
internal sealed class SweepFile : IDisposable
{
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private int _beyond;
    private readonly string _path;
    private readonly IReadOnlyList<Intervention> _interventions;
    private readonly IReadOnlyList<int> _asked;
    private readonly bool _heads;
    private readonly byte[]?[] _rows;
    private readonly FileStream _partial;

    private SweepFile(string path, IReadOnlyList<Intervention> interventions, IReadOnlyList<int> asked, bool heads, FileStream partial) =>
        (_path, _interventions, _asked, _heads, _rows, _partial) = (path, interventions, asked, heads,
            new byte[]?[interventions.Count], partial);

    /// <summary>Variants without a row yet.</summary>
    public IReadOnlyList<int> Missing => [.. Enumerable.Range(0, _rows.Length).Where(i => _rows[i] is null)];

    /// <summary>Opens FILE.partial and reads its rows, if they are of the same sweep.</summary>
    /// <param name="path">FILE.</param>
    /// <param name="asked">Tokens whose logits are written in a row.</param>
    /// <param name="heads">Whether every variant with edits is a single head, which its row identifies by layer and head; otherwise rows
    /// have the name of the intervention.</param>
    /// <param name="replace">Whether an existing FILE is replaced at the end.</param>
    /// <exception cref="InputException">FILE exists and must not be replaced, or FILE.partial is of another sweep.</exception>
    public static SweepFile Open(string path, VisionLanguageModel model, Prompt prompt, IReadOnlyList<Intervention> interventions,
        IReadOnlyList<int> asked, bool heads, bool replace = false)
    {
        if (Directory.Exists(path)) throw new InputException($"{path}: expected a file to write, found a folder");
        if (File.Exists(path) && !replace) throw new InputException($"{path}: exists already; --out needs a new file");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: there is no such folder for --out");
        var partial = path + ".partial";
        var identity = IdentityOf(model, prompt, interventions, asked, heads);
        FileStream stream;
        try
        {
            stream = new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{partial}: cannot be written: {FileError.Reason(e)}", e);
        }
        var file = new SweepFile(path, interventions, asked, heads, stream);
        try
        {
            file.ReadPartial(partial, identity);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Stores the rows of a pass. They are on disk when the method returns.</summary>
    public void Add(IEnumerable<(int Variant, byte[] Row)> rows)
    {
        using var lines = new MemoryStream();
        foreach (var (variant, row) in rows)
        {
            _rows[variant] = row;
            lines.Write(Encoding.UTF8.GetBytes($"{variant}\t"));
            lines.Write(row);
            lines.WriteByte((byte)'\n');
        }
        _partial.Write(lines.GetBuffer(), 0, (int)lines.Length);
        _partial.Flush(flushToDisk: true);
    }

    /// <summary>Writes FILE and removes FILE.partial.</summary>
    public void Finish()
    {
        AtomicFile.Write(_path, stream =>
        {
            foreach (var row in _rows)
            {
                stream.Write(row);
                stream.WriteByte((byte)'\n');
            }
        });
        _partial.Dispose();
        File.Delete(_path + ".partial");
    }

    /// <inheritdoc/>
    public void Dispose() => _partial.Dispose();

    private static RunIdentity IdentityOf(
        VisionLanguageModel model, Prompt prompt, IReadOnlyList<Intervention> interventions, IReadOnlyList<int> asked, bool heads)
    {
        using var variants = new MemoryStream();
        foreach (var intervention in interventions) variants.Write(InterventionJson.Write(intervention));
        using var inputs = new MemoryStream();
        inputs.Write(MemoryMarshal.AsBytes<int>(prompt.Tokens));
        inputs.Write(MemoryMarshal.AsBytes<float>(prompt.Embeddings));
        inputs.Write(MemoryMarshal.AsBytes<Coordinate>(prompt.Coordinates));
        return new RunIdentity().With(model.Checkpoint.Identity).WithBytes("prompt", inputs.GetBuffer().AsSpan(0, (int)inputs.Length))
            .WithBytes(heads ? "list of heads" : "plan", variants.GetBuffer().AsSpan(0, (int)variants.Length)).WithList("--logits", asked);
    }

    /// <summary>Number of rows written by this process whose logits are beyond the range of float32.</summary>
    public int Beyond => _beyond;

    /// <summary>The row of one variant as JSON without a line end. Thread-safe.</summary>
    /// <param name="logits">Logits at the last position [vocabulary].</param>
    /// <remarks>Numbers that are not finite are written as null, and so is the arg-max of logits that are not all finite.</remarks>
    public byte[] Row(int variant, ReadOnlySpan<float> logits)
    {
        var isFinite = LogitRange.IsFinite(logits);
        if (!isFinite) Interlocked.Increment(ref _beyond);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Plain))
        {
            var intervention = _interventions[variant];
            json.WriteStartObject();
            if (_heads && intervention.Edits.Count > 0)
            {
                json.WriteNumber("layer", intervention.Edits[0].Layer);
                json.WriteNumber("head", intervention.Edits[0].Heads![0]);
            }
            else
            {
                json.WriteString("name", intervention.Name);
            }
            if (_asked.Count > 0)
            {
                json.WriteStartObject("logits");
                foreach (var token in _asked)
                {
                    if (float.IsFinite(logits[token])) json.WriteNumber($"{token}", logits[token]);
                    else json.WriteNull($"{token}");
                }
                json.WriteEndObject();
            }
            if (isFinite) json.WriteNumber("argmax", Sampler.ArgMax(logits));
            else json.WriteNull("argmax");
            json.WriteEndObject();
        }
        return buffer.ToArray();
    }

    /// <summary>Reads complete lines. An incomplete last line is cut off.</summary>
    private void ReadPartial(string partial, RunIdentity identity)
    {
        var bytes = new byte[_partial.Length];
        _partial.ReadExactly(bytes);
        var whole = Array.LastIndexOf(bytes, (byte)'\n') + 1;
        var lines = Encoding.UTF8.GetString(bytes, 0, whole).Split('\n')[..^1];
        if (lines.Length == 0 && bytes.Length > 0 && !bytes.AsSpan().StartsWith("{\"version\""u8))
            throw new InputException($"{partial}: not the rows of a sweep; remove it or choose another --out");
        if (lines.Length > 0) identity.Check(lines[0], partial, "remove it or choose another --out");
        foreach (var line in lines.Skip(1))
        {
            var tab = line.IndexOf('\t', StringComparison.Ordinal);
            if (tab < 0 || !int.TryParse(line[..tab], out var variant) || variant < 0 || variant >= _rows.Length)
                throw new InputException($"{partial}: not a row of a sweep: {Quoted.Of(line)}");
            _rows[variant] = Encoding.UTF8.GetBytes(line[(tab + 1)..]);
        }
        _partial.SetLength(whole);
        _partial.Position = whole;
        if (lines.Length == 0) _partial.Write(Encoding.UTF8.GetBytes(identity.Line + "\n"));
    }
}
