using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Prompts;

namespace AnchorScope.Interventions;

/// <summary>Reads one edit of an edits file.</summary>
internal sealed class EditReader(JsonElement json, string file, string path, DonorFiles donors)
{
    public IEnumerable<Edit> Read()
    {
        if (json.ValueKind != JsonValueKind.Object) throw Wrong("", "an object", JsonKind.Of(json));
        var kind = json.TryGetProperty("kind", out var k) && k.ValueKind == JsonValueKind.String
            ? k.GetString()! : throw Wrong("kind", string.Join(", ", InterventionJson.Kinds.Keys), "nothing");
        if (!InterventionJson.Kinds.TryGetValue(kind, out var fields))
            throw Wrong("kind", string.Join(", ", InterventionJson.Kinds.Keys), kind + Nearest.Hint(kind, InterventionJson.Kinds.Keys));
        foreach (var property in json.EnumerateObject())
        {
            if (property.Name != "kind" && !fields.Contains(property.Name))
                throw Wrong(property.Name, $"only {string.Join(", ", fields)} in {kind}",
                    $"this field{Nearest.Hint(property.Name, fields)}");
        }
        var positions = At("positions");
        switch (kind)
        {
            case "attention_cut":
                var (queries, keys, heads) = (At("queries"), At("keys"), Ints("heads"));
                return Layers().Select(
                    layer => new Edit(Site.AttnScores, layer, Operation.Set) { Positions = queries, Keys = keys, Heads = heads });
            case "attention_boost":
                return Boost();
            case "head_scale":
                return [new Edit(Site.HeadOut, Int("layer"), Operation.Scale)
                    { Heads = OneOrMany("head", "heads"), Components = Ints("components"), Positions = positions, Factor = Scale() }];
            case "sublayer_scale":
                var sublayer = Text("sublayer");
                var site = sublayer switch
                {
                    "attention" => Site.AttnOut,
                    "mlp" => Site.MlpOut,
                    _ => throw Wrong("sublayer", "attention or mlp", sublayer),
                };
                return [new Edit(site, Int("layer"), Operation.Scale) { Positions = positions, Factor = Scale() }];
            case "neuron_scale":
                return [new Edit(Site.NeuronOut, Int("layer"), Operation.Scale)
                    { Components = OneOrMany("neuron", "neurons"), Positions = positions, Factor = Scale() }];
            case "head_interchange":
                return HeadInterchange(positions);
            case "interchange":
                return [Interchange(positions)];
            case "edge_interchange":
                return EdgeInterchange();
            case "steer":
                return [new Edit(SteeredSite(), Int("layer"), Operation.Add) { Positions = positions, Heads = Ints("heads"),
                    Factor = Strength(), Vector = Steered(), Rows = RowsIfPresent(positions) }];
            case "direction":
                return Directed();
            case "edit":
                return [AnyEdit(positions)];
            default:
                var name = Text("site");
                var patched = SiteNames.Parse(name) is { } s && s != Site.AttnScores && (s != Site.AttnPattern || Present("rows"))
                    ? s : throw Wrong("site", "a site that can be patched", name);
                return [new Edit(patched, Int("layer"), Operation.Set) { Positions = positions, Heads = Ints("heads"),
                    Components = Ints("neurons"), Vector = VectorUnlessRows(), Rows = RowsIfPresent(positions) }];
        }
    }

    /// <summary>Reads an edit field by field. As with every other kind, the caller validates it against the model.</summary>
    private Edit AnyEdit(Positions positions)
    {
        var (name, operation) = (Text("site"), Text("operation"));
        var site = SiteNames.Parse(name) ?? throw Wrong("site", $"one of {string.Join(", ", SiteNames.All)}",
            name + Nearest.Hint(name, SiteNames.All));
        var keys = At("keys");
        var edge = site is Site.Key or Site.Value && !keys.IsAll;
        if (Present("vector") && Present("rows")) throw Wrong("rows", "either vector or rows", "both");
        var edit = new Edit(site, Int("layer"), EnumName.Parse<Operation>($"{file}: {path}.operation", operation))
        {
            Positions = positions,
            Keys = keys,
            Heads = Ints("heads"),
            Components = Ints("neurons"),
            Factor = Number("factor", 1f),
            Vector = Present("vector") ? Vector() : null,
            Rows = !Present("rows") ? null
                : (edge ? keys : positions).IsAll
                ? throw Wrong(edge ? "keys" : "positions", "a list of positions, since there is a row for each", "all")
                : WrittenRows(edge ? "keys" : "positions", edge ? keys : positions),
        };
        // Whether the edit has an effect can also depend on the length of the prompt; that is validated later.
        return edit.Idle(int.MaxValue) is { } why ? throw Wrong("", "an edit that does something", why) : edit;
    }

    private float[]? VectorUnlessRows() =>
        Present("rows") ? Present("vector") ? throw Wrong("rows", "either vector or rows", "both") : null : Vector();

    private DonorRows? RowsIfPresent(Positions positions)
    {
        if (!Present("rows")) return null;
        return positions.IsAll
            ? throw Wrong("positions", "a list of positions, since there is a row for each", "all") : WrittenRows("positions", positions);
    }

    private int[] Layers() => Ints("layers") is not { } layers ? throw Wrong("layers", "a list of layers", Found("layers"))
        : layers.Length == 0 ? throw Wrong("layers", "at least one layer", "an empty list")
        : layers.Distinct().Count() < layers.Length ? throw Wrong("layers", "each layer once", "one twice") : layers;

    private IEnumerable<Edit> Boost()
    {
        var (queries, keys, heads, added) = (At("queries"), At("keys"), Ints("heads"), Number("add", null));
        if (added == 0) throw Wrong("add", "a number other than 0: adding 0 does nothing", "0");
        return [.. Layers().Select(
            layer => new Edit(Site.AttnScores, layer, Operation.Add) { Positions = queries, Keys = keys, Heads = heads, Factor = added })];
    }

    private IReadOnlyList<Edit> Directed()
    {
        var (directions, name) = (donors.Directions(Text("file"), $"{path}.file"), Text("name"));
        // In double precision, like the bounds.
        if (!json.TryGetProperty("strength", out var given) || given.ValueKind != JsonValueKind.Number
            || !given.TryGetDouble(out var strength))
            throw Wrong("strength", "a finite number", Found("strength"));
        var beyond = Present("beyond_bounds")
            && (json.GetProperty("beyond_bounds") is { ValueKind: JsonValueKind.True or JsonValueKind.False } flag
                ? flag.GetBoolean() : throw Wrong("beyond_bounds", "true or false", Found("beyond_bounds")));
        var direction = directions.Take(name, strength, $"{path}.name", $"{path}.strength", beyond, file);
        if (direction.Parts.All(p => p.Span is null))
            return Present("at") ? throw Wrong("at", "none: this direction acts at every position", "some")
                : direction.At(name, (float)strength, _ => []).Edits;
        if (!Present("at") || json.GetProperty("at").ValueKind != JsonValueKind.Object)
            throw Wrong("at", "positions by span, such as {\"instruction\": [20, 21]}", Found("at"));
        var at = new Dictionary<SpanKind, IReadOnlyList<int>>();
        foreach (var span in json.GetProperty("at").EnumerateObject())
        {
            var spans = direction.Parts.Select(p => p.Span!.Value).Distinct().ToDictionary(EnumName.Of, StringComparer.Ordinal);
            if (!spans.TryGetValue(span.Name, out var kind))
                throw Wrong($"at.{span.Name}", $"spans of {name}: {string.Join(", ", spans.Keys)}", "this one");
            if (span.Value.ValueKind != JsonValueKind.Array || span.Value.GetArrayLength() == 0)
                throw Wrong($"at.{span.Name}", "a list of positions", span.Value.GetRawText());
            int[] positions = [.. span.Value.EnumerateArray()
                .Select(v => Whole(v, out var n) && n >= 0 ? n : throw Wrong($"at.{span.Name}", "positions from 0 on", v.GetRawText()))];
            at[kind] = [.. positions.Distinct().Order()];
        }
        if (at.Count == 0) throw Wrong("at", "at least one span", "none");
        return direction.At(name, (float)strength, span => at.GetValueOrDefault(span, [])).Edits;
    }

    private Site SteeredSite()
    {
        if (!Present("site")) return Site.ResidPost;
        var name = Text("site");
        return SiteNames.Parse(name) is { } site && site is not (Site.AttnScores or Site.AttnPattern)
            ? site : throw Wrong("site", "a site that a vector can be added to", name);
    }

    private IEnumerable<Edit> HeadInterchange(Positions positions)
    {
        var site = InterchangeNames.HeadSite(Text("what")) ?? throw Wrong("what", InterchangeNames.HeadWords, Text("what"));
        if (positions.IsAll) throw Wrong("positions", "a list of positions", "all");
        var heads = HeadPairs();
        if (Present("rows") && heads.Select(h => h.Layer).Distinct().Count() > 1)
            throw Wrong("heads", "heads of one layer beside rows", "several layers");
        return heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(layer =>
        {
            int[] named = [.. layer.Select(h => h.Head)];
            return new Edit(site, layer.Key, Operation.Set)
                { Heads = named, Positions = positions, Rows = Rows(site, layer.Key, "positions", positions, named) };
        }).ToArray();
    }

    private Edit Interchange(Positions positions)
    {
        var name = Text("site");
        var site = SiteNames.Parse(name) is { } s && DonorFile.ArrayOf(s) is not null && InterchangeNames.Of(s, edge: false) is null
            ? s : throw Wrong("site", InterchangeNames.SiteWords, name);
        if (positions.IsAll) throw Wrong("positions", "a list of positions", "all");
        return new Edit(site, Int("layer"), Operation.Set)
            { Positions = positions, Rows = Rows(site, Int("layer"), "positions", positions, null) };
    }

    private IEnumerable<Edit> EdgeInterchange()
    {
        var what = Text("what");
        Site[] sites = what switch
        {
            "key" => [Site.Key],
            "value" => [Site.Value],
            "both" => [Site.Key, Site.Value],
            _ => throw Wrong("what", "key, value or both", what),
        };
        var (queries, keys, heads) = (At("queries"), At("keys"), Ints("heads"));
        if (keys.IsAll) throw Wrong("keys", "a list of positions", "all");
        if (Present("rows") && sites.Length > 1) throw Wrong("what", "key or value beside rows", what);
        return (from layer in Layers()
                from site in sites
                select new Edit(site, layer, Operation.Set)
                    { Positions = queries, Keys = keys, Heads = heads, Rows = Rows(site, layer, "keys", keys, null) }).ToArray();
    }

    /// <summary>The replacement values of an interchange: from a donor's file, or from the field "rows".</summary>
    /// <param name="field">The field with the positions that are replaced.</param>
    private DonorRows Rows(Site site, int layer, string field, Positions positions, IReadOnlyList<int>? heads)
    {
        if (Present("donor") == Present("rows")) throw Wrong("donor", "either donor or rows", Present("donor") ? "both" : "neither");
        if (Present("rows"))
            return Present("donor_positions") ? throw Wrong("donor_positions", "a donor", "rows") : WrittenRows(field, positions);
        int[] from = [.. positions.List];
        if (Ints("donor_positions") is { } given)
            from = [.. Order(field, positions, "donor_positions", given.Length).Select(i => given[i])];
        if (from.Min() < 0) throw Wrong("donor_positions", "positions from 0 on", $"{from.Min()}");
        return donors.Open(Text("donor"), $"{path}.donor").Rows(site, layer, from, heads);
    }

    private DonorRows WrittenRows(string field, Positions positions)
    {
        var written = json.GetProperty("rows");
        if (written.ValueKind != JsonValueKind.Array || written.GetArrayLength() == 0)
            throw Wrong("rows", "a list of lists of numbers", Found("rows"));
        float[][] rows = [
            .. written.EnumerateArray().Select(
                row => row.ValueKind == JsonValueKind.Array && row.GetArrayLength() > 0
                    ? Numbers("rows", row) : throw Wrong("rows", "a list of lists of numbers", Found("rows")))];
        if (rows.Any(row => row.Length != rows[0].Length)) throw Wrong("rows", "rows of one width", "several widths");
        return new DonorRows([.. Order(field, positions, "rows", rows.Length).SelectMany(i => rows[i])], rows.Length);
    }

    /// <summary>
    /// For each position in ascending order, the index of its entry in a list that is written in the same order as the positions.
    /// </summary>
    private IEnumerable<int> Order(string field, Positions positions, string along, int count)
    {
        var written = Ints(field)!;
        if (positions.List.Count != written.Length) throw Wrong(field, $"each position once beside {along}", "one twice");
        if (count != written.Length) throw Wrong(along, $"{written.Length}, one for each of {field}", $"{count}");
        return Enumerable.Range(0, count).OrderBy(i => written[i]);
    }

    private (int Layer, int Head)[] HeadPairs()
    {
        (int, int) Pair(JsonElement v) =>
            v.ValueKind == JsonValueKind.Array && v.GetArrayLength() == 2 && Whole(v[0], out var layer) && Whole(v[1], out var head)
                ? (layer, head)
                : throw Wrong("heads", "pairs [layer, head]", v.GetRawText());
        if (!json.TryGetProperty("heads", out var value) || value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
            throw Wrong("heads", "a list of pairs [layer, head]", Found("heads"));
        (int, int)[] pairs = [.. value.EnumerateArray().Select(Pair)];
        return pairs.Distinct().Count() == pairs.Length ? pairs : throw Wrong("heads", "each head once", "one twice");
    }

    private int[]? OneOrMany(string one, string many)
    {
        if (!Present(one)) return Ints(many);
        return Present(many) ? throw Wrong(many, $"either {one} or {many}", "both") : [Int(one)];
    }

    private bool Present(string field) => json.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null;

    private static bool Whole(JsonElement value, out int number)
    {
        number = 0;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out number);
    }

    private int Int(string field) => json.TryGetProperty(field, out var value) && Whole(value, out var number)
        ? number
        : throw Wrong(field, "a whole number", Found(field));

    private string Text(string field) => json.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String
        ? value.GetString()! : throw Wrong(field, "a string", Found(field));

    /// <summary>The factor of a scale edit.</summary>
    private float Scale() => Number("factor", null) is var factor && factor != 1
        ? factor : throw Wrong("factor", "a number other than 1: times 1 does nothing", "1");

    private float Strength() => Number("factor", 1f) is var factor && factor != 0
        ? factor : throw Wrong("factor", "a number other than 0: adding 0 times a vector does nothing", "0");

    /// <summary>The vector of an add edit.</summary>
    private float[]? Steered() => VectorUnlessRows() is { } vector && Array.TrueForAll(vector, x => x == 0)
        ? throw Wrong("vector", "a number other than 0: adding nothing does nothing", "zeros only")
        : VectorUnlessRows();

    private float Number(string field, float? otherwise)
    {
        if (otherwise is { } f && !Present(field)) return f;
        return json.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out var number)
            && float.IsFinite(number)
            ? number
            : throw Wrong(field, "a finite number", Found(field));
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
        return [.. value.EnumerateArray().Select(v => Whole(v, out var n) ? n : throw Wrong(field, "whole numbers", v.GetRawText()))];
    }

    private float[] Vector()
    {
        if (!Present("vector") || json.GetProperty("vector").ValueKind != JsonValueKind.Array)
            throw Wrong("vector", "a list of numbers", Found("vector"));
        return Numbers("vector", json.GetProperty("vector"));
    }

    private float[] Numbers(string field, JsonElement list) =>
        [.. list.EnumerateArray().Select(
            v => v.ValueKind == JsonValueKind.Number && v.TryGetSingle(out var n) && float.IsFinite(n)
                ? n : throw Wrong(field, "finite numbers", v.GetRawText()))];

    private string Found(string field)
    {
        if (!json.TryGetProperty(field, out var value)) return "nothing";
        var text = value.GetRawText();
        return text.Length > 40 ? text[..40] + "…" : text;
    }

    private InputException Wrong(string field, string expected, string found) =>
        InputException.At(file, field.Length == 0 ? path : $"{path}.{field}", expected, found);
}
