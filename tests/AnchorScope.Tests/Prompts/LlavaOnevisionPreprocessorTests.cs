using System.Buffers.Binary;
using System.Security.Cryptography;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Files to pixel_values against LlavaOnevisionImageProcessor (Pillow backend), equal to the bit.</summary>
public sealed class LlavaOnevisionPreprocessorTests
{
    private const string Minimal = """{"image_processor_type": "LlavaOnevisionImageProcessor"}""";

    /// <summary>Tiles of 2x2, samples as they are.</summary>
    private const string Small = """
        {"image_processor_type": "LlavaOnevisionImageProcessor", "size": 2, "do_rescale": false, "do_normalize": false,
         "image_grid_pinpoints": [[2, 4], [4, 2], [4, 4]]}
        """;

    [Fact]
    public void Apply_EqualsReferenceInputs()
    {
        var onevision = LlavaOnevisionPreprocessor.Load(Fixtures.Path("llava-onevision"));
        var picture = Assert.Single(PreprocessorGoldens.Pictures("llava-onevision", "one_image_anyres"));
        var tiles = onevision.Apply(picture);
        var goldens = PreprocessorGoldens.Tensors("llava-onevision", "one_image_anyres");
        Assert.Equal(goldens.Shape("inputs.pixel_values"), new[] { 1, tiles.Count, 3, tiles.Size, tiles.Size });
        Assert.Equal(goldens.Singles("inputs.pixel_values"), tiles.Values);
        Assert.Equal((2, 2, true), (tiles.Rows, tiles.Columns, tiles.Overview));
        var sizes = goldens.Bytes("inputs.image_sizes").Chunk(8).Select(b => BinaryPrimitives.ReadInt64LittleEndian(b));
        Assert.Equal(sizes, new long[] { tiles.PictureHeight, tiles.PictureWidth });
    }

    /// <summary>Against the tiles of a second implementation of the reference's steps, in Python integers and doubles: SHA-256 of the
    /// levels [tile, 3, 56, 56], its first 8 bytes.</summary>
    [Theory]
    [InlineData("exif6_90x60.jpg", 5, "1315A2E14EE6D5A3")]
    [InlineData("grey_120x80.jpg", 5, "7696CFA6B07C955B")]
    [InlineData("grey_97x130.png", 5, "4DFA780FF86A7E5A")]
    [InlineData("palette_64x48.png", 3, "50BEECDBDE46CFED")]
    [InlineData("photo_200x300_q92_444_prog.jpg", 5, "6280E5B9431362D2")]
    [InlineData("photo_500x375_q85.jpg", 5, "D9FFA2021437C6B5")]
    [InlineData("rgb_300x150.png", 3, "F8FBA71781E48F2A")]
    [InlineData("rgb_480x320.png", 5, "AF8940C7111213A2")]
    [InlineData("rgba_150x226.png", 5, "4D31020369198790")]
    [InlineData("tiny_5x7.png", 3, "83716FD8EBBC641D")]
    [InlineData("wide_600x40.png", 4, "75118052DB241B01")]
    public void Apply_EqualsSecondImplementation(string name, int count, string hash)
    {
        var settings = File.ReadAllText(Fixtures.Path("llava-onevision", "preprocessor_config.json"));
        settings = PreprocessorGoldens.With(PreprocessorGoldens.With(settings, "do_rescale", "false"), "do_normalize", "false");
        var tiles = Load(settings).Apply(PreprocessorGoldens.Picture(name));
        Assert.Equal(count, tiles.Count);
        Assert.Equal(hash, Convert.ToHexString(SHA256.HashData([.. tiles.Values.Select(value => (byte)value)]))[..16]);
    }

    /// <summary>Against Pillow 9.4 and numpy, the reference's steps for one of several pictures: SHA-256 of the levels [3, 56, 56], its
    /// first 8 bytes.</summary>
    [Theory]
    [InlineData("grey_97x130.png", "092D0E797C6A3DE2")]
    [InlineData("photo_500x375_q85.jpg", "D069727CBF10B444")]
    [InlineData("rgb_300x150.png", "716B521EC1F3D49C")]
    [InlineData("rgba_150x226.png", "F1FF1098756D7FB9")]
    [InlineData("tiny_5x7.png", "F6FA5695BD28ECD2")]
    [InlineData("wide_600x40.png", "D20A8EA4381E405A")]
    public void ApplyWhole_EqualsPillow(string name, string hash)
    {
        var settings = File.ReadAllText(Fixtures.Path("llava-onevision", "preprocessor_config.json"));
        settings = PreprocessorGoldens.With(PreprocessorGoldens.With(settings, "do_rescale", "false"), "do_normalize", "false");
        var tiles = Load(PreprocessorGoldens.With(settings, "image_mean", "[0.2, 0.5, 0.9]")).ApplyWhole(PreprocessorGoldens.Picture(name));
        Assert.Equal((1, 0, 0), (tiles.Count, tiles.Rows, tiles.Columns));
        Assert.Equal(hash, Convert.ToHexString(SHA256.HashData([.. tiles.Values.Select(value => (byte)value)]))[..16]);
    }

    [Fact]
    public void ApplyWhole_RefusesASquareBeyondTheLimit()
    {
        var error = Assert.Throws<InputException>(() => Load(Small).ApplyWhole(new Picture(20_000, 1, new byte[60_000])));
        Assert.Equal("a picture of 20000 x 1 pixels: padded to a square it has more than 178956970 pixels", error.Message);
    }

    [Fact]
    public void BestResolution_EqualsReferenceTable()
    {
        var resolutions = Load(Minimal).Resolutions;
        var pinpoints = PreprocessorGoldens.Table("pinpoints", 36).Select(p => (p[0].GetInt32(), p[1].GetInt32()));
        Assert.Equal(pinpoints, resolutions);
        foreach (var row in PreprocessorGoldens.Table("select_best_resolution", 74))
        {
            Assert.Equal((row[2][0].GetInt32(), row[2][1].GetInt32()),
                LlavaOnevisionPreprocessor.BestResolution(row[0].GetInt32(), row[1].GetInt32(), resolutions));
        }
    }

    [Fact]
    public void Apply_PadsWithTheOddRowBelow()
    {
        // 8x6 white into 4x4: all four columns, three rows; one black row, below.
        var white = new Picture(8, 6, [.. Enumerable.Repeat((byte)255, 144)]);
        var tiles = Load(Small).Apply(white);
        Assert.Equal((2, 2, 5), (tiles.Rows, tiles.Columns, tiles.Count));
        Assert.All(tiles.Values[..36], value => Assert.Equal(255, value));
        Assert.Equal(new float[] { 255, 255, 0, 0 }, tiles.Values[36..40]);

        // And the odd column to the right.
        var upright = Load(Small).Apply(new Picture(6, 8, white.Rgb));
        Assert.Equal(new float[] { 255, 255, 255, 255 }, upright.Values[12..16]);
        Assert.Equal(new float[] { 255, 0, 255, 0 }, upright.Values[24..28]);
    }

    [Fact]
    public void Apply_PutsTheOverviewFirstAndTilesRowByRow()
    {
        var picture = new Picture(4, 4, [.. Enumerable.Range(0, 48).Select(i => (byte)(i / 3))]);
        var tiles = Load(Small).Apply(picture);
        var overview = picture.Resize(2, 2, Resampling.Bicubic);
        Assert.Equal(overview.Rgb.Where((_, i) => i % 3 == 0).Select(b => (float)b), tiles.Values[..4]);
        int[] firsts = [.. tiles.Values.Chunk(12).Skip(1).Select(tile => (int)tile[0])];
        Assert.Equal([0, 2, 8, 10], firsts);
        Assert.Equal(new float[] { 2, 3, 6, 7 }, tiles.Values[24..28]);
    }

    [Fact]
    public void Apply_TakesVeryThinPictures()
    {
        var tiles = Load(Small).Apply(new Picture(1000, 1, new byte[3000]));
        Assert.Equal((1, 2), (tiles.Rows, tiles.Columns));
    }

    [Fact]
    public void Load_HasReferenceDefaultsForAbsentKeys()
    {
        var onevision = Load(Minimal);
        Assert.Equal(384, onevision.Size);
        var spelledOut = Load("""
            {"image_processor_type": "LlavaOnevisionImageProcessorFast", "size": {"shortest_edge": 384}, "resample": 3, "do_pad": false,
             "do_center_crop": null, "crop_size": null, "rescale_factor": 0.00392156862745098,
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
            """);
        var picture = PreprocessorGoldens.Picture("tiny_5x7.png");
        Assert.Equal(spelledOut.Apply(picture).Values, onevision.Apply(picture).Values);
    }

    [Theory]
    [InlineData("image_processor_type", "\"LlavaNextImageProcessor\"",
        "image_processor_type: expected one of LlavaOnevisionImageProcessor, ")]
    [InlineData("resample", "\"bicubic\"", "resample: expected 0 (nearest)")]
    [InlineData("do_center_crop", "true", "do_center_crop: expected nothing")]
    [InlineData("crop_size", "{\"height\": 192,\n\"width\": 192}", "crop_size: expected nothing (tiles have the size of the overview)")]
    [InlineData("pad_size", "{\"height\": 5}", "pad_size: expected nothing")]
    [InlineData("do_pad", "\"left\"", "do_pad: expected true or false")]
    [InlineData("do_resize", "false", "do_resize: expected true (the model takes one size only)")]
    [InlineData("size", "{\"height\": 384, \"width\": 378}", "size: expected equal height and width")]
    [InlineData("size", "100", "image_grid_pinpoints: expected [height, width] in multiples of 100, found nothing")]
    [InlineData("image_grid_pinpoints", "[]", "image_grid_pinpoints: expected at least one [height, width], found []")]
    [InlineData("image_grid_pinpoints", "7", "image_grid_pinpoints: expected an array")]
    [InlineData("image_grid_pinpoints", "[[384, 385]]", "image_grid_pinpoints[0]: expected [height, width] in multiples of 384")]
    [InlineData("image_grid_pinpoints", "[[384, 384], [384]]", "image_grid_pinpoints[1]: expected [height, width]")]
    [InlineData("image_grid_pinpoints", "[[384, 0]]", "image_grid_pinpoints[0][1]: expected a whole number from 1")]
    [InlineData("image_grid_pinpoints", "[[16128, 16128]]", "at most 178956970 pixels")]
    [InlineData("image_mean", "\"grey\"", "image_mean: expected a number")]
    [InlineData("image_mean", "[0.5, 0.5, 1.5]", "image_mean: expected numbers from 0 to 1 (pictures are padded with the mean colour)")]
    public void Load_NamesFileAndField(string key, string? value, string expected) => PreprocessorGoldens.AssertRefused(
        folder => LlavaOnevisionPreprocessor.Load(folder), PreprocessorGoldens.With(Minimal, key, value), expected);

    private static LlavaOnevisionPreprocessor Load(string settings)
    {
        using var folder = new TemporaryFolder();
        folder.Write("preprocessor_config.json", settings);
        return LlavaOnevisionPreprocessor.Load(folder.Name);
    }
}
