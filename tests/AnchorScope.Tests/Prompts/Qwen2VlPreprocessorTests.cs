using System.Buffers.Binary;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Files to pixel_values against Qwen2VLImageProcessor (Pillow backend), equal to the bit.</summary>
public sealed class Qwen2VlPreprocessorTests
{
    private const string Minimal = """{"image_processor_type": "Qwen2VLImageProcessor"}""";

    public static TheoryData<string, string> Pictures =>
        PreprocessorGoldens.Cases("qwen2vl_default", "qwen2vl_max50176", "qwen2vl_min100352");

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Apply_EqualsReference(string set, string name)
    {
        var patches = Load(PreprocessorGoldens.Config(set)).Apply(PreprocessorGoldens.Picture(name));
        Assert.Equal(PreprocessorGoldens.Values(set, name, slots: 2), patches.Values);
        Assert.Equal((14 * patches.GridHeight, 14 * patches.GridWidth), (patches.Seen.Height, patches.Seen.Width));
    }

    [Theory]
    [InlineData("qwen25vl", "one_image_nonsquare")]
    [InlineData("qwen25vl", "two_images")]
    [InlineData("qwen25vl-tied-bf16", "one_image")]
    [InlineData("qwen2vl", "one_image_nonsquare")]
    [InlineData("qwen2vl", "two_images")]
    public void Apply_EqualsReferenceInputs(string family, string @case)
    {
        var qwen = Qwen2VlPreprocessor.Load(Fixtures.Path(family));
        QwenPatches[] patches = [.. PreprocessorGoldens.Pictures(family, @case).Select(qwen.Apply)];
        var goldens = PreprocessorGoldens.Tensors(family, @case);
        Assert.Equal(goldens.Singles("inputs.pixel_values"), patches.SelectMany(p => p.Values));
        var grids = goldens.Bytes("inputs.image_grid_thw").Chunk(8).Select(b => BinaryPrimitives.ReadInt64LittleEndian(b));
        Assert.Equal(grids, patches.SelectMany(p => new[] { 1L, p.GridHeight, p.GridWidth }));
    }

    [Fact]
    public void SmartResize_EqualsReferenceTable()
    {
        foreach (var row in PreprocessorGoldens.Table("smart_resize", 222))
        {
            Assert.Equal((row[4][0].GetInt32(), row[4][1].GetInt32()),
                Qwen2VlPreprocessor.SmartResize(row[0].GetInt32(), row[1].GetInt32(), 28, row[2].GetInt32(), row[3].GetInt32()));
        }
    }

    [Fact]
    public void SmartResize_RoundsHalvesToEven()
    {
        Assert.Equal((56, 56), Qwen2VlPreprocessor.SmartResize(42, 70, 28, 1, 100_000)); // 1.5 and 2.5 blocks
        Assert.Equal((28, 28 * 200), Qwen2VlPreprocessor.SmartResize(28, 28 * 200, 28, 1, 1_000_000)); // as thin as is allowed
        // never below one block, so above the maximum
        Assert.Equal((28, 112), Qwen2VlPreprocessor.SmartResize(100, 1000, 28, 1, 28 * 28 * 2));
    }

    [Fact]
    public void SmartResize_RefusesLongThinPictures()
    {
        var message = Assert.Throws<InputException>(() => Qwen2VlPreprocessor.SmartResize(10, 2001, 28, 3136, 100_000)).Message;
        Assert.Equal("a 2001x10 picture is too long and thin: expected at most 200 times as long as wide", message);
    }

    [Fact]
    public void Load_HasReferenceDefaultsForAbsentKeys()
    {
        var qwen = Load(Minimal);
        Assert.Equal((14, 2, 2, 3136, 1003520), (qwen.PatchSize, qwen.TemporalPatchSize, qwen.MergeSize, qwen.MinPixels, qwen.MaxPixels));
        var picture = PreprocessorGoldens.Picture("rgba_150x226.png");
        Assert.Equal(Load(PreprocessorGoldens.Config("qwen2vl_default")).Apply(picture).Values, qwen.Apply(picture).Values);
    }

    [Fact]
    public void Load_PrefersTheOlderKeysAndTheProcessorFile()
    {
        var size = """{"shortest_edge": 784, "longest_edge": 1568}""";
        var both = PreprocessorGoldens.With(PreprocessorGoldens.With(Minimal, "size", size), "max_pixels", "7840");
        Assert.Equal((784, 7840), (Load(both).MinPixels, Load(both).MaxPixels));

        using var folder = new TemporaryFolder();
        folder.Write("preprocessor_config.json", Minimal);
        var processor = folder.Write("processor_config.json", $$"""{"image_processor": {{both}}}""");
        Assert.Equal(7840, Qwen2VlPreprocessor.Load(folder.Name).MaxPixels);
        folder.Write(
            "processor_config.json", """{"image_processor": {"image_processor_type": "Qwen2VLImageProcessor", "merge_size": 0}}""");
        var message = Assert.Throws<InputException>(() => Qwen2VlPreprocessor.Load(folder.Name)).Message;
        Assert.Equal($"{processor}: image_processor.merge_size: expected an integer from 1 to 16, found 0", message);
    }

    [Fact]
    public void Apply_OrdersPatchesByBlocks()
    {
        // Every sample of a picture of 4x8 single-pixel patches is its own number.
        var picture = new Picture(8, 4, [.. Enumerable.Range(0, 96).Select(i => (byte)i)]);
        var qwen = Load("""
            {"image_processor_type": "Qwen2VLImageProcessor", "do_resize": false, "do_rescale": false, "do_normalize": false,
             "patch_size": 1, "temporal_patch_size": 3}
            """);
        var patches = qwen.Apply(picture);
        Assert.Equal((4, 8), (patches.GridHeight, patches.GridWidth));
        Assert.Equal(new float[] { 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3 }, patches.Values[..12]);
        int[] first = [.. patches.Values.Chunk(9).Select(patch => (int)patch[0] / 3)];
        Assert.Equal([0, 1, 8, 9, 2, 3, 10, 11], first[..8]);
        Assert.Equal([16, 17, 24, 25], first[16..20]);
        Assert.Equal(32, first.Distinct().Count());

        var message = Assert.Throws<InputException>(() => qwen.Apply(new Picture(3, 2, new byte[18]))).Message;
        Assert.Equal("a 3x2 picture: expected sides that are multiples of 2 (do_resize is false)", message);
    }

    [Fact]
    public void Apply_RefusesLongThinPictures() =>
        Assert.Contains("too long and thin",
            Assert.Throws<InputException>(() => Load(Minimal).Apply(new Picture(201, 1, new byte[603]))).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("image_processor_type", "\"CLIPImageProcessor\"", "image_processor_type: expected one of Qwen2VLImageProcessor, ")]
    [InlineData("resample", "6", "resample: expected 0 (nearest)")]
    [InlineData("do_pad", "true", "do_pad: expected nothing")]
    [InlineData("do_center_crop", "true", "do_center_crop: expected nothing")]
    [InlineData("image_grid_pinpoints", "[[1,\n2]]",
        "image_grid_pinpoints: expected nothing (it changes the pixels and Qwen2VLImageProcessor has")]
    [InlineData("do_resize", "\"yes\"", "do_resize: expected true or false, found \"yes\"")]
    [InlineData("size", "{\"height\": 5, \"width\": 5}", "size: expected an object with shortest_edge and longest_edge")]
    [InlineData("size", "224", "size: expected an object")]
    [InlineData("size", "{\"shortest_edge\": 0, \"longest_edge\": 9}", "size.shortest_edge: expected an integer from 1")]
    [InlineData("min_pixels", "1003521", "max_pixels: expected at least the smallest number of pixels, 1003521, found 1003520")]
    [InlineData("max_pixels", "1e99", "max_pixels: expected an integer")]
    [InlineData("max_pixels", "999999999", "max_pixels: expected an integer from 1 to 178956970")]
    [InlineData("patch_size", "14.5", "patch_size: expected an integer")]
    [InlineData("patch_size", "-14", "patch_size: expected an integer")]
    [InlineData("merge_size", "[2,\n2]", "merge_size: expected an integer")]
    [InlineData("temporal_patch_size", "1000000", "temporal_patch_size: expected an integer from 1 to 16")]
    [InlineData("rescale_factor", "1e999", "rescale_factor: expected a number")]
    [InlineData("image_mean", "[1, 2, 3, 4]", "image_mean: expected 3 numbers")]
    [InlineData("image_std", "0", "image_std: expected 3 numbers other than 0")]
    public void Load_NamesFileAndField(string key, string? value, string expected) =>
        PreprocessorGoldens.AssertRefused(folder => Qwen2VlPreprocessor.Load(folder),
            PreprocessorGoldens.With(Minimal, key, value), expected);

    private static Qwen2VlPreprocessor Load(string settings)
    {
        using var folder = new TemporaryFolder();
        folder.Write("preprocessor_config.json", settings);
        return Qwen2VlPreprocessor.Load(folder.Name);
    }
}
