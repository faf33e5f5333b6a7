using System.Text.Json.Nodes;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Models;

/// <summary>
/// Pictures whose side is not a multiple of the patch size, as SigLIP's 384 pixels with patches of 14: the remainder is ignored.
/// </summary>
public sealed class PatchRemainderTests : IDisposable
{
    private const int Side = 56; // of the fixture
    private const int Longer = 61;

    private readonly TempFolder _temp = new();

    [Fact]
    public void PixelsBehindTheLastPatch_ChangeNothing()
    {
        var folder = Fixtures.Path("llava15");
        foreach (var name in new[] { "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json" })
            File.Copy(Path.Combine(folder, name), _temp.File(name));
        Rewrite(folder, "config.json", config => config["vision_config"]!["image_size"] = Longer);
        Rewrite(folder, "preprocessor_config.json", settings => (settings["crop_size"], settings["size"]) = (Longer, Longer));
        var (small, large) = (new float[3 * Side * Side], new float[3 * Longer * Longer]);
        for (var i = 0; i < large.Length; i++)
        {
            var (channel, y, x) = (i / (Longer * Longer), i / Longer % Longer, i % Longer);
            large[i] = MathF.Sin(i);
            if (y < Side && x < Side) small[(channel * Side + y) * Side + x] = large[i];
        }
        Assert.Equal(Features(folder, small, Side), Features(_temp.Path, large, Longer));
    }

    private static float[] Features(string folder, float[] pixels, int side)
    {
        using var model = VisionLanguageModel.Open(folder);
        using var arena = new Arena();
        using var team = new Team(1);
        return model.Features(model.Accept(new PixelInputs("pixels", pixels, [1, 3, side, side], null, null)),
            new Compute(arena, team)).ToArray();
    }

    private void Rewrite(string folder, string name, Action<JsonNode> change)
    {
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, name)))!;
        change(json);
        _temp.Write(name, json.ToJsonString());
    }

    public void Dispose() => _temp.Dispose();
}
