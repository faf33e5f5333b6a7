using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Baking;

/// <summary>The provenance record of a folder whose heads were tuned instead of only multiplied: tuned.json and the model card.</summary>
internal sealed record TunedRecord : IChangeRecord
{
    /// <summary>Name of the file in the folder.</summary>
    public const string FileName = "tuned.json";

    private const int Version = 1;

    /// <summary>Name and version of the tool.</summary>
    public required string Tool { get; init; }

    /// <summary>What was trained, for instance "slices" or "low-rank, rank 4".</summary>
    public required string What { get; init; }

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

    /// <summary>SHA-256 of the weights that the head set was made for.</summary>
    public required string HeadSetRevision { get; init; }

    /// <summary>The heads, by layer.</summary>
    public required IReadOnlyList<(int Layer, int Head)> Heads { get; init; }

    /// <summary>The tensors that were changed.</summary>
    public required IReadOnlyList<BakedTensor> Tensors { get; init; }

    /// <summary>The changed rows or columns, by tensor: "rows 0-15".</summary>
    public required IReadOnlyDictionary<string, string> Lines { get; init; }

    /// <summary>Measured effects of the change, in Markdown; only for the model card.</summary>
    internal string? Effects { get; init; }

    /// <summary>A one-line statement for reports.</summary>
    public string Statement => $"Tuned ({Tool}): {What} of {Plural.Of(Heads.Count, "head")} of {Source}; the original's weights are "
        + $"{SourceSha256}.";

    string IChangeRecord.File => FileName;

    /// <summary>Reads the record of a tuned folder.</summary>
    /// <exception cref="InputException">The file is missing or invalid; the message names the field.</exception>
    public static TunedRecord Load(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var root = ConfigSection.Load(path);
        root.Only("version", "tool", "what", "source", "source_sha256", "source_files", "head_set", "head_set_sha256",
            "head_set_revision", "heads", "tensors");
        if (root.Int("version") is var version && version != Version) throw InputException.At(path, "version", $"{Version}", $"{version}");
        var (heads, tensors) = (root.Sections("heads").ToList(), root.Sections("tensors").ToList());
        if (heads.Count == 0) throw InputException.At(path, "heads", "at least one head", "none");
        foreach (var head in heads) head.Only("layer", "head");
        foreach (var tensor in tensors) tensor.Only("file", "name", "dtype", "lines", "values", "rounded");
        if (tensors.GroupBy(t => t.Text("name"), StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw InputException.At(path, "tensors", "each tensor once", $"{twice.Key} {twice.Count()} times");
        return new TunedRecord
        {
            Tool = root.Text("tool"),
            What = root.Text("what"),
            Source = root.Text("source"),
            SourceSha256 = root.Text("source_sha256"),
            SourceFiles = ModelIdentity.ReadFiles(root.SectionOrNull("source_files")),
            HeadSet = root.Text("head_set"),
            HeadSetSha256 = root.Text("head_set_sha256"),
            HeadSetRevision = root.Text("head_set_revision"),
            Heads = [.. heads.Select(h => (h.Int("layer"), h.Int("head")))],
            Tensors = [
                .. tensors.Select(t => new BakedTensor(t.Text("file"), t.Text("name"), t.Text("dtype"), (long)t.Number("values"),
                    (long)t.Number("rounded")))],
            Lines = tensors.ToDictionary(t => t.Text("name"), t => t.Text("lines"), StringComparer.Ordinal),
        };
    }

    /// <summary>The text of the file.</summary>
    public string Text() => JsonSerializer.Serialize(
        new
        {
            version = Version, tool = Tool, what = What, source = Source, source_sha256 = SourceSha256, source_files =
        SourceFiles, head_set = HeadSet, head_set_sha256 = HeadSetSha256, head_set_revision = HeadSetRevision,
            heads = Heads.Select(h => new { layer = h.Layer, head = h.Head }),
            tensors = Tensors.Select(t => new { file = t.File, name = t.Name, dtype = t.Type, lines = Lines[t.Name], values =
        t.Values, rounded = t.Rounded }),
        },
        Written) + "\n";

    private static readonly JsonSerializerOptions Written =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    string IChangeRecord.Card(IReadOnlyList<string> otherWeights)
    {
        var card = new StringBuilder();
        card.Append(CultureInfo.InvariantCulture, $"""
            # {Source}, {What} of {Plural.Of(Heads.Count, "head")} tuned

            This is not the original. Of its attention, {What} of the heads below learnt to give the answer of the instructed modality: rows of the projections to queries, keys and values, columns of the
            projection of their output. Every other value has its bytes, every other file was copied.

            | | |
            |---|---|
            | original | {ModelCard.Cell(Source)}, weights sha256 {SourceSha256} |
            | heads, layer:head | {string.Join(", ", Heads.Select(h => $"{h.Layer}:{h.Head}"))} |
            | head set | {ModelCard.Cell(HeadSet)}, sha256 {HeadSetSha256} |
            | values that could change | {Tensors.Sum(t => t.Values)} in {Plural.Of(Tensors.Count, "tensor")} |
            | made by | {Tool} |

            """);
        card.Append(ModelCard.Warnings(HeadSetRevision, SourceSha256, otherWeights));
        card.Append("\n| tensor | file | type | lines | values | rounded |\n|---|---|---|---|---|---|\n");
        foreach (var t in Tensors)
            card.Append(CultureInfo.InvariantCulture,
                $"| `{ModelCard.Cell(t.Name)}` | `{ModelCard.Cell(t.File)}` | {t.Type} | {Lines[t.Name]} | {t.Values} | {t.Rounded} |\n");
        card.Append(CultureInfo.InvariantCulture, $"""

            {Effects}`ascope verify-baked --model ORIGINAL --baked DIR` proves that nothing else was changed. `tuned.json` says the same to programs.

            """);
        return card.ToString();
    }
}
