using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Interventions;

/// <summary>
/// Interventions as JSON: a list of edits, or <c>{"version": 2, "name": …, "edits": [ … ]}</c>. The schema is
/// docs/schemas/edits.schema.json. Every intervention that passes <see cref="Intervention.Validate"/> can be written, and reading it gives
/// an equal intervention.
/// </summary>
public static class InterventionJson
{
    /// <summary>
    /// Newest version of the format: the first with the kind "edit", which represents any edit by its fields. Version 1 can be read too.
    /// </summary>
    public const int Version = 2;

    private const string AnyEdit = "edit";

    /// <summary>Fields of each kind of edit.</summary>
    internal static readonly Dictionary<string, string[]> Kinds = new(StringComparer.Ordinal)
    {
        ["attention_cut"] = ["layers", "queries", "keys", "heads"],
        ["attention_boost"] = ["layers", "queries", "keys", "heads", "add"],
        ["head_scale"] = ["layer", "head", "heads", "components", "positions", "factor"],
        ["sublayer_scale"] = ["layer", "sublayer", "positions", "factor"],
        ["neuron_scale"] = ["layer", "neuron", "neurons", "positions", "factor"],
        ["steer"] = ["site", "layer", "heads", "positions", "vector", "rows", "factor"],
        ["direction"] = ["file", "name", "strength", "beyond_bounds", "at"],
        ["patch"] = ["site", "layer", "heads", "neurons", "positions", "vector", "rows"],
        ["head_interchange"] = ["what", "heads", "positions", "donor", "donor_positions", "rows"],
        ["interchange"] = ["site", "layer", "positions", "donor", "donor_positions", "rows"],
        ["edge_interchange"] = ["what", "layers", "heads", "queries", "keys", "donor", "donor_positions", "rows"],
        [AnyEdit] = ["site", "layer", "operation", "heads", "neurons", "positions", "keys", "factor", "vector", "rows"],
    };

    /// <summary>Reads a file. Anything that is not understood is an error that names the edit and the field.</summary>
    /// <param name="shape">Sizes of the model; required if an edit takes values from a file.</param>
    /// <param name="model">The model; a direction must have been fitted on it. Null: not checked.</param>
    /// <exception cref="InputException">The file is missing or invalid.</exception>
    public static Intervention Load(string path, DecoderShape? shape = null, ModelIdentity? model = null) =>
        Read(StrictJson.Read(path), path, shape, model);

    /// <summary>Reads a file with a JSON list of interventions, each in the versioned format and with a different name.</summary>
    /// <param name="shape">Sizes of the model; required if an edit takes values from a file.</param>
    /// <param name="model">The model; a direction must have been fitted on it. Null: not checked.</param>
    /// <exception cref="InputException">The file is missing or invalid.</exception>
    public static IReadOnlyList<Intervention> LoadList(string path, DecoderShape? shape = null, ModelIdentity? model = null)
    {
        var json = StrictJson.Read(path);
        if (json.ValueKind != JsonValueKind.Array) throw InputException.At(path, "list", "a JSON list of interventions", JsonKind.Of(json));
        Intervention[] list = [.. json.EnumerateArray().Select((item, i) => item.ValueKind == JsonValueKind.Object
            ? Read(item, path, shape, model, $"[{i}].")
            : throw InputException.At(path, $"[{i}]", "an intervention, {\"version\": 1, \"name\": …, \"edits\": […]}",
                JsonKind.Of(item)))];
        if (list.Length == 0) throw InputException.At(path, "list", "at least one intervention", "none");
        return list.GroupBy(i => i.Name).FirstOrDefault(g => g.Count() > 1) is { } same
            ? throw InputException.At(path, "name", "another one for each intervention", $"{same.Count()} called {Quoted.Of(same.Key)}")
            : list;
    }

    /// <summary>Reads JSON text.</summary>
    /// <param name="json">UTF-8 text.</param>
    /// <param name="file">Path, for messages; other files are found relative to its folder.</param>
    /// <param name="shape">Sizes of the model; required if an edit takes values from a file.</param>
    /// <param name="model">The model; a direction must have been fitted on it. Null: not checked.</param>
    /// <exception cref="InputException">The text is invalid.</exception>
    public static Intervention Parse(ReadOnlyMemory<byte> json, string file, DecoderShape? shape = null, ModelIdentity? model = null) =>
        Read(StrictJson.Parse(json.Span, file), file, shape, model);

    /// <summary>
    /// The versioned format, as UTF-8 JSON: version 1 if its kinds can represent every edit, so that older releases can read it, otherwise
    /// version 2.
    /// </summary>
    public static byte[] Write(Intervention intervention)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteNumber("version", intervention.Edits.All(edit => KindOf(edit) != AnyEdit) ? 1 : Version);
            writer.WriteString("name", intervention.Name);
            writer.WriteStartArray("edits");
            foreach (var edit in intervention.Edits) Write(writer, edit);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static Intervention Read(JsonElement root, string file, DecoderShape? shape, ModelIdentity? model, string place = "")
    {
        var (name, isFirst) = (Path.GetFileName(file), false);
        if (root.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in root.EnumerateObject())
            {
                if (property.Name is not ("version" or "name" or "edits" or "$schema"))
                    throw InputException.At(file, place + property.Name, "version, name and edits only",
                        $"an unknown field{Nearest.Hint(property.Name, ["version", "name", "edits"])}");
            }
            if (!root.TryGetProperty("version", out var version) || version.ValueKind != JsonValueKind.Number
                || !version.TryGetInt32(out var number) || number is < 1 or > Version)
                throw InputException.At(file, place + "version", $"1 to {Version}",
                    root.TryGetProperty("version", out version) ? version.GetRawText() : "nothing");
            isFirst = number == 1;
            if (root.TryGetProperty("name", out var given))
                name = given.ValueKind == JsonValueKind.String
                    ? given.GetString()! : throw InputException.At(file, place + "name", "a string", JsonKind.Of(given));
            if (!root.TryGetProperty("edits", out root)) throw InputException.At(file, place + "edits", "a list of edits", "nothing");
        }
        if (root.ValueKind != JsonValueKind.Array) throw InputException.At(file, place + "edits", "a list of edits", JsonKind.Of(root));
        if (isFirst && root.EnumerateArray().Any(
            edit => edit.ValueKind == JsonValueKind.Object && edit.TryGetProperty("kind", out var kind) && kind.ValueEquals(AnyEdit)))
            throw InputException.At(file, place + "version", $"2, the first that has the kind {AnyEdit}", "1");
        if (root.GetArrayLength() == 0) throw InputException.At(file, place + "edits", "at least one edit", "none");
        using var donors = new DonorFiles(file, shape, model);
        var edits = root.EnumerateArray().SelectMany((json, i) => new EditReader(json, file, $"{place}edits[{i}]", donors).Read())
            .ToArray();
        return new Intervention(name, edits);
    }

    private static void Write(Utf8JsonWriter writer, Edit edit)
    {
        writer.WriteStartObject();
        var kind = KindOf(edit);
        writer.WriteString("kind", kind);
        switch (kind)
        {
            case "edge_interchange" or "interchange" or "head_interchange":
                WriteInterchange(writer, edit);
                break;
            case "attention_cut" or "attention_boost":
                if (edit.Operation == Operation.Add) writer.WriteNumber("add", edit.Factor);
                Write(writer, "layers", [edit.Layer]);
                Write(writer, "queries", edit.Positions.IsAll ? null : edit.Positions.List);
                Write(writer, "keys", edit.Keys.IsAll ? null : edit.Keys.List);
                Write(writer, "heads", edit.Heads);
                break;
            case "head_scale":
                WriteCommon(writer, edit);
                Write(writer, "heads", edit.Heads);
                if (edit.Components is not null) Write(writer, "components", edit.Components);
                break;
            case "sublayer_scale":
                writer.WriteString("sublayer", edit.Site == Site.AttnOut ? "attention" : "mlp");
                WriteCommon(writer, edit);
                break;
            case "neuron_scale":
                WriteCommon(writer, edit);
                Write(writer, "neurons", edit.Components);
                break;
            case "steer":
                if (edit.Site != Site.ResidPost) writer.WriteString("site", SiteNames.Of(edit.Site));
                WriteCommon(writer, edit);
                if (edit.Heads is not null) Write(writer, "heads", edit.Heads);
                WriteValues(writer, edit);
                break;
            case "patch":
                writer.WriteString("site", SiteNames.Of(edit.Site));
                writer.WriteNumber("layer", edit.Layer);
                Write(writer, "positions", edit.Positions.IsAll ? null : edit.Positions.List);
                if (edit.Heads is not null) Write(writer, "heads", edit.Heads);
                if (edit.Components is not null) Write(writer, "neurons", edit.Components);
                WriteValues(writer, edit);
                break;
            default:
                WriteFields(writer, edit);
                break;
        }
        writer.WriteEndObject();
    }

    /// <summary>The kind that represents an edit completely; "edit" if no other does.</summary>
    private static string KindOf(Edit edit) => (edit.Site, edit.Operation) switch
    {
        (_, Operation.Set) when InterchangeNames.HasKind(edit) =>
            edit.IsEdge ? "edge_interchange" : InterchangeNames.Of(edit.Site, edge: false) is null ? "interchange" : "head_interchange",
        (Site.AttnScores, Operation.Set) => "attention_cut",
        (Site.AttnScores, Operation.Add) => "attention_boost",
        (Site.HeadOut, Operation.Scale) => "head_scale",
        (Site.AttnOut or Site.MlpOut, Operation.Scale) => "sublayer_scale",
        (Site.NeuronOut, Operation.Scale) => "neuron_scale",
        (not Site.AttnScores, Operation.Add) when edit.Components is null => "steer",
        (_, Operation.Set) => "patch",
        _ => AnyEdit,
    };

    /// <summary>Writes an edit field by field. Fields that mean "all" are left out.</summary>
    private static void WriteFields(Utf8JsonWriter writer, Edit edit)
    {
        writer.WriteString("site", SiteNames.Of(edit.Site));
        writer.WriteNumber("layer", edit.Layer);
        writer.WriteString("operation", EnumName.Of(edit.Operation));
        if (edit.Heads is not null) Write(writer, "heads", edit.Heads);
        if (edit.Components is not null) Write(writer, "neurons", edit.Components);
        if (!edit.Positions.IsAll) Write(writer, "positions", edit.Positions.List);
        if (!edit.Keys.IsAll) Write(writer, "keys", edit.Keys.List);
        writer.WriteNumber("factor", edit.Factor);
        if (edit.Vector is not null || edit.Rows is not null) WriteValues(writer, edit);
    }

    private static void WriteInterchange(Utf8JsonWriter writer, Edit edit)
    {
        var what = InterchangeNames.Of(edit.Site, edit.IsEdge);
        if (what is null) writer.WriteString("site", SiteNames.Of(edit.Site));
        else writer.WriteString("what", what);
        if (edit.IsEdge)
        {
            Write(writer, "layers", [edit.Layer]);
            Write(writer, "heads", edit.Heads);
            Write(writer, "queries", edit.Positions.IsAll ? null : edit.Positions.List);
            Write(writer, "keys", edit.Keys.List);
        }
        else if (what is null)
        {
            writer.WriteNumber("layer", edit.Layer);
            Write(writer, "positions", edit.Positions.List);
        }
        else
        {
            writer.WriteStartArray("heads");
            foreach (var head in edit.Heads!)
            {
                writer.WriteStartArray();
                writer.WriteNumberValue(edit.Layer);
                writer.WriteNumberValue(head);
                writer.WriteEndArray();
            }
            writer.WriteEndArray();
            Write(writer, "positions", edit.Positions.List);
        }
        WriteValues(writer, edit);
    }

    private static void WriteCommon(Utf8JsonWriter writer, Edit edit)
    {
        writer.WriteNumber("layer", edit.Layer);
        Write(writer, "positions", edit.Positions.IsAll ? null : edit.Positions.List);
        writer.WriteNumber("factor", edit.Factor);
    }

    private static void WriteValues(Utf8JsonWriter writer, Edit edit)
    {
        if (edit.Rows is not { } rows)
        {
            writer.WriteStartArray("vector");
            foreach (var value in edit.Vector ?? []) writer.WriteNumberValue(value);
            writer.WriteEndArray();
            return;
        }
        writer.WriteStartArray("rows");
        for (var i = 0; i < rows.Count; i++)
        {
            writer.WriteStartArray();
            foreach (var value in rows[i]) writer.WriteNumberValue(value);
            writer.WriteEndArray();
        }
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
}
