using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Files to pixel_values against CLIPImageProcessor (Pillow backend), equal to the bit.</summary>
public sealed class ClipPreprocessorTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("anchorscope-clip-");

    public void Dispose() => folder.Delete(recursive: true);

    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var set in new[] { "clip56", "clip336" })
            {
                var names = new GoldenTensors("images", set + ".safetensors").Names;
                foreach (var name in names.Where(n => n.EndsWith(".u8", StringComparison.Ordinal)))
                    cases.Add(set, name[..^3]);
            }
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Apply_EqualsReference(string set, string name)
    {
        var goldens = new GoldenTensors("images", set + ".safetensors");
        using var manifest = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("images", set + ".json")));
        var clip = Load(manifest.RootElement.GetProperty("config").GetRawText());
        Assert.Equal(goldens.Shape(name + ".u8"), new[] { 1, 3, clip.Height, clip.Width });

        var picture = Picture.Load(Fixtures.Path("images", name), applyOrientation: false);
        var levels = goldens.Bytes(name + ".u8");
        Assert.Equal(levels, Planes(clip.Fit(picture)));

        // The table belongs to this configuration: pixel_values are table[channel][level].
        float[] table = goldens.Singles("lut"), values = clip.Apply(picture);
        var plane = clip.Height * clip.Width;
        Assert.Equal(levels.Select((level, i) => table[256 * (i / plane) + level]), values);
        if (goldens.Names.Contains(name + ".pixel_values", StringComparer.Ordinal))
            Assert.Equal(goldens.Singles(name + ".pixel_values"), values);
    }

    [Fact]
    public void CenterCrop_EqualsReferenceAlsoWhereItPads()
    {
        var goldens = new GoldenTensors("images", "center_crop.safetensors");
        var cases = goldens.Names.Where(name => name.StartsWith("crop_", StringComparison.Ordinal)).ToArray(); // crop_HEIGHTxWIDTH_to_SIZE
        Assert.Equal(6, cases.Length);
        foreach (var name in cases)
        {
            var parts = name.Split('_');
            var shape = goldens.Shape("in_" + parts[1]);
            var samples = goldens.Singles("in_" + parts[1]);
            var plane = shape[1] * shape[2];
            byte[] rgb = [.. Enumerable.Range(0, 3 * plane).Select(i => (byte)samples[i % 3 * plane + i / 3])];
            var picture = new Picture(shape[2], shape[1], rgb);
            var size = int.Parse(parts[3]);
            Assert.Equal(goldens.Singles(name), Planes(picture.CenterCrop(size, size)).Select(b => (float)b));
        }
    }

    [Fact]
    public void ShortestEdgeSize_EqualsReferenceTable()
    {
        using var tables = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("images", "size_tables.json")));
        var rows = tables.RootElement.GetProperty("clip_resize_shortest_edge(h,w,size)->[h,w]").EnumerateArray().ToArray();
        Assert.Equal(86, rows.Length);
        foreach (var row in rows)
        {
            Assert.Equal((row[3][0].GetInt32(), row[3][1].GetInt32()),
                ClipPreprocessor.ShortestEdgeSize(row[0].GetInt32(), row[1].GetInt32(), row[2].GetInt32()));
        }
    }

    [Fact]
    public void Load_HasReferenceDefaultsForAbsentKeys()
    {
        var picture = Picture.Load(Fixtures.Path("images", "rgb_300x150.png"));
        var spelledOut = Load("""
            {"image_processor_type": "CLIPImageProcessor", "do_resize": true, "size": {"shortest_edge": 224}, "resample": 3,
             "do_center_crop": true, "crop_size": {"height": 224, "width": 224},
             "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
            """);
        foreach (var json in new[]
        {
            """{"image_processor_type": "CLIPImageProcessorFast"}""",
            """{"image_processor_type": "CLIPImageProcessor", "size": 224, "crop_size": 224, "do_resize": null, "do_pad": false}""",
            """{"feature_extractor_type": "CLIPFeatureExtractor", "size": null, "image_mean": null}""",
            """{"image_processor_type": null}""",
        })
        {
            var clip = Load(json);
            Assert.Equal((224, 224), (clip.Width, clip.Height));
            Assert.Equal(spelledOut.Apply(picture), clip.Apply(picture));
        }
    }

    [Fact]
    public void Apply_LeavesOutStepsThatAreOff()
    {
        var picture = new Picture(3, 2, [.. Enumerable.Range(0, 18).Select(i => (byte)(10 * i))]);
        var crop = Load("""
            {"image_processor_type": "CLIPImageProcessor", "do_resize": false, "crop_size": {"height": 2, "width": 1},
             "do_rescale": false, "do_normalize": false}
            """);
        Assert.Equal(new float[] { 30, 120, 40, 130, 50, 140 }, crop.Apply(picture));

        var scaled = Load("""
            {"image_processor_type": "CLIPImageProcessor", "size": {"height": 2, "width": 3}, "do_center_crop": false,
             "rescale_factor": 0.5, "do_normalize": false}
            """);
        Assert.Equal((2, 3), (scaled.Height, scaled.Width));
        Assert.Equal(new float[] { 0, 15, 30, 45, 60, 75 }, scaled.Apply(picture)[..6]);

        var normalized = Load("""
            {"image_processor_type": "CLIPImageProcessor", "do_resize": false, "crop_size": {"height": 2, "width": 1},
             "do_rescale": false, "image_mean": 10, "image_std": [5, 10, 20]}
            """);
        Assert.Equal(new float[] { 4, 22, 3, 12, 2, 6.5f }, normalized.Apply(picture));
    }

    [Theory]
    [InlineData("image_processor_type", "\"Qwen2VLImageProcessor\"", "image_processor_type: expected one of CLIPImageProcessor, ")]
    [InlineData("image_processor_type", "7", "found 7")]
    [InlineData("resample", "5", "resample: expected 0 (nearest)")]
    [InlineData("resample", "\"bicubic\"", "resample: expected")]
    [InlineData("do_pad", "true", "do_pad: expected nothing")]
    [InlineData("do_something_new", "true", "do_something_new: expected nothing")]
    [InlineData("crop_to_patches", "true", "crop_to_patches: expected nothing")]
    [InlineData("do_resize", "1", "do_resize: expected true or false, found 1")]
    [InlineData("size", "{\"longest_edge\": 5}", "size: expected a number, {shortest_edge} or {height, width}")]
    [InlineData("size", "{\"shortest_edge\": 0}", "size.shortest_edge: expected a whole number from 1")]
    [InlineData("size", "{\"height\": 5}", "size: expected height and width")]
    [InlineData("size", "1.5", "size: expected a whole number")]
    [InlineData("crop_size", "{\"height\": 5, \"width\": 1000000}", "crop_size.width: expected")]
    [InlineData("crop_size", "{\"shortest_edge\": 5}", "crop_size: expected height and width")]
    [InlineData("do_center_crop", "false", "do_center_crop: expected true")]
    [InlineData("rescale_factor", "\"a\"", "rescale_factor: expected a number")]
    [InlineData("image_mean", "[1, 2]", "image_mean: expected 3 numbers")]
    [InlineData("image_std", "[1, 0, 1]", "image_std: expected 3 numbers other than 0")]
    public void Load_NamesFileAndField(string key, string? value, string expected)
    {
        var config = new JsonObject { ["image_processor_type"] = "CLIPImageProcessor" };
        config[key] = value is null ? null : JsonNode.Parse(value);
        var message = Assert.Throws<InputException>(() => Load(config.ToJsonString())).Message;
        Assert.StartsWith(ConfigFile + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("[1]", "expected a JSON object, found a list")]
    public void Load_RefusesWhatIsNoObject(string content, string expected)
    {
        var message = Assert.Throws<InputException>(() => Load(content)).Message;
        Assert.StartsWith($"{ConfigFile}: {expected}", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NamesMissingFile()
    {
        var message = Assert.Throws<InputException>(() => ClipPreprocessor.Load(folder.FullName)).Message;
        Assert.Equal($"{ConfigFile}: this file is needed and does not exist, nor does image_processor in processor_config.json", message);
    }

    private string ConfigFile => Path.Combine(folder.FullName, "preprocessor_config.json");

    private ClipPreprocessor Load(string json)
    {
        File.WriteAllText(ConfigFile, json);
        return ClipPreprocessor.Load(folder.FullName);
    }

    /// <summary>[3, height, width] from [height, width, 3].</summary>
    private static byte[] Planes(Picture picture)
    {
        var plane = picture.Width * picture.Height;
        return [.. Enumerable.Range(0, 3 * plane).Select(i => picture.Rgb[3 * (i % plane) + i / plane])];
    }
}
