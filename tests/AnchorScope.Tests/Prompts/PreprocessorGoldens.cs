using System.Text.Json;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>What the reference's image processors made of the pictures in tests/fixtures.</summary>
internal static class PreprocessorGoldens
{
    /// <summary>Every picture of the sets of tests/fixtures/images.</summary>
    public static TheoryData<string, string> Cases(params string[] sets)
    {
        var cases = new TheoryData<string, string>();
        foreach (var set in sets)
        {
            foreach (var name in new GoldenTensors("images", set + ".safetensors").Names
                .Where(n => n.EndsWith(".u8", StringComparison.Ordinal)))
                cases.Add(set, name[..^3]);
        }
        return cases;
    }

    public static Picture Picture(string name) =>
        AnchorScope.Prompts.Picture.Load(Fixtures.Path("images", name), applyOrientation: false);

    /// <summary>The settings that the set was made with.</summary>
    public static string Config(string set)
    {
        using var manifest = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("images", set + ".json")));
        return manifest.RootElement.GetProperty("config").GetRawText();
    }

    /// <summary>pixel_values from the golden levels: [n, 3, side, side], each through the table of its channel and, for Qwen, each channel
    /// as often as there are temporal slots.</summary>
    public static float[] Values(string set, string name, int slots)
    {
        var goldens = new GoldenTensors("images", set + ".safetensors");
        var shape = goldens.Shape(name + ".u8");
        var levels = goldens.Bytes(name + ".u8");
        var table = goldens.Singles("lut");
        var plane = shape[2] * shape[3];
        var values = Enumerable.Range(0, shape[0] * 3).SelectMany(i => Enumerable.Repeat(i, slots))
            .SelectMany(i => levels.Skip(i * plane).Take(plane).Select(level => table[256 * (i % 3) + level])).ToArray();
        if (goldens.Names.Contains(name + ".pixel_values", StringComparer.Ordinal))
            Assert.Equal(goldens.Singles(name + ".pixel_values"), values);
        return values;
    }

    /// <summary>The pictures of a golden case, in order.</summary>
    public static Picture[] Pictures(string family, string @case)
    {
        using var manifest = JsonDocument.Parse(File.ReadAllText(Fixtures.Path(family, "golden", @case + ".json")));
        return [.. manifest.RootElement.GetProperty("images").EnumerateArray().Select(name =>
            AnchorScope.Prompts.Picture.Load(Fixtures.Path(family, "golden", name.GetString()!), applyOrientation: false))];
    }

    public static GoldenTensors Tensors(string family, string @case) => new(family, "golden", @case + ".safetensors");

    /// <summary>Rows of size_tables.json.</summary>
    public static JsonElement[] Table(string start, int rows)
    {
        using var tables = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("images", "size_tables.json")));
        var table = tables.RootElement.EnumerateObject().Single(p => p.Name.StartsWith(start, StringComparison.Ordinal)).Value;
        JsonElement[] found = [.. table.EnumerateArray().Select(row => row.Clone())];
        Assert.Equal(rows, found.Length);
        return found;
    }

    /// <summary>Loading settings must fail with one line that starts with the file and has the expected text.</summary>
    public static void AssertRefused(Action<string> load, string settings, string expected)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("preprocessor_config.json", settings);
        var message = Assert.Throws<InputException>(() => load(folder.Name)).Message;
        Assert.StartsWith(file + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    /// <summary>Settings with one key changed; null takes the key away.</summary>
    public static string With(string settings, string key, string? value)
    {
        var json = System.Text.Json.Nodes.JsonNode.Parse(settings)!.AsObject();
        json.Remove(key);
        if (value is not null)
            json[key] = System.Text.Json.Nodes.JsonNode.Parse(value);
        return json.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
    }
}
