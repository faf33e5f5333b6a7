using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Interventions;

/// <summary>
/// A head set as a file: <c>ascope diagnose</c> writes it as heads.json (version 1), <c>ascope tune</c> with a gain for each head (version
/// 2).
/// </summary>
/// <param name="Path">Path as given by the caller.</param>
/// <param name="Sha256">SHA-256 of the file's bytes.</param>
/// <param name="Set">The head set.</param>
public sealed record HeadSetFile(string Path, string Sha256, HeadSet Set)
{
    private const int WithGains = 2;

    /// <summary>Reads a file. Anything that is not understood is an error that names the field.</summary>
    /// <exception cref="InputException">The file is not a head set of a known version, has no heads, or lists one twice.</exception>
    public static HeadSetFile Load(string path)
    {
        var root = ConfigSection.Load(path);
        root.Only("version", "model", "revision", "tokenizer_hash", "dataset_hash", "metric_variant", "heads", "variants", "files");
        if (root.Int("version") is var version && version is not (1 or WithGains))
            throw InputException.At(path, "version", $"1 or {WithGains}", $"{version}");
        var heads = root.Sections("heads").Select(head =>
        {
            head.Only(version == WithGains ? ["layer", "head", "score", "estimate", "gain"] : ["layer", "head", "score", "estimate"]);
            return new ScoredHead(head.Int("layer"), head.Int("head"), head.Number("score", double.NaN))
            {
                Gain = version == WithGains ? Gain(head, path) : null,
                Estimate = head.Flag("estimate", false),
            };
        }).ToArray();
        if (heads.Length == 0) throw InputException.At(path, "heads", "at least one head", "none");
        for (var i = 0; i < heads.Length; i++)
        {
            if (Array.FindIndex(heads, h => (h.Layer, h.Head) == (heads[i].Layer, heads[i].Head)) is var first && first < i)
                throw InputException.At(path, $"heads[{i}]", "each head once",
                    $"layer {heads[i].Layer}, head {heads[i].Head}, which is heads[{first}]");
        }
        var variants = root.SectionOrNull("variants");
        return new HeadSetFile(path, Digest.OfFile(path), new HeadSet(
            root.Text("model"), root.Text("revision"), root.Text("tokenizer_hash", ""), root.Text("dataset_hash", ""),
            root.Text("metric_variant", ""), heads)
        {
            Files = ModelIdentity.ReadFiles(root.SectionOrNull("files")),
            Variants = variants?.Json.EnumerateObject().ToDictionary(p => p.Name, p => variants.Text(p.Name), StringComparer.Ordinal) ?? [],
        });
    }

    /// <summary>The text of a file with this set.</summary>
    public static string Text(HeadSet set)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(
            stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("model", set.Model);
            json.WriteString("revision", set.Revision);
            if (set.Files.Count > 0)
            {
                json.WriteStartObject("files");
                foreach (var (name, sha256) in set.Files) json.WriteString(name, sha256);
                json.WriteEndObject();
            }
            json.WriteString("tokenizer_hash", set.TokenizerHash);
            json.WriteString("dataset_hash", set.DatasetHash);
            json.WriteString("metric_variant", set.MetricVariant);
            json.WriteStartArray("heads");
            foreach (var head in set.Heads)
            {
                json.WriteStartObject();
                json.WriteNumber("layer", head.Layer);
                json.WriteNumber("head", head.Head);
                if (double.IsFinite(head.Score)) json.WriteNumber("score", head.Score);
                else json.WriteNull("score");
                if (head.Estimate) json.WriteBoolean("estimate", true);
                if (head.Gain is { } gain) json.WriteNumber("gain", gain);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartObject("variants");
            foreach (var (name, variant) in set.Variants) json.WriteString(name, variant);
            json.WriteEndObject();
            json.WriteNumber("version", set.Version);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private static float Gain(ConfigSection head, string path)
    {
        var gain = (float)head.Number("gain");
        return float.IsFinite(gain)
            ? gain : throw InputException.At(path, head.PathOf("gain"), "a number of 32 bits", $"{head.Number("gain")}");
    }
}
