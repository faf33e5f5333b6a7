using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Decoded samples against Pillow (tests/fixtures/images) and libjpeg-turbo (tests/fixtures/images/libjpeg): equal, not
/// close.</summary>
public sealed class PictureDecodingTests
{
    public static TheoryData<string> Pictures => new(NamesIn("images"));

    public static TheoryData<string> LibjpegPictures => new(NamesIn("images", "libjpeg"));

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Decode_EqualsPillow(string name) => AssertDecodes(name, "images");

    [Theory]
    [MemberData(nameof(LibjpegPictures))]
    public void Decode_EqualsLibjpegTurbo(string name) => AssertDecodes(name, "images", "libjpeg");

    [Fact]
    public void Load_TurnsPictureAsExifSays()
    {
        var goldens = new GoldenTensors("images", "decoded.safetensors");
        var picture = Picture.Load(Fixtures.Path("images", "exif6_90x60.jpg"));
        Assert.Equal((60, 90), (picture.Width, picture.Height));
        Assert.Equal(goldens.Bytes("exif6_90x60.jpg.rgb_exif_transposed"), picture.Rgb);
    }

    [Theory]
    [InlineData(1, 2, 3, "abcdef")]
    [InlineData(2, 2, 3, "badcfe")]
    [InlineData(3, 2, 3, "fedcba")]
    [InlineData(4, 2, 3, "efcdab")]
    [InlineData(5, 3, 2, "acebdf")]
    [InlineData(6, 3, 2, "ecafdb")]
    [InlineData(7, 3, 2, "fdbeca")]
    [InlineData(8, 3, 2, "bdface")]
    [InlineData(9, 2, 3, "abcdef")]
    public void Decode_TurnsAllEightOrientations(int orientation, int width, int height, string expected)
    {
        // The picture, 2 wide and 3 high: ab / cd / ef.
        var png = TestPng.Encode(2, 3, colourType: 0, bitDepth: 8, "abcdef"u8.ToArray().Select(b => (int)b).ToArray(),
            extra: ("eXIf", [.. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, (byte)orientation, 0, 0]));
        var picture = Picture.Decode(png, "abc.png");
        Assert.Equal((width, height), (picture.Width, picture.Height));
        Assert.Equal(expected, Reds(picture));
        Assert.Equal("abcdef", Reds(Picture.Decode(png, "abc.png", applyOrientation: false)));

        static string Reds(Picture p) => string.Concat(p.Rgb.Where((_, i) => i % 3 == 0).Select(b => (char)b));
    }

    [Theory]
    [InlineData("<x tiff:Orientation=\"6\"/>", true)]
    [InlineData("<tiff:Orientation>6</tiff:Orientation>", true)]
    [InlineData("<tiff:Orientation/>", false)]
    public void Decode_TurnsAsXmpSaysWhereExifIsSilent(string xmp, bool turns)
    {
        var jpeg = File.ReadAllBytes(Fixtures.Path("images", "libjpeg", "420_even.jpg"));
        byte[] packet = [.. "http://ns.adobe.com/xap/1.0/\0"u8, .. System.Text.Encoding.ASCII.GetBytes(xmp)];
        byte[] withXmp = [0xFF, 0xD8, 0xFF, 0xE1, 0, (byte)(packet.Length + 2), .. packet, .. jpeg[2..]];
        Assert.Equal(turns ? 48 : 64, Picture.Decode(withXmp, "xmp.jpg").Width);
    }

    private static string[] NamesIn(params string[] folder)
    {
        var names = new GoldenTensors([.. folder, "decoded.safetensors"]).Names;
        return [.. names.Where(name => name.EndsWith(".rgb", StringComparison.Ordinal)).Select(name => name[..^4])];
    }

    private static void AssertDecodes(string name, params string[] folder)
    {
        var goldens = new GoldenTensors([.. folder, "decoded.safetensors"]);
        var picture = Picture.Load(Fixtures.Path([.. folder, name]), applyOrientation: false);
        Assert.Equal(goldens.Shape(name + ".rgb"), new[] { picture.Height, picture.Width, 3 });
        Assert.Equal(goldens.Bytes(name + ".rgb"), picture.Rgb);
    }
}
