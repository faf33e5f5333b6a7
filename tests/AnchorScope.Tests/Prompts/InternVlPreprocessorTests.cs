using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Files to pixel_values against InternVLProcessor with GotOcr2ImageProcessor (Pillow backend), equal to the bit.</summary>
public sealed class InternVlPreprocessorTests
{
    private const string Minimal = """{"image_processor_type": "GotOcr2ImageProcessor"}""";

    public static TheoryData<string, string> Pictures => PreprocessorGoldens.Cases("internvl448_tiled", "internvl56_tiled");

    public static TheoryData<string, string> WholePictures => PreprocessorGoldens.Cases("internvl56_single");

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Apply_EqualsReference(string set, string name)
    {
        var picture = PreprocessorGoldens.Picture(name);
        var tiles = Load(PreprocessorGoldens.Config(set)).Apply(picture);
        Assert.Equal(PreprocessorGoldens.Values(set, name, slots: 1), tiles.Values);
        Assert.Equal(tiles.Values.Length, tiles.Count * 3 * tiles.Size * tiles.Size);
        Assert.Equal((picture.Height, picture.Width), (tiles.PictureHeight, tiles.PictureWidth));
    }

    /// <summary>The golden is made without cropping; in a checkpoint's files only max_patches can switch it off.</summary>
    [Theory]
    [MemberData(nameof(WholePictures))]
    public void Apply_EqualsReferenceWithoutTiling(string set, string name)
    {
        var settings = PreprocessorGoldens.With(PreprocessorGoldens.Config(set), "max_patches", "1");
        var tiles = Load(settings).Apply(PreprocessorGoldens.Picture(name));
        Assert.Equal(PreprocessorGoldens.Values(set, name, slots: 1), tiles.Values);
        Assert.Equal((1, 1, false), (tiles.Rows, tiles.Columns, tiles.Overview));
    }

    [Theory]
    [InlineData("internvl3", "internvl3", "tiled_image", 7)]
    [InlineData("internvl3", "internvl3", "two_images", 1, 3)]
    [InlineData("internvl3-qknorm-rms", "internvl3-qknorm-rms", "tiled_image", 7)]
    [InlineData("internvl3-remote", "internvl3", "tiled_image", 7)]
    [InlineData("internvl3-remote", "internvl3", "two_images", 1, 3)]
    public void Apply_EqualsReferenceInputs(string folder, string goldens, string @case, params int[] counts)
    {
        var intern = InternVlPreprocessor.Load(Fixtures.Path(folder));
        PictureTiles[] tiles = [.. PreprocessorGoldens.Pictures(goldens, @case).Select(intern.Apply)];
        Assert.Equal(PreprocessorGoldens.Tensors(goldens, @case).Singles("inputs.pixel_values"), tiles.SelectMany(t => t.Values));
        Assert.Equal(counts, tiles.Select(t => t.Count));
    }

    [Fact]
    public void TileGrid_EqualsReferenceTable()
    {
        foreach (var row in PreprocessorGoldens.Table("tiled_canvas", 296))
        {
            var (rows, columns) = InternVlPreprocessor.TileGrid(
                row[0].GetInt32(), row[1].GetInt32(), row[2].GetInt32(), row[3].GetInt32(), row[4].GetInt32());
            Assert.Equal((row[5][0].GetInt32(), row[5][1].GetInt32()), (columns, rows));
        }
    }

    [Fact]
    public void Load_HasReferenceDefaultsForAbsentKeys()
    {
        var intern = Load(Minimal);
        Assert.Equal((384, 1, 12, true), (intern.Size, intern.MinTiles, intern.MaxTiles, intern.Thumbnail));
        var spelledOut = Load("""
            {"image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 384, "width": 384}, "crop_to_patches": false,
             "min_patches": 1, "max_patches": 12, "resample": 3, "do_center_crop": null, "rescale_factor": 0.00392156862745098,
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
            """);
        var picture = PreprocessorGoldens.Picture("tiny_5x7.png");
        Assert.Equal(spelledOut.Apply(picture).Values, intern.Apply(picture).Values);
    }

    [Fact]
    public void Load_ReadsTheTilingOfTheOriginalLayout()
    {
        var picture = PreprocessorGoldens.Picture("rgb_300x150.png");
        var whole = Original("""{"model_type": "internvl_chat", "vision_config": {"image_size": 28}}""");
        Assert.Equal((28, 1, 1, false), (whole.Size, whole.MinTiles, whole.MaxTiles, whole.Thumbnail));
        Assert.Equal(1, whole.Apply(picture).Count);

        var bare = Original("""{"model_type": "internvl_chat", "force_image_size": 56, "dynamic_image_size": true}""").Apply(picture);
        Assert.Equal((1, 2, false), (bare.Rows, bare.Columns, bare.Overview));
        Assert.Equal(2, bare.Count);
    }

    [Theory]
    [InlineData("""{"model_type": "internvl_chat", "force_image_size": 56, "pad2square": true}""",
        "pad2square: expected false, found true")]
    [InlineData("""{"model_type": "internvl_chat", "force_image_size": 99999}""", "force_image_size: expected at most 16384")]
    [InlineData("""{"model_type": "internvl_chat", "force_image_size": 0}""", "force_image_size: expected a positive integer")]
    [InlineData("""{"model_type": "internvl_chat"}""", "vision_config: the key is missing")]
    [InlineData("""{"model_type": "internvl_chat", "force_image_size": 56, "dynamic_image_size": true, "max_dynamic_patch": 2000000000}""",
        "max_dynamic_patch: expected from min_dynamic_patch, 1, to 1024, found 2000000000")]
    [InlineData("""{"model_type": "internvl_chat", "force_image_size": 56, "dynamic_image_size": true, "min_dynamic_patch": 7}""",
        "max_dynamic_patch: expected from min_dynamic_patch, 7, to 1024, found 6")]
    [InlineData("""{"model_type": "internvl_chat", "force_image_size": 56, "use_thumbnail": "no"}""",
        "use_thumbnail: expected true or false")]
    public void Load_NamesFileAndFieldOfTheOriginalLayout(string config, string expected)
    {
        var message = Assert.Throws<InputException>(() => Original(config)).Message;
        Assert.Contains("config.json: " + expected, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("image_processor_type", "\"CLIPImageProcessor\"", "image_processor_type: expected one of GotOcr2ImageProcessor, ")]
    [InlineData("resample", "-1", "resample: expected 0 (nearest)")]
    [InlineData("do_center_crop", "true", "do_center_crop: expected nothing")]
    [InlineData("do_pad", "true", "do_pad: expected nothing")]
    [InlineData("do_resize", "false", "do_resize: expected true (the model takes one size only), found false")]
    [InlineData("crop_to_patches", "1", "crop_to_patches: expected true or false")]
    [InlineData("size", "{\"height\": 56, \"width\": 28}", "size: expected equal height and width")]
    [InlineData("size", "{\"longest_edge\": 56}", "size: expected a number, {shortest_edge} or {height, width}")]
    [InlineData("size", "{\"height\": 0, \"width\": 0}", "size.height: expected a whole number from 1")]
    [InlineData("max_patches", "0", "max_patches: expected an integer from 1 to 1024")]
    [InlineData("max_patches", "100000000", "max_patches: expected an integer from 1 to 1024")]
    [InlineData("min_patches", "13", "min_patches: expected at most max_patches, 12, found 13")]
    [InlineData("image_std", "[1, 0, 1]", "image_std: expected 3 numbers other than 0")]
    public void Load_NamesFileAndField(string key, string? value, string expected) =>
        PreprocessorGoldens.AssertRefused(folder => InternVlPreprocessor.Load(folder),
            PreprocessorGoldens.With(Minimal, key, value), expected);

    [Fact]
    public void Apply_RefusesTilesBeyondTheLimit()
    {
        var settings = PreprocessorGoldens.With(PreprocessorGoldens.With(Minimal, "size", "16384"), "max_patches", "1024");
        var message = Assert.Throws<InputException>(() => Load(settings).Apply(PreprocessorGoldens.Picture("wide_600x40.png"))).Message;
        Assert.Contains("needs more than 178956970 pixels", message, StringComparison.Ordinal);
    }

    private static InternVlPreprocessor Load(string settings)
    {
        using var folder = new TemporaryFolder();
        folder.Write("preprocessor_config.json", settings);
        return InternVlPreprocessor.Load(folder.Name);
    }

    private static InternVlPreprocessor Original(string config)
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", config);
        return InternVlPreprocessor.Load(folder.Name);
    }
}
