using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>
/// One case of the golden files: arrays in a safetensors file and, optionally, a JSON manifest with the same name next to it.
/// </summary>
internal sealed class ParityGolden : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly ConfigSection? _manifest;

    public ParityGolden(string path)
    {
        _file = SafetensorsFile.Open(path);
        var manifest = Path.ChangeExtension(path, ".json");
        try
        {
            if (File.Exists(manifest)) _manifest = ConfigSection.Load(manifest);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
        (Name, Folder) = (Path.GetFileNameWithoutExtension(path), Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    public string Name { get; }

    public string Folder { get; }

    public IEnumerable<string> Names => _file.Tensors.Keys;

    public bool Has(string name) => _file.Tensors.ContainsKey(name);

    public float[] Singles(string name) => _file.ReadSingles(name);

    public long[] Shape(string name) => _file.Entry(name).Shape;

    public int[] Tokens(string name) =>
        [.. _file.ReadInt64s(name).Select(
            id => id is >= 0 and <= int.MaxValue ? (int)id : throw InputException.At(_file.Path, name, "token ids", $"{id}"))];

    public long[]? Integers(string name) => Has(name) ? _file.ReadInt64s(name) : null;

    public PixelInputs? Pixels => Has("inputs.pixel_values")
        ? new PixelInputs(_file.Path, Singles("inputs.pixel_values"), Shape("inputs.pixel_values"), Integers("inputs.image_grid_thw"),
            Integers("inputs.image_sizes"))
        : null;

    /// <summary>The rendered prompt, or null.</summary>
    public string? Prompt => _manifest?.Has("prompt") == true ? _manifest.Text("prompt") : null;

    /// <summary>The messages as JSON, or null.</summary>
    public string? Messages => _manifest?.Has("messages") == true ? _manifest.Json.GetProperty("messages").GetRawText() : null;

    /// <summary>Picture files in the folder of the case.</summary>
    public IReadOnlyList<string> Pictures => _manifest?.Has("images") == true
        ? [.. _manifest.Json.GetProperty("images").EnumerateArray()
            .Select(f => Path.Combine(Folder, Path.GetFileName(f.GetString() ?? "")))]
        : [];

    /// <summary>Interventions whose logits are among the arrays, as <c>iv.NAME.logits</c>.</summary>
    public IReadOnlyList<Intervention> Interventions()
    {
        if (_manifest?.SectionOrNull("interventions") is not { } section) return [];
        var found = new List<Intervention>();
        foreach (var property in section.Json.EnumerateObject().Where(p => Has($"iv.{p.Name}.logits")))
        {
            var one = section.Section(property.Name);
            found.Add(one.Text("type") == "knockout"
                ? Intervention.Knockout(property.Name, one.Ints("layers"), Positions.Of([.. one.Ints("Q")]),
                    Positions.Of([.. one.Ints("K")]), All(one, "heads") ? null : [.. one.Ints("heads")])
                : Intervention.HeadGain(property.Name, one.Pairs(), (float)one.Number("factor"),
                    All(one, "positions") ? null : Positions.Of([.. one.Ints("positions")])));
        }
        return found;
    }

    private static bool All(ConfigSection section, string key) =>
        !section.Has(key) || section.Json.GetProperty(key).ValueKind == JsonValueKind.String;

    public void Dispose() => _file.Dispose();
}

file static class PairReading
{
    /// <summary>Layer and head of each pair.</summary>
    public static IReadOnlyList<(int Layer, int Head)> Pairs(this ConfigSection section)
    {
        if (!section.Has("pairs") || section.Json.GetProperty("pairs").ValueKind != JsonValueKind.Array)
            throw InputException.At(section.File, $"{section.Path}.pairs", "a list of [layer, head]", "nothing");
        return [.. section.Json.GetProperty("pairs").EnumerateArray()
            .Select(
                p => p.ValueKind == JsonValueKind.Array && p.GetArrayLength() == 2 && p[0].TryGetInt32(out var layer)
                    && p[1].TryGetInt32(out var head)
                    ? (layer, head)
                    : throw InputException.At(section.File, $"{section.Path}.pairs", "a list of [layer, head]", p.GetRawText()))];
    }
}
