using System.Buffers.Binary;
using System.Security.Cryptography;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Files to pixel_values against SmolVLMImageProcessor (Pillow backend), equal to the bit.</summary>
public sealed class SmolVlmPreprocessorTests
{
    private const string Minimal = """{"image_processor_type": "SmolVLMImageProcessor"}""";

    [Fact]
    public void Apply_EqualsReferenceInputs()
    {
        var smol = SmolVlmPreprocessor.Load(Fixtures.Path("smolvlm"));
        var picture = Assert.Single(PreprocessorGoldens.Pictures("smolvlm", "one_image_split"));
        var tiles = smol.Apply(picture);
        var goldens = PreprocessorGoldens.Tensors("smolvlm", "one_image_split");
        Assert.Equal(goldens.Shape("inputs.pixel_values"), new[] { 1, tiles.Count, 3, tiles.Size, tiles.Size });
        Assert.Equal(goldens.Singles("inputs.pixel_values"), tiles.Values);
        Assert.Equal((2, 3, true), (tiles.Rows, tiles.Columns, tiles.Overview));
        Assert.Equal((picture.Height, picture.Width), (tiles.PictureHeight, tiles.PictureWidth));
        // No tile is padded, so the model needs no mask.
        Assert.All(goldens.Bytes("inputs.pixel_attention_mask").Chunk(8),
            one => Assert.Equal(1, BinaryPrimitives.ReadInt64LittleEndian(one)));
    }

    /// <summary>Against the tiles of a second implementation of the reference's steps, in Python integers and doubles: SHA-256 of the
    /// levels [tile, 3, 56, 56], its first 8 bytes.</summary>
    [Theory]
    [InlineData("exif6_90x60.jpg", 7, "13388603F9A24F61")]
    [InlineData("grey_120x80.jpg", 7, "2BBBBE606218FC72")]
    [InlineData("grey_97x130.png", 10, "8237B13FE448F2E7")]
    [InlineData("palette_64x48.png", 10, "A471011126FCA7D0")]
    [InlineData("photo_200x300_q92_444_prog.jpg", 7, "334A823FDE1D9BF7")]
    [InlineData("photo_500x375_q85.jpg", 10, "102FCF2305644B98")]
    [InlineData("rgb_300x150.png", 7, "32B4E97A62439954")]
    [InlineData("rgb_480x320.png", 7, "7D0355F899272A99")]
    [InlineData("rgba_150x226.png", 7, "1861FAEE58933168")]
    [InlineData("tiny_5x7.png", 10, "DF51A4305D99D3E8")]
    [InlineData("wide_600x40.png", 4, "87BD87883A6F447B")]
    public void Apply_EqualsSecondImplementation(string name, int count, string hash)
    {
        var settings = File.ReadAllText(Fixtures.Path("smolvlm", "preprocessor_config.json"));
        settings = PreprocessorGoldens.With(PreprocessorGoldens.With(settings, "do_rescale", "false"), "do_normalize", "false");
        var tiles = Load(settings).Apply(PreprocessorGoldens.Picture(name));
        Assert.Equal(count, tiles.Count);
        Assert.Equal(hash, Convert.ToHexString(SHA256.HashData([.. tiles.Values.Select(value => (byte)value)]))[..16]);
    }

    /// <summary>Sizes worked out with the reference's formulas in Python.</summary>
    [Theory]
    [InlineData(90, 150, 168, 56, 100, 168, 112, 168)]
    [InlineData(375, 500, 1456, 364, 1092, 1456, 1092, 1456)]
    [InlineData(1080, 1920, 2048, 512, 1152, 2048, 1536, 2048)]
    [InlineData(100, 100, 365, 364, 366, 365, 728, 728)]
    [InlineData(3000, 4001, 6000, 384, 3070, 4096, 3456, 4224)]
    [InlineData(4001, 3000, 6001, 384, 4096, 3071, 4224, 3456)]
    [InlineData(1, 600, 168, 56, 1, 168, 56, 168)]
    [InlineData(600, 1, 169, 56, 169, 1, 224, 56)]
    [InlineData(7, 5, 1536, 384, 1536, 1098, 1536, 1152)]
    [InlineData(333, 1000, 364, 364, 122, 364, 364, 364)]
    [InlineData(1000, 333, 2048, 512, 2048, 682, 2048, 1024)]
    [InlineData(2000, 2001, 4097, 512, 4093, 4096, 4096, 4096)]
    [InlineData(57, 57, 57, 56, 58, 57, 112, 112)]
    public void Sizes_EqualReference(int height, int width, int edge, int size, int resizedHeight, int resizedWidth,
        int tiledHeight, int tiledWidth)
    {
        Assert.Equal((resizedHeight, resizedWidth), SmolVlmPreprocessor.LongestEdgeSize(height, width, edge));
        Assert.Equal((tiledHeight, tiledWidth), SmolVlmPreprocessor.WholeTiles(resizedHeight, resizedWidth, size));
    }

    [Theory]
    [InlineData("size", "{\"longest_edge\": 364}")]
    [InlineData("do_image_splitting", "false")]
    public void Apply_HasOnlyTheWholePictureWhereNothingIsSplit(string key, string value)
    {
        var picture = PreprocessorGoldens.Picture("grey_97x130.png");
        var tiles = Load(PreprocessorGoldens.With(Minimal, key, value)).Apply(picture);
        Assert.Equal((0, 0, true, 1), (tiles.Rows, tiles.Columns, tiles.Overview, tiles.Count));
        Assert.Equal(3 * 364 * 364, tiles.Values.Length);
    }

    [Fact]
    public void Apply_PutsTheWholePictureLastAndTilesRowByRow()
    {
        var picture = new Picture(4, 4, [.. Enumerable.Range(0, 48).Select(i => (byte)(i / 3))]);
        var settings = """
            {"image_processor_type": "Idefics3ImageProcessor", "do_resize": false, "do_rescale": false, "do_normalize": false,
             "max_image_size": {"longest_edge": 2}}
            """;
        var tiles = Load(settings).Apply(picture);
        Assert.Equal((2, 2, 5), (tiles.Rows, tiles.Columns, tiles.Count));
        Assert.Equal([0, 2, 8, 10], tiles.Values.Chunk(12).Take(4).Select(tile => (int)tile[0]));
        var whole = picture.Resize(2, 2, Resampling.Lanczos);
        Assert.Equal(whole.Rgb.Where((_, i) => i % 3 == 0).Select(b => (float)b), tiles.Values[48..52]);

        var exact = PreprocessorGoldens.With(PreprocessorGoldens.With(settings, "do_resize", "true"), "size",
            """{"height": 2, "width": 6}""");
        var wide = Load(exact).Apply(picture);
        Assert.Equal((1, 3), (wide.Rows, wide.Columns));
    }

    [Fact]
    public void Load_HasReferenceDefaultsForAbsentKeys()
    {
        var smol = Load(Minimal);
        Assert.Equal(364, smol.Size);
        var spelledOut = Load("""
            {"image_processor_type": "Idefics3ImageProcessorFast", "size": {"longest_edge": 1456}, "max_image_size": {"longest_edge": 364},
             "resample": 1, "do_pad": false, "do_image_splitting": true, "rescale_factor": 0.00392156862745098,
             "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "video_sampling": {"fps": 1}}
            """);
        var picture = PreprocessorGoldens.Picture("wide_600x40.png");
        var tiles = smol.Apply(picture);
        Assert.Equal((1, 4), (tiles.Rows, tiles.Columns));
        Assert.Equal(spelledOut.Apply(picture).Values, tiles.Values);
    }

    [Theory]
    [InlineData("image_processor_type", "\"Idefics2ImageProcessor\"", "image_processor_type: expected one of SmolVLMImageProcessor, ")]
    [InlineData("resample", "9", "resample: expected 0 (nearest)")]
    [InlineData("do_center_crop", "true", "do_center_crop: expected nothing")]
    [InlineData("do_pad", "1", "do_pad: expected true or false")]
    [InlineData("pad_size", "{\"height\": 5}", "pad_size: expected nothing")]
    [InlineData("do_image_splitting", "[]", "do_image_splitting: expected true or false")]
    [InlineData("size", "{\"shortest_edge\":\n224}", "size: expected {longest_edge} or {height, width}")]
    [InlineData("size", "{\"longest_edge\": 5, \"height\": 5}", "size: expected height and width")]
    [InlineData("size", "224", "size: expected an object")]
    [InlineData("size", "{\"longest_edge\": 100000}", "size.longest_edge: expected a whole number from 1 to 16384")]
    [InlineData("max_image_size", "{\"height\": 5, \"width\": 5}", "max_image_size: expected {longest_edge}")]
    [InlineData("max_image_size", "{\"longest_edge\": 0}", "max_image_size.longest_edge: expected a whole number")]
    [InlineData("max_image_size", "364", "max_image_size: expected an object")]
    [InlineData("image_std", "[0.5, 0.5]", "image_std: expected 3 numbers other than 0")]
    public void Load_NamesFileAndField(string key, string? value, string expected) =>
        PreprocessorGoldens.AssertRefused(folder => SmolVlmPreprocessor.Load(folder),
            PreprocessorGoldens.With(Minimal, key, value), expected);

    private static SmolVlmPreprocessor Load(string settings)
    {
        using var folder = new TemporaryFolder();
        folder.Write("preprocessor_config.json", settings);
        return SmolVlmPreprocessor.Load(folder.Name);
    }
}
