using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>Fixtures with some keys set and some tensors made over, and what the reference library computes of them
/// (tests/fixtures/variants/make.py).</summary>
internal static class VariantCheckpoints
{
    private static readonly JsonDocument Document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("variants", "variants.json")));

    public static JsonElement Manifest => Document.RootElement;

    public static IEnumerable<string> Names => Manifest.GetProperty("cases").EnumerateArray()
        .Select(c => c.GetProperty("name").GetString()!);

    public static float[] Golden(string name)
    {
        using var file = SafetensorsFile.Open(Fixtures.Path("variants", "variants.safetensors"));
        return file.ReadSingles(name);
    }

    public static JsonElement Case(string name) => Manifest.GetProperty("cases").EnumerateArray()
        .Single(c => c.GetProperty("name").GetString() == name);

    /// <summary>Writes the checkpoint of a case.</summary>
    public static string Write(TempFolder temp, JsonElement @case)
    {
        var name = @case.GetProperty("base").GetString()!;
        var folder = temp.Copy(Fixtures.Path(name), name);
        foreach (var edit in @case.GetProperty("set").EnumerateArray()) Set(folder, edit[0].GetString()!, edit[1].GetString()!, edit[2]
            .GetRawText());
        if (@case.GetProperty("over").GetString() is { } over) MakeOver(folder, over);
        return folder;
    }

    /// <summary>Sets a key of a JSON file, a path with dots.</summary>
    public static void Set(string folder, string file, string path, string json)
    {
        var full = Path.Combine(folder, file);
        var root = File.Exists(full) ? JsonNode.Parse(File.ReadAllText(full))! : new JsonObject();
        var keys = path.Split('.');
        var at = root;
        foreach (var key in keys[..^1]) at = at![key];
        at![keys[^1]] = JsonNode.Parse(json);
        File.WriteAllText(full, root.ToJsonString());
    }

    /// <summary>Values from -1 to 1 that the script writes down the same.</summary>
    public static float[] Pixels(int count) => [.. Enumerable.Range(0, count).Select(i => (float)((long)i * 37 % 255) / 127.5f - 1)];

    /// <summary>The prompt of a case.</summary>
    public static Prompt PromptOf(VisionLanguageModel model, JsonElement @case, Compute compute)
    {
        var (tokens, pixels) = InputsOf(model, @case);
        return model.Prompt(tokens, pixels, model.Engine.On(compute).Features(pixels));
    }

    /// <summary>Token ids and pictures of a case, stored ones or made-up ones.</summary>
    public static (int[] Tokens, PixelValues Pixels) InputsOf(VisionLanguageModel model, JsonElement @case)
    {
        var given = @case.GetProperty("case");
        if (given.ValueKind == JsonValueKind.String)
        {
            using var golden = Models.Golden.Open(@case.GetProperty("base").GetString()!, given.GetString()!);
            return (golden.Ints("inputs.input_ids"), model.Accept(golden.Inputs));
        }
        var tiles = given.GetProperty("tiles").GetInt32();
        var (side, map) = given.TryGetProperty("size", out var size) ? (size.GetInt32(), 9) : (56, given.GetProperty("map").GetInt32());
        long[]? sizes = given.TryGetProperty("image_sizes", out var json) ? [.. json[0].EnumerateArray().Select(v => v.GetInt64())] : null;
        var values = Pixels(tiles * 3 * side * side);
        var pixels = model.Accept(new PixelInputs("made up", values, [1, tiles, 3, side, side], null, sizes));
        return ([50, 51, .. Enumerable.Repeat(model.ImageToken!.Value, 16 + map), 60, 61, 62], pixels);
    }

    private static void MakeOver(string folder, string over)
    {
        var path = Path.Combine(folder, "model.safetensors");
        var tensors = new List<TensorData>();
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (var entry in file.Tensors.Values)
            {
                var (values, shape) = (file.ReadSingles(entry.Name), entry.Shape);
                if (over.EndsWith("features", StringComparison.Ordinal) && entry.Name == "multi_modal_projector.linear_1.weight") (values,
                    shape) = Widened(values, shape, over.Contains("three", StringComparison.Ordinal) ? 3 : 2);
                if (over == "large smolvlm" && entry.Name.EndsWith("position_embedding.weight", StringComparison.Ordinal)) (values,
                    shape) = Placed(values, shape);
                if (over == "large smolvlm" && entry.Name.EndsWith("modality_projection.proj.weight", StringComparison.Ordinal)) (values,
                    shape) = Spread(values, shape);
                tensors.Add(TensorData.Of(entry.Name, values, shape));
            }
        }
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>(StringComparer.Ordinal));
    }

    /// <summary>The stored projection, then halves of it.</summary>
    private static (float[], long[]) Widened(float[] values, long[] shape, int times)
    {
        var width = (int)shape[1];
        return ([.. Enumerable.Range(0, (int)shape[0]).SelectMany(row => Enumerable.Range(0, times).SelectMany(i => values.Skip(row * width)
            .Take(width).Select(v => v * MathF.Pow(0.5f, i))))],
            [shape[0], times * width]);
    }

    private static (float[], long[]) Placed(float[] values, long[] shape)
    {
        var (rows, width) = ((int)shape[0], (int)shape[1]);
        return ([.. Enumerable.Range(0, 625).SelectMany(row => values.Skip(row * 7 % rows * width).Take(width)
            .Select(v => v * (1 + row % 5 * 0.25f)))], [625, width]);
    }

    private static (float[], long[]) Spread(float[] values, long[] shape)
    {
        var (rows, width) = ((int)shape[0], (int)shape[1]);
        return ([.. Enumerable.Range(0, rows).SelectMany(row => Enumerable.Range(0, 48 * 25)
            .Select(i => values[row * width + i * 5 % width]))], [rows, 48 * 25]);
    }
}
