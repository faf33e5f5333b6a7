using System.Text.Json;

namespace AnchorScope.Interventions;

/// <summary>
/// Interventions as JSON: a list of edits, or <c>{"version": 1, "name": …, "edits": [ … ]}</c>. The schema is docs/schemas/edits.schema.json.
/// </summary>
public static class InterventionJson
{
    /// <summary>Version of the form that is written.</summary>
    public const int Version = 1;

    private static readonly Dictionary<string, string[]> Kinds = new(StringComparer.Ordinal)
    {
        ["attention_cut"] = ["layers", "queries", "keys", "heads"],
        ["head_scale"] = ["layer", "head", "heads", "components", "positions", "factor"],
        ["sublayer_scale"] = ["layer", "sublayer", "positions", "factor"],
        ["neuron_scale"] = ["layer", "neuron", "neurons", "positions", "factor"],
        ["steer"] = ["layer", "positions", "vector", "factor"],
        ["patch"] = ["site", "layer", "heads", "neurons", "positions", "vector"],
    };

    private static readonly JsonDocumentOptions Limits = new() { MaxDepth = 16 };

    /// <summary>Reads a file; anything not understood is an error that names the edit and the field.</summary>
    public static Intervention Load(string path)
    {
        try
        {
            return Parse(File.ReadAllBytes(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads a file with a JSON list of interventions, each in the versioned form, no two of one name.</summary>
    public static IReadOnlyList<Intervention> LoadList(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
        try
        {
            using var document = JsonDocument.Parse(bytes, Limits);
            if (document.RootElement.ValueKind != JsonValueKind.Array) throw InputException.At(path, "list", "a JSON list of interventions", document.RootElement.ValueKind.ToString());
            Intervention[] list = [.. document.RootElement.EnumerateArray().Select((json, i) => json.ValueKind == JsonValueKind.Object
                ? Read(json, path, $"[{i}].")
                : throw InputException.At(path, $"[{i}]", "an intervention, {\"version\": 1, \"name\": …, \"edits\": […]}", json.ValueKind.ToString()))];
            if (list.Length == 0) throw InputException.At(path, "list", "at least one intervention", "none");
            if (list.GroupBy(i => i.Name).FirstOrDefault(g => g.Count() > 1) is { } same) throw InputException.At(path, "name", "another one for each intervention", $"{same.Count()} called {Checkpoints.Quoted.Of(same.Key)}");
            return list;
        }
        catch (JsonException e)
        {
            throw new InputException($"{path}: not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>Reads JSON text; <paramref name="file"/> stands in messages.</summary>
    public static Intervention Parse(ReadOnlyMemory<byte> json, string file)
    {
        try
        {
            using var document = JsonDocument.Parse(json, Limits);
            return Read(document.RootElement, file);
        }
        catch (JsonException e)
        {
            throw new InputException($"{file}: not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>The versioned form, as UTF-8 JSON.</summary>
    public static byte[] Write(Intervention intervention)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteNumber("version", Version);
            writer.WriteString("name", intervention.Name);
            writer.WriteStartArray("edits");
            foreach (var edit in intervention.Edits) Write(writer, edit);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static Intervention Read(JsonElement root, string file, string place = "")
    {
        var name = Path.GetFileName(file);
        if (root.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in root.EnumerateObject())
            {
                if (property.Name is not ("version" or "name" or "edits" or "$schema"))
                    throw InputException.At(file, place + property.Name, "version, name and edits only", "an unknown field");
            }
            if (!root.TryGetProperty("version", out var version) || !version.TryGetInt32(out var number) || number != Version)
                throw InputException.At(file, place + "version", $"{Version}", root.TryGetProperty("version", out version) ? version.GetRawText() : "nothing");
            if (root.TryGetProperty("name", out var given) && given.ValueKind == JsonValueKind.String) name = given.GetString()!;
            if (!root.TryGetProperty("edits", out root)) throw InputException.At(file, place + "edits", "a list of edits", "nothing");
        }
        if (root.ValueKind != JsonValueKind.Array) throw InputException.At(file, place + "edits", "a list of edits", root.ValueKind.ToString());
        var edits = root.EnumerateArray().SelectMany((json, i) => new EditReader(json, file, $"{place}edits[{i}]").Read()).ToArray();
        return new Intervention(name, edits);
    }

    private static void Write(Utf8JsonWriter writer, Edit edit)
    {
        writer.WriteStartObject();
        switch (edit.Site, edit.Operation)
        {
            case (Site.AttnScores, _):
                writer.WriteString("kind", "attention_cut");
                Write(writer, "layers", [edit.Layer]);
                Write(writer, "queries", edit.Positions.IsAll ? null : edit.Positions.List);
                Write(writer, "keys", edit.Keys.IsAll ? null : edit.Keys.List);
                Write(writer, "heads", edit.Heads);
                break;
            case (Site.HeadOut, Operation.Scale):
                writer.WriteString("kind", "head_scale");
                WriteCommon(writer, edit);
                Write(writer, "heads", edit.Heads);
                if (edit.Neurons is not null) Write(writer, "components", edit.Neurons);
                break;
            case (Site.AttnOut or Site.MlpOut, Operation.Scale):
                writer.WriteString("kind", "sublayer_scale");
                writer.WriteString("sublayer", edit.Site == Site.AttnOut ? "attention" : "mlp");
                WriteCommon(writer, edit);
                break;
            case (Site.NeuronOut, Operation.Scale):
                writer.WriteString("kind", "neuron_scale");
                WriteCommon(writer, edit);
                Write(writer, "neurons", edit.Neurons);
                break;
            case (Site.ResidPost, Operation.Add):
                writer.WriteString("kind", "steer");
                WriteCommon(writer, edit);
                WriteVector(writer, edit.Vector);
                break;
            case (_, Operation.Set):
                writer.WriteString("kind", "patch");
                writer.WriteString("site", SiteNames.Of(edit.Site));
                writer.WriteNumber("layer", edit.Layer);
                Write(writer, "positions", edit.Positions.IsAll ? null : edit.Positions.List);
                if (edit.Heads is not null) Write(writer, "heads", edit.Heads);
                if (edit.Neurons is not null) Write(writer, "neurons", edit.Neurons);
                WriteVector(writer, edit.Vector);
                break;
            default:
                throw new NotSupportedException($"{edit.Operation} at {SiteNames.Of(edit.Site)} has no JSON form");
        }
        writer.WriteEndObject();
    }

    private static void WriteCommon(Utf8JsonWriter writer, Edit edit)
    {
        writer.WriteNumber("layer", edit.Layer);
        Write(writer, "positions", edit.Positions.IsAll ? null : edit.Positions.List);
        writer.WriteNumber("factor", edit.Factor);
    }

    private static void WriteVector(Utf8JsonWriter writer, float[]? vector)
    {
        writer.WriteStartArray("vector");
        foreach (var value in vector ?? []) writer.WriteNumberValue(value);
        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, string name, IEnumerable<int>? values)
    {
        if (values is null)
        {
            writer.WriteNull(name);
            return;
        }
        writer.WriteStartArray(name);
        foreach (var value in values) writer.WriteNumberValue(value);
        writer.WriteEndArray();
    }

    private sealed class EditReader(JsonElement json, string file, string path)
    {
        public IEnumerable<Edit> Read()
        {
            if (json.ValueKind != JsonValueKind.Object) throw Wrong("", "an object", json.ValueKind.ToString());
            var kind = json.TryGetProperty("kind", out var k) && k.ValueKind == JsonValueKind.String ? k.GetString()! : throw Wrong("kind", string.Join(", ", Kinds.Keys), "nothing");
            if (!Kinds.TryGetValue(kind, out var fields)) throw Wrong("kind", string.Join(", ", Kinds.Keys), kind);
            foreach (var property in json.EnumerateObject())
            {
                if (property.Name != "kind" && !fields.Contains(property.Name)) throw Wrong(property.Name, $"only {string.Join(", ", fields)} in {kind}", "this field");
            }
            var positions = At("positions");
            switch (kind)
            {
                case "attention_cut":
                    var (queries, keys, heads) = (At("queries"), At("keys"), Ints("heads"));
                    return (Ints("layers") ?? throw Wrong("layers", "a list of layers", "nothing"))
                        .Select(layer => new Edit(Site.AttnScores, layer, Operation.Set) { Positions = queries, Keys = keys, Heads = heads });
                case "head_scale":
                    return [new Edit(Site.HeadOut, Int("layer"), Operation.Scale) { Heads = OneOrMany("head", "heads"), Neurons = Ints("components"), Positions = positions, Factor = Factor(null) }];
                case "sublayer_scale":
                    var sublayer = Text("sublayer");
                    var site = sublayer switch { "attention" => Site.AttnOut, "mlp" => Site.MlpOut, _ => throw Wrong("sublayer", "attention or mlp", sublayer) };
                    return [new Edit(site, Int("layer"), Operation.Scale) { Positions = positions, Factor = Factor(null) }];
                case "neuron_scale":
                    return [new Edit(Site.NeuronOut, Int("layer"), Operation.Scale) { Neurons = OneOrMany("neuron", "neurons"), Positions = positions, Factor = Factor(null) }];
                case "steer":
                    return [new Edit(Site.ResidPost, Int("layer"), Operation.Add) { Vector = Vector(), Positions = positions, Factor = Factor(1f) }];
                default:
                    var name = Text("site");
                    var patched = SiteNames.Parse(name) is { } s and not (Site.AttnScores or Site.AttnPattern) ? s : throw Wrong("site", "a site that can be patched", name);
                    return [new Edit(patched, Int("layer"), Operation.Set) { Vector = Vector(), Positions = positions, Heads = Ints("heads"), Neurons = Ints("neurons") }];
            }
        }

        private int[]? OneOrMany(string one, string many)
        {
            if (!Present(one)) return Ints(many);
            return Present(many) ? throw Wrong(many, $"either {one} or {many}", "both") : [Int(one)];
        }

        private bool Present(string field) => json.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null;

        private int Int(string field) => json.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw Wrong(field, "a whole number", Found(field));

        private string Text(string field) => json.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(field, "a string", Found(field));

        private float Factor(float? otherwise)
        {
            if (otherwise is { } f && !Present("factor")) return f;
            return json.TryGetProperty("factor", out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out var factor) && float.IsFinite(factor)
                ? factor
                : throw Wrong("factor", "a finite number", Found("factor"));
        }

        private Positions At(string field)
        {
            if (Ints(field) is not { } list) return Positions.All;
            if (list.Length == 0) throw Wrong(field, "at least one position, or \"all\"", "an empty list");
            return list.Min() < 0 ? throw Wrong(field, "positions from 0 on", $"{list.Min()}") : Positions.Of(list);
        }

        private int[]? Ints(string field)
        {
            if (!Present(field)) return null;
            var value = json.GetProperty(field);
            if (value.ValueKind == JsonValueKind.String && value.ValueEquals("all"u8)) return null;
            if (value.ValueKind != JsonValueKind.Array) throw Wrong(field, "a list of whole numbers, or \"all\"", Found(field));
            return [.. value.EnumerateArray().Select(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out var n) ? n : throw Wrong(field, "whole numbers", v.GetRawText()))];
        }

        private float[] Vector()
        {
            if (!Present("vector") || json.GetProperty("vector").ValueKind != JsonValueKind.Array) throw Wrong("vector", "a list of numbers", Found("vector"));
            return [.. json.GetProperty("vector").EnumerateArray().Select(v => v.ValueKind == JsonValueKind.Number && v.TryGetSingle(out var n) && float.IsFinite(n) ? n : throw Wrong("vector", "finite numbers", v.GetRawText()))];
        }

        private string Found(string field)
        {
            if (!json.TryGetProperty(field, out var value)) return "nothing";
            var text = value.GetRawText();
            return text.Length > 40 ? text[..40] + "…" : text;
        }

        private InputException Wrong(string field, string expected, string found) => InputException.At(file, field.Length == 0 ? path : $"{path}.{field}", expected, found);
    }
}
