using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Conflicts;

/// <summary>Reads one line of a conflict set.</summary>
internal sealed class SampleReader
{
    /// <summary>The fields of a line. "extra" is for the author of the file and is not read.</summary>
    private static readonly string[] Fields =
    [
        "id", "image", "question", "text_context", "instructions", "answers", "constraint", "system", "category", "tags",
        "kind", "donors", "extra",
    ];

    private readonly JsonElement _json;

    public SampleReader(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object) throw new LineException($"expected an object, found {JsonKind.Of(json)}");
        _json = json;
    }

    public string? Id => _json.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null;

    public static string NameOf(Modality modality) => modality == Modality.Vision ? "vision" : "text";

    public static string NameOf(SampleKind kind) => kind switch
    {
        SampleKind.Conflict => "conflict",
        SampleKind.Agree => "agree",
        SampleKind.ImageOnly => "image_only",
        _ => "text_only",
    };

    public ConflictSample Read(string folder)
    {
        foreach (var property in _json.EnumerateObject())
        {
            if (!Fields.Contains(property.Name))
                throw new LineException($"{Quoted.Line(property.Name)}: expected only {string.Join(", ", Fields)}, "
                    + $"found this field{Nearest.Hint(property.Name, Fields)}");
        }
        var instructions = ByModality("instructions",
            value => value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text
                ? text : throw new LineException("instructions: expected strings that are not empty"));
        var answers = ByModality<IReadOnlyList<string>>("answers", Answers);
        if (instructions.Count == 0) throw new LineException("instructions: expected one for vision, text or both, found none");
        foreach (var modality in instructions.Keys)
        {
            if (!answers.ContainsKey(modality))
                throw new LineException($"answers.{NameOf(modality)}: expected at least one, since there is an instruction for it");
        }
        var sample = new ConflictSample
        {
            Id = Text("id") is { Length: > 0 } id ? id : throw new LineException("id: expected a string, found nothing"),
            Question = Text("question") is { Length: > 0 } question
                ? question : throw new LineException("question: expected a string, found nothing"),
            Image = Text("image") is { } image ? Picture(folder, image) : null,
            TextContext = Text("text_context"),
            Instructions = instructions,
            Answers = answers,
            Constraint = Text("constraint"),
            System = Text("system"),
            Category = Text("category") ?? "",
            Kind = Kind(),
            Donors = Donors(),
            Tags = Tags(),
        };
        Check(sample);
        return sample;
    }

    /// <summary>Checks what every sample must have, whatever its source.</summary>
    public static void Check(ConflictSample sample)
    {
        if (sample.Kind != SampleKind.TextOnly && sample.Image is null) throw new LineException("image: expected a picture, found nothing");
        if (sample.Kind != SampleKind.ImageOnly && string.IsNullOrEmpty(sample.TextContext))
            throw new LineException("text_context: expected a string, found nothing");
        if (sample.Kind != SampleKind.Conflict) return;
        foreach (var modality in Enum.GetValues<Modality>())
        {
            if (!sample.Instructions.ContainsKey(modality))
                throw new LineException($"instructions.{NameOf(modality)}: a conflict needs an instruction for each side; what follows one "
                    + "side only is of kind agree, image_only or text_only");
            if (!sample.Answers.ContainsKey(modality))
                throw new LineException($"answers.{NameOf(modality)}: a conflict needs an answer for each side");
        }
        if (sample.Instructions[Modality.Vision].Trim() == sample.Instructions[Modality.Text].Trim())
            throw new LineException("instructions: expected one for each side, found the same one twice");
        var shared = sample.Answers[Modality.Vision].Select(a => a.Trim().ToLowerInvariant())
            .Intersect(sample.Answers[Modality.Text].Select(a => a.Trim().ToLowerInvariant())).FirstOrDefault();
        if (shared is not null) throw new LineException($"answers: \"{shared}\" is on both sides, so there is no conflict");
    }

    private Dictionary<Modality, T> ByModality<T>(string field, Func<JsonElement, T> read)
    {
        if (!_json.TryGetProperty(field, out var json) || json.ValueKind != JsonValueKind.Object)
            throw new LineException($"{field}: expected an object with vision and text, found {Found(field)}");
        var found = new Dictionary<Modality, T>();
        foreach (var property in json.EnumerateObject())
        {
            var modality = property.Name switch
            {
                "vision" => Modality.Vision,
                "text" => Modality.Text,
                _ =>
                    throw new LineException($"{field}: expected vision and text, "
                        + $"found {Quoted.Line(property.Name)}{Nearest.Hint(property.Name, ["vision", "text"])}"),
            };
            if (property.Value.ValueKind != JsonValueKind.Null) found[modality] = read(property.Value);
        }
        return found;
    }

    private static string[] Answers(JsonElement json)
    {
        var answers = json.ValueKind switch
        {
            JsonValueKind.String => [json.GetString()!],
            JsonValueKind.Array =>
                json.EnumerateArray().Select(
                    a => a.ValueKind == JsonValueKind.String ? a.GetString()! : throw new LineException("answers: expected strings"))
                    .ToArray(),
            _ => throw new LineException($"answers: expected a string or a list, found {JsonKind.Of(json)}"),
        };
        return answers.Length > 0 && answers.All(a => a.Trim().Length > 0)
            ? answers : throw new LineException("answers: expected at least one, none of them empty");
    }

    private SampleKind Kind() => Text("kind") switch
    {
        null or "conflict" => SampleKind.Conflict,
        "agree" => SampleKind.Agree,
        "image_only" => SampleKind.ImageOnly,
        "text_only" => SampleKind.TextOnly,
        var other => throw new LineException($"kind: expected conflict, agree, image_only or text_only, found {other}"),
    };

    /// <summary>
    /// Reads the donors. <see cref="ConflictSet"/> checks factors and ids, because all ids are known only after the last line.
    /// </summary>
    private Dictionary<string, string> Donors()
    {
        var donors = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!_json.TryGetProperty("donors", out var json) || json.ValueKind == JsonValueKind.Null) return donors;
        if (json.ValueKind != JsonValueKind.Object)
            throw new LineException($"donors: expected an object of ids, found {JsonKind.Of(json)}");
        foreach (var property in json.EnumerateObject())
        {
            donors[property.Name] = property.Value.ValueKind == JsonValueKind.String
                ? property.Value.GetString()!
                : throw new LineException($"donors.{property.Name}: expected the id of a sample, found {JsonKind.Of(property.Value)}");
        }
        return donors;
    }

    private string[] Tags()
    {
        if (!_json.TryGetProperty("tags", out var tags) || tags.ValueKind == JsonValueKind.Null) return [];
        if (tags.ValueKind != JsonValueKind.Array) throw new LineException($"tags: expected a list of strings, found {JsonKind.Of(tags)}");
        return [.. tags.EnumerateArray().Select((t, i) => t.ValueKind == JsonValueKind.String
            ? t.GetString()!
            : throw new LineException($"tags[{i}]: expected a string, found {JsonKind.Of(t)}"))];
    }

    private string? Text(string field)
    {
        if (!_json.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.String
            ? value.GetString() : throw new LineException($"{field}: expected a string, found {JsonKind.Of(value)}");
    }

    private string Found(string field) => _json.TryGetProperty(field, out var value) ? JsonKind.Of(value) : "nothing";

    private static string Picture(string folder, string name)
    {
        var path = Path.GetFullPath(Path.Combine(folder, name));
        if (!File.Exists(path)) throw new LineException($"image: there is no file {name}");
        return path;
    }
}
