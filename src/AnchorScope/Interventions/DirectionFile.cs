using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Prompts;

namespace AnchorScope.Interventions;

/// <summary>A direction with its validated range of strengths.</summary>
/// <param name="Direction">The direction.</param>
/// <param name="Lowest">Strongest strength towards the text that left the share of third answers unchanged on the validation samples; 0 or
/// below.</param>
/// <param name="Highest">The same towards the picture; 0 or above.</param>
public sealed record BoundedDirection(Direction Direction, double Lowest, double Highest);

/// <summary>
/// directions.safetensors. It has a tensor [rows, width] for each part, named NAME/SITE/LAYER/HEAD/SPAN/KIND. HEAD "all" is the whole site;
/// SPAN "all" is every position; KIND "span" is one row for the whole span, "position" one row per place counted from its end. The metadata
/// states the model, tokenizer and data they were fitted on, and the bounds of each direction.
/// </summary>
public sealed class DirectionFile
{
    private const string Format = "ascope directions", Version = "1";

    /// <summary>Path as given by the caller.</summary>
    public required string Path { get; init; }

    /// <summary>The model the directions were fitted on. In files of older versions it has only the hash of the weights.</summary>
    public required ModelIdentity Model { get; init; }

    /// <summary>SHA-256 of the model's tokenizer.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>SHA-256 of the ranking set whose runs the directions were fitted on.</summary>
    public required string DatasetHash { get; init; }

    /// <summary>The directions by name.</summary>
    public required IReadOnlyDictionary<string, BoundedDirection> Directions { get; init; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">The file is missing or invalid; the message names the field.</exception>
    public static DirectionFile Load(string path)
    {
        if (!File.Exists(path)) throw InputException.At(path, "file", "directions.safetensors of ascope steer", "no such file");
        using var file = SafetensorsFile.Open(path);
        string Field(string name) => file.Metadata.TryGetValue(name, out var value)
            ? value : throw InputException.At(path, $"__metadata__.{name}", "what ascope steer writes", "nothing");
        if (Field("format") != Format) throw InputException.At(path, "__metadata__.format", Format, Field("format"));
        if (Field("version") != Version) throw InputException.At(path, "__metadata__.version", Version, Field("version"));
        var parts = new Dictionary<string, List<DirectionPart>>(StringComparer.Ordinal);
        foreach (var (name, entry) in file.Tensors.OrderBy(t => t.Key, StringComparer.Ordinal))
        {
            var (direction, part) = Part(path, name, entry, file.ReadSingles(name));
            if (!parts.TryGetValue(direction, out var list)) parts[direction] = list = [];
            list.Add(part);
        }
        foreach (var (name, list) in parts)
        {
            if (list.Any(p => p.Span is null) && list.Any(p => p.Span is not null))
                throw InputException.At(path, name, "parts that all act everywhere, or none", "both");
            foreach (var site in list.GroupBy(p => (p.Site, p.Layer)))
            {
                if (site.Any(p => p.Head is null) && site.Any(p => p.Head is not null))
                    throw InputException.At(path, $"{name}/{SiteNames.Of(site.Key.Site)}/{site.Key.Layer}", "heads, or all", "both");
                if (site.Select(p => p.Rows.Width).Distinct().Count() > 1)
                    throw InputException.At(path, $"{name}/{SiteNames.Of(site.Key.Site)}/{site.Key.Layer}",
                        "vectors of one width", "several");
            }
        }
        return new DirectionFile
        {
            Path = path,
            Model = new ModelIdentity(Field("revision"), Files(path, file.Metadata.GetValueOrDefault("files"))),
            TokenizerHash = Field("tokenizer_hash"),
            DatasetHash = Field("dataset_hash"),
            Directions = parts.ToDictionary(
                p => p.Key,
                p => new BoundedDirection(new Direction(p.Key, p.Value), Bound(path, $"{p.Key}.lowest", Field($"{p.Key}.lowest")),
                    Bound(path, $"{p.Key}.highest", Field($"{p.Key}.highest"))),
                StringComparer.Ordinal),
        };
    }

    private static string NameOf(DirectionPart part)
    {
        var (head, span) = (part.Head is { } one ? $"{one}" : "all", part.Span is { } kind ? EnumName.Of(kind) : "all");
        return $"{SiteNames.Of(part.Site)}/{part.Layer}/{head}/{span}/{(part.ByPosition ? "position" : "span")}";
    }

    /// <summary>Writes the file atomically.</summary>
    /// <param name="model">Name of the model, for the metadata.</param>
    public void Save(string model)
    {
        var tensors = Directions.Values.SelectMany(d => d.Direction.Parts.Select(p => TensorData.Of(
            $"{d.Direction.Name}/{NameOf(p)}",
            [.. Enumerable.Range(0, p.Rows.Count).SelectMany(i => p.Rows[i].ToArray())], p.Rows.Count, p.Rows.Width))).ToList();
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = Format, ["version"] = Version, ["model"] = model, ["revision"] = Model.Weights,
            ["files"] = JsonSerializer.Serialize(Model.Files), ["tokenizer_hash"] = TokenizerHash, ["dataset_hash"] = DatasetHash,
        };
        foreach (var (name, direction) in Directions)
        {
            metadata[$"{name}.lowest"] = direction.Lowest.ToString(CultureInfo.InvariantCulture);
            metadata[$"{name}.highest"] = direction.Highest.ToString(CultureInfo.InvariantCulture);
        }
        SafetensorsWriter.Write(Path, tensors, metadata);
    }

    /// <summary>Returns a direction by name, after checking that a strength is within its bounds.</summary>
    /// <param name="namePlace">The field or option that contains the name, for messages.</param>
    /// <param name="place">The field or option that contains the strength, for messages.</param>
    /// <param name="beyond">Whether a strength outside the bounds is allowed.</param>
    /// <param name="file">The file with these fields, for messages; null: this one.</param>
    /// <exception cref="InputException">The name is unknown, or the strength is 0, not finite or outside the bounds.</exception>
    public Direction Take(string name, double strength, string namePlace, string place, bool beyond = false, string? file = null)
    {
        file ??= Path;
        if (!Directions.TryGetValue(name, out var found))
            throw InputException.At(file, namePlace, string.Join(", ", Directions.Keys.Order(StringComparer.Ordinal)),
                name + Nearest.Hint(name, Directions.Keys));
        if (!double.IsFinite(strength) || strength == 0)
            throw InputException.At(file, place, "a finite strength other than 0", strength.ToString(CultureInfo.InvariantCulture));
        return beyond || (strength >= found.Lowest && strength <= found.Highest)
            ? found.Direction
            : throw InputException.At(file, place,
                $"a strength of {name} within its bounds, {found.Lowest.ToString(CultureInfo.InvariantCulture)} to "
                    + $"{found.Highest.ToString(CultureInfo.InvariantCulture)}", strength.ToString(CultureInfo.InvariantCulture));
    }

    private static IReadOnlyDictionary<string, string> Files(string path, string? json)
    {
        try
        {
            return json is null ? new Dictionary<string, string>() : JsonSerializer.Deserialize<SortedDictionary<string, string>>(json)!;
        }
        catch (JsonException e)
        {
            throw new InputException(
                $"{path}: __metadata__.files: expected a JSON object of file names and SHA-256, found {Quoted.Of(json!)}", e);
        }
    }

    private static double Bound(string path, string name, string value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var bound) && double.IsFinite(bound)
            ? bound : throw InputException.At(path, $"__metadata__.{name}", "a number", value);

    private static (string Direction, DirectionPart Part) Part(string path, string name, TensorEntry entry, float[] values)
    {
        InputException Wrong(string expected, string found) => InputException.At(path, name, expected, found);
        if (name.Split('/') is not [var direction, var site, var layer, var head, var span, var rows])
            throw Wrong("a name NAME/SITE/LAYER/HEAD/SPAN/KIND", name);
        if (rows is not ("span" or "position")) throw Wrong("span or position", rows);
        int Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number : throw Wrong("whole numbers for layer and head", text);
        if (SiteNames.Parse(site) is not { } known || known is Site.AttnScores or Site.AttnPattern)
            throw Wrong("a site that a vector can be added to", site);
        if (entry.Shape.Length != 2 || entry.Shape[0] < 1) throw Wrong("2 axes, rows and width", $"{entry.Shape.Length} axes");
        SpanKind? kind = Enum.GetValues<SpanKind>().Where(k => EnumName.Of(k) == span).Select(k => (SpanKind?)k).FirstOrDefault();
        if (kind is null && span != "all") throw Wrong("a span, or all", span);
        if ((kind is null || rows == "span") && entry.Shape[0] != 1)
            throw Wrong($"one row for {(kind is null ? "every position" : "the whole span")}", $"{entry.Shape[0]} rows");
        if (kind is null && rows != "span") throw Wrong("the kind span beside the span all", rows);
        if (Array.Exists(values, v => !float.IsFinite(v))) throw Wrong("finite values", "others");
        return (direction, new DirectionPart(
            known, Number(layer), head == "all" ? null : Number(head), kind,
            new DonorRows(values, checked((int)entry.Shape[0])), rows == "position"));
    }
}
