using System.Text.Json;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Prompts;

/// <summary>Pictures to patches and tiles against the reference's processors (Pillow backend), equal to the bit.</summary>
public sealed class FamilyPreprocessorTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("qwen2vl_default")]
    [InlineData("qwen2vl_max50176")]
    [InlineData("qwen2vl_min100352")]
    public void QwenPatches_AreTheReferences(string set) => Compare(set, (picture, config) =>
    {
        _folder.Write("preprocessor_config.json", config);
        var patches = Qwen2VlPreprocessor.Load(_folder.Path).Apply(picture);
        return (patches.Values, true);
    });

    [Theory]
    [InlineData("internvl448_tiled", true)]
    [InlineData("internvl56_tiled", true)]
    [InlineData("internvl56_single", false)]
    public void InternVlTiles_AreTheReferences(string set, bool tiled) => Compare(set, (picture, config) =>
    {
        _folder.Write("preprocessor_config.json", config);
        _folder.Write("config.json", "{}");
        var preprocessor = InternVlPreprocessor.Load(_folder.Path);
        return ((tiled ? preprocessor : preprocessor.WithoutTiles()).Apply(picture).Values, false);
    });

    [Fact]
    public void Sizes_AreTheReferences()
    {
        using var tables = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("images", "size_tables.json")));
        var compared = 0;
        foreach (var row in tables.RootElement.GetProperty("smart_resize(h,w,factor=28,min_pixels,max_pixels)").EnumerateArray())
        {
            var (h, w, fewest, most) = (row[0].GetInt32(), row[1].GetInt32(), row[2].GetInt32(), row[3].GetInt32());
            if (row[4].ValueKind == JsonValueKind.Array) Assert.Equal((row[4][0].GetInt32(), row[4][1].GetInt32()), Qwen2VlPreprocessor.SmartSize(h, w, 28, fewest, most));
            else Assert.Throws<InputException>(() => Qwen2VlPreprocessor.SmartSize(h, w, 28, fewest, most));
            compared++;
        }
        foreach (var row in tables.RootElement.GetProperty("tiled_canvas(h,w,tile,min,max)->[cols,rows]").EnumerateArray())
        {
            var (h, w, tile, fewest, most) = (row[0].GetInt32(), row[1].GetInt32(), row[2].GetInt32(), row[3].GetInt32(), row[4].GetInt32());
            Assert.Equal((row[5][0].GetInt32(), row[5][1].GetInt32()), InternVlPreprocessor.Grid(h, w, tile, fewest, most));
            compared++;
        }
        Assert.True(compared > 100);
    }

    [Theory]
    [InlineData("{\"resample\": 9}", "resample")]
    [InlineData("{\"image_std\": [0, 1, 1]}", "image_std")]
    [InlineData("{\"image_mean\": [0.5]}", "image_mean")]
    [InlineData("{\"patch_size\": 0}", "patch_size")]
    [InlineData("{\"patch_size\": 100000}", "patch_size")]
    [InlineData("{\"min_pixels\": 100, \"max_pixels\": 10}", "max_pixels")]
    [InlineData("{\"do_rescale\": \"yes\"}", "do_rescale")]
    [InlineData("[]", "preprocessor_config.json")]
    public void WrongSettings_AreNamed(string config, string field)
    {
        _folder.Write("preprocessor_config.json", config);
        Assert.Contains(field, Assert.Throws<InputException>(() => Qwen2VlPreprocessor.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PicturesAsThinAsThreads_AreRefused()
    {
        _folder.Write("preprocessor_config.json", "{}");
        Assert.Contains("200 times", Assert.Throws<InputException>(() => Qwen2VlPreprocessor.Load(_folder.Path).Apply(new Picture(402, 2, new byte[402 * 2 * 3]))).Message, StringComparison.Ordinal);
    }

    private static void Compare(string set, Func<Picture, string, (float[] Values, bool TwoFrames)> apply)
    {
        var goldens = new GoldenTensors("images", set + ".safetensors");
        using var manifest = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("images", set + ".json")));
        var table = goldens.Singles("lut");
        var compared = 0;
        foreach (var name in goldens.Names.Where(n => n.EndsWith(".u8", StringComparison.Ordinal)).Select(n => n[..^3]))
        {
            // [tile or patch, channel, pixels]
            var (levels, shape) = (goldens.Bytes(name + ".u8"), goldens.Shape(name + ".u8"));
            var area = shape[2] * shape[3];
            var (values, twoFrames) = apply(Picture.Load(Fixtures.Path("images", name), applyOrientation: false), manifest.RootElement.GetProperty("config").GetRawText());
            float[] expected = [.. levels.Chunk(area).SelectMany((plane, i) =>
            {
                var part = plane.Select(level => table[256 * (i % 3) + level]).ToArray();
                return twoFrames ? part.Concat(part) : part;
            })];
            Assert.Equal(expected.Length, values.Length);
            Assert.True(expected.AsSpan().SequenceEqual(values), name);
            if (goldens.Names.Contains(name + ".pixel_values", StringComparer.Ordinal)) Assert.True(goldens.Singles(name + ".pixel_values").AsSpan().SequenceEqual(values), name);
            compared++;
        }
        Assert.True(compared > 0);
    }

    public void Dispose() => _folder.Dispose();
}
