using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Resized pixels against Pillow's, equal to the bit.</summary>
public sealed class ResampleTests
{
    private static readonly GoldenTensors Goldens = new("images", "pil_resize_unit.safetensors");

    public static TheoryData<string> Cases => new(Goldens.Names.Where(name => !name.StartsWith("src.", StringComparison.Ordinal)));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Resize_EqualsPillow(string name)
    {
        var parts = name.Split('.'); // source.filter.WIDTHxHEIGHT
        var size = parts[2].Split('x').Select(int.Parse).ToArray();
        var resized = Load("src." + parts[0]).Resize(size[0], size[1], Enum.Parse<Resampling>(parts[1], ignoreCase: true));
        Assert.Equal((size[0], size[1]), (resized.Width, resized.Height));
        Assert.Equal(Load(name).Rgb, resized.Rgb);
    }

    [Fact]
    public void Resize_BoxIsMeanOfWholeBlocks()
    {
        var picture = Load("src.pic100x80");
        var half = picture.Resize(50, 80, Resampling.Box);
        for (var i = 0; i < half.Rgb.Length; i++)
        {
            int pixel = i / 3, c = i % 3;
            Assert.Equal((picture.Rgb[6 * pixel + c] + picture.Rgb[6 * pixel + 3 + c] + 1) / 2, half.Rgb[i]);
        }
    }

    [Fact]
    public void Resize_NearestTakesPixelUnderEachCentre()
    {
        var picture = new Picture(5, 1, [.. Enumerable.Range(0, 15).Select(i => (byte)i)]);
        Assert.Equal(new byte[] { 0, 6, 12 }, Reds(picture.Resize(3, 1, Resampling.Nearest)));
        Assert.Equal(new byte[] { 0, 0, 3, 3, 6, 6, 9, 9, 12, 12 }, Reds(picture.Resize(10, 1, Resampling.Nearest)));

        static byte[] Reds(Picture p) => p.Rgb.Where((_, i) => i % 3 == 0).ToArray();
    }

    [Fact]
    public void Resize_RefusesSizesBeyondMemory()
    {
        var thread = new Picture(50_000, 1, new byte[150_000]);
        Assert.Throws<InputException>(() => thread.Resize(16_800_000, 336, Resampling.Bicubic));
    }

    /// <summary>Grey goldens, [height, width], become pictures with three equal channels.</summary>
    private static Picture Load(string name)
    {
        var shape = Goldens.Shape(name);
        var bytes = Goldens.Bytes(name);
        return new Picture(shape[1], shape[0], shape.Length == 3 ? bytes : [.. bytes.SelectMany(b => new[] { b, b, b })]);
    }
}
