using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Tests.Models;

/// <summary>What the reference library computed for one case of a fixture: arrays, and the manifest with its interventions.</summary>
internal sealed class Golden : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly JsonDocument _manifest;

    private Golden(string name, string @case)
    {
        if (name == "internvl3-remote") name = "internvl3";
        _file = SafetensorsFile.Open(Fixtures.Path(name, "golden", @case + ".safetensors"));
        _manifest = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path(name, "golden", @case + ".json")));
    }

    public static Golden Open(string name, string @case) => new(name, @case);

    public JsonElement Manifest => _manifest.RootElement;

    public IEnumerable<string> Names => _file.Tensors.Keys;

    public int[] ImagePositions => [.. Manifest.GetProperty("image_positions").EnumerateArray().Select(v => v.GetInt32())];

    public PixelInputs Inputs => new(
        "golden", Singles("inputs.pixel_values"), Shape("inputs.pixel_values"),
        Has("inputs.image_grid_thw") ? _file.ReadInt64s("inputs.image_grid_thw") : null,
        Has("inputs.image_sizes") ? _file.ReadInt64s("inputs.image_sizes") : null);

    public long[]? Inputs64(string name) => Has("inputs." + name) ? _file.ReadInt64s("inputs." + name) : null;

    public bool Has(string name) => _file.Tensors.ContainsKey(name);

    public float[] Singles(string name) => _file.ReadSingles(name);

    public int[] Ints(string name) => [.. _file.ReadInt64s(name).Select(v => (int)v)];

    public long[] Shape(string name) => _file.Entry(name).Shape;

    /// <summary>The manifest's interventions converted to ours.</summary>
    public IEnumerable<Intervention> Interventions()
    {
        foreach (var property in Manifest.GetProperty("interventions").EnumerateObject())
        {
            var json = property.Value;
            yield return json.GetProperty("type").GetString() == "knockout"
                ? Intervention.Knockout(property.Name, Ints(json, "layers")!, Positions.Of(Ints(json, "Q")!),
                    Positions.Of(Ints(json, "K")!), Ints(json, "heads"))
                : Intervention.HeadGain(
                    property.Name, json.GetProperty("pairs").EnumerateArray().Select(p => (p[0].GetInt32(), p[1].GetInt32())),
                    json.GetProperty("factor").GetSingle(), Ints(json, "positions") is { } at ? Positions.Of(at) : null);
        }
    }

    private static int[]? Ints(JsonElement json, string field) =>
        json.GetProperty(field) is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray().Select(v => v.GetInt32())] : null;

    public void Dispose()
    {
        _file.Dispose();
        _manifest.Dispose();
    }
}
