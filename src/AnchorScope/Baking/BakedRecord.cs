using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;

namespace AnchorScope.Baking;

/// <summary>A tensor that was changed.</summary>
/// <param name="File">Its weight file.</param>
/// <param name="Name">Name as stored.</param>
/// <param name="Type">Type as in the header.</param>
/// <param name="Values">Number of values that were multiplied.</param>
/// <param name="Rounded">Number of products that the type cannot represent exactly.</param>
internal sealed record BakedTensor(string File, string Name, string Type, long Values, long Rounded);

/// <summary>The machine-readable provenance record of a baked folder: baked.json.</summary>
internal sealed record BakedRecord : IChangeRecord
{
    /// <summary>Name of the file in the folder.</summary>
    public const string FileName = "baked.json";

    private const int Version = 1;

    /// <summary>Name and version of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>Name of the original's folder.</summary>
    public required string Source { get; init; }

    /// <summary>SHA-256 of the original's weights.</summary>
    public required string SourceSha256 { get; init; }

    /// <summary>SHA-256 of every other file of the original that affects its computation; empty in records of older versions.</summary>
    public IReadOnlyDictionary<string, string> SourceFiles { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Name of the head-set file.</summary>
    public required string HeadSet { get; init; }

    /// <summary>SHA-256 of the head-set file's bytes.</summary>
    public required string HeadSetSha256 { get; init; }

    /// <summary>
    /// SHA-256 of the weights that the head set was made for: those of the original, unless heads of another model were forced.
    /// </summary>
    public required string HeadSetRevision { get; init; }

    /// <summary>The gains that were baked in.</summary>
    public required HeadGains Gains { get; init; }

    /// <summary>The tensors that were changed.</summary>
    public required IReadOnlyList<BakedTensor> Tensors { get; init; }

    /// <summary>Measured effects of the change, in Markdown; only for the model card.</summary>
    internal string? Effects { get; init; }

    /// <summary>Number of products that were rounded, in all tensors.</summary>
    public long Rounded => Tensors.Sum(t => t.Rounded);

    /// <summary>A one-line statement for reports.</summary>
    public string Statement =>
        $"Baked ({Tool}): {HeadCount} of {Source} {(Gains.Common is { } factor ? $"times {factor}" : "times a factor each")}, "
            + $"folded into the weights; the original's are {SourceSha256}.";

    /// <summary>For instance "1 head" or "3 heads".</summary>
    internal string HeadCount => Plural.Of(Gains.Heads.Count, "head");

    /// <summary>Reads the record of a baked folder.</summary>
    /// <exception cref="InputException">The file is missing or invalid; the message names the field.</exception>
    public static BakedRecord Load(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var root = ConfigSection.Load(path);
        root.Only("version", "tool", "source", "source_sha256", "source_files", "head_set", "head_set_sha256", "head_set_revision",
            "factor", "heads", "tensors");
        if (root.Int("version") is var version && version != Version) throw InputException.At(path, "version", $"{Version}", $"{version}");
        var gains = new Dictionary<(int, int), float>();
        foreach (var head in root.Sections("heads"))
        {
            head.Only("layer", "head", "factor");
            var factor = (float)head.Number("factor");
            if (!float.IsFinite(factor))
                throw InputException.At(path, head.PathOf("factor"), "a number of 32 bits", $"{head.Number("factor")}");
            if (!gains.TryAdd((head.Int("layer"), head.Int("head")), factor))
                throw InputException.At(path, head.Path, "each head once", $"layer {head.Int("layer")}, head {head.Int("head")} again");
        }
        if (gains.Count == 0) throw InputException.At(path, "heads", "at least one head", "none");
        return new BakedRecord
        {
            Tool = root.Text("tool"),
            Source = root.Text("source"),
            SourceSha256 = root.Text("source_sha256"),
            SourceFiles = ModelIdentity.ReadFiles(root.SectionOrNull("source_files")),
            HeadSet = root.Text("head_set"),
            HeadSetSha256 = root.Text("head_set_sha256"),
            HeadSetRevision = root.Text("head_set_revision"),
            Gains = new HeadGains(gains),
            Tensors = [.. root.Sections("tensors").Select(t =>
            {
                t.Only("file", "name", "dtype", "values", "rounded");
                return new BakedTensor(t.Text("file"), t.Text("name"), t.Text("dtype"), (long)t.Number("values"),
                    (long)t.Number("rounded"));
            })],
        };
    }

    string IChangeRecord.File => FileName;

    string IChangeRecord.Card(IReadOnlyList<string> otherWeights) => ModelCard.Text(this, otherWeights);

    /// <summary>The text of the file.</summary>
    public string Text()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(
            stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteNumber("version", Version);
            foreach (var (key, text) in new[]
            {
                ("tool", Tool), ("source", Source), ("source_sha256", SourceSha256), ("head_set", HeadSet),
                ("head_set_sha256", HeadSetSha256), ("head_set_revision", HeadSetRevision),
            }) json.WriteString(key, text);
            json.WriteStartObject("source_files");
            foreach (var (name, sha256) in SourceFiles) json.WriteString(name, sha256);
            json.WriteEndObject();
            if (Gains.Common is { } common) json.WriteNumber("factor", common);
            else json.WriteNull("factor");
            json.WriteStartArray("heads");
            foreach (var head in Gains.Heads)
            {
                json.WriteStartObject();
                json.WriteNumber("layer", head.Layer);
                json.WriteNumber("head", head.Head);
                json.WriteNumber("factor", head.Factor);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("tensors");
            foreach (var tensor in Tensors)
            {
                json.WriteStartObject();
                json.WriteString("file", tensor.File);
                json.WriteString("name", tensor.Name);
                json.WriteString("dtype", tensor.Type);
                json.WriteNumber("values", tensor.Values);
                json.WriteNumber("rounded", tensor.Rounded);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }
}
