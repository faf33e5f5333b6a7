using AnchorScope.Prompts;
using SkiaSharp;

namespace AnchorScope.Tests.Prompts;

/// <summary>Formats that other decoders read, against Pillow's samples (tests/fixtures/images/formats/make.py): equal, or refused by name.
/// And those decoders against ours.</summary>
public sealed class PictureFormatTests
{
    private static readonly string[] Refused = ["cmyk.tif", "transparent.gif"];

    public static TheoryData<string> Pictures => new(Names().Where(name => !Refused.Contains(name)));

    public static TheoryData<string> Fuzzed => new("lossless.webp", "lossy_alpha.webp", "palette.gif", "rgb.bmp", "palette.bmp", "lzw.tif",
        "palette.tif", "one_bit.tif");

    [Fact]
    public void EveryFormat_IsThere()
    {
        Assert.Equal(23, Pictures.Count);
        foreach (var ending in new[] { ".webp", ".gif", ".bmp", ".tif", "16.png" }) Assert.Contains(Names(), name =>
            name.EndsWith(ending, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Decode_EqualsPillow(string name)
    {
        var goldens = new GoldenTensors("images", "formats", "decoded.safetensors");
        var picture = Picture.Load(Fixtures.Path("images", "formats", name));
        Assert.Equal(goldens.Shape(name + ".rgb"), new[] { picture.Height, picture.Width, 3 });
        Assert.Equal(goldens.Bytes(name + ".rgb"), picture.Rgb);
    }

    [Theory]
    [InlineData("transparent.gif", "a GIF picture with transparent pixels (the first at column ")]
    [InlineData("cmyk.tif", "TIFF of kind SEPARATED with 4 samples of 8 bits (expected RGB, grey or palette of 8 bits, "
        + "or black and white)")]
    public void WhatPillowDecodesOtherwise_IsRefusedByName(string name, string message) =>
        Assert.Contains(message, Assert.Throws<InputException>(() => Picture.Load(Fixtures.Path("images", "formats", name))).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData(28, 16, "BMP with 16 bits a pixel, compression 0")]
    [InlineData(30, 1, "BMP with 24 bits a pixel, compression 1")]
    [InlineData(14, 12, "BMP with a header of 12 bytes")]
    public void KindsOfBmp_ThatWereNotCompared_AreRefused(int at, byte value, string message)
    {
        var file = File.ReadAllBytes(Fixtures.Path("images", "formats", "rgb.bmp"));
        file[at] = value;
        Assert.Contains(message, Assert.Throws<InputException>(() => Picture.Decode(file, "x.bmp")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Fuzzed))]
    public void Truncations_AreRefused(string name)
    {
        var file = File.ReadAllBytes(Fixtures.Path("images", "formats", name));
        for (var length = 0; length < file.Length * 9 / 10; length += Math.Max(1, file.Length / 60))
            Assert.Throws<InputException>(() => Picture.Decode(file.AsSpan(0, length), name));
    }

    [Theory]
    [MemberData(nameof(Fuzzed))]
    public void DamagedFiles_OnlyEverThrowInputException(string name)
    {
        var original = File.ReadAllBytes(Fixtures.Path("images", "formats", name));
        var random = new Random(20261130);
        var refused = 0;
        for (var round = 0; round < 200; round++)
        {
            var file = original.ToArray();
            for (var flips = random.Next(1, 5); flips > 0; flips--) file[random.Next(file.Length)] = (byte)random.Next(256);
            try
            {
                var picture = Picture.Decode(file, name);
                Assert.Equal(3 * picture.Width * picture.Height, picture.Rgb.Length);
            }
            catch (InputException e)
            {
                refused++;
                Assert.StartsWith(name + ": ", e.Message, StringComparison.Ordinal);
                Assert.DoesNotContain('\n', e.Message);
            }
        }
        Assert.InRange(refused, 5, 200);
    }

    /// <summary>A tag that claims more values than the file has is refused before memory is taken for them.</summary>
    [Theory]
    [InlineData("lzw.tif")]
    [InlineData("cmyk.tif")]
    [InlineData("deflate.tif")]
    public void TagsOfATiff_TakeNoMemoryForWhatIsNotThere(string name)
    {
        var original = File.ReadAllBytes(Fixtures.Path("images", "formats", name));
        Assert.Equal((byte)'I', original[0]);
        var directory = BitConverter.ToInt32(original, 4);
        var count = BitConverter.ToUInt16(original, directory);
        Assert.InRange(count, 8, 40);
        for (var tag = 0; tag < count; tag++)
        {
            // The number of values, and the values where there is one: sizes, rows in a strip.
            foreach (var (at, claim) in new[] { (4, int.MaxValue), (4, 1 << 28), (8, 1 << 27), (8, 1) })
            {
                var file = original.ToArray();
                BitConverter.TryWriteBytes(file.AsSpan(directory + 2 + 12 * tag + at), claim);
                var before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    Picture.Decode(file, name);
                }
                catch (InputException e)
                {
                    Assert.StartsWith(name + ": ", e.Message, StringComparison.Ordinal);
                }
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 << 20);
            }
        }
    }

    /// <summary>A second opinion on our own decoders: libpng and libjpeg-turbo inside Skia give the same samples.</summary>
    [Theory]
    [InlineData("rgb_300x150.png")]
    [InlineData("palette_64x48.png")]
    [InlineData("grey_97x130.png")]
    [InlineData("tiny_5x7.png")]
    [InlineData("photo_500x375_q85.jpg")]
    [InlineData("photo_200x300_q92_444_prog.jpg")]
    [InlineData("grey_120x80.jpg")]
    [InlineData("libjpeg/420_progressive.jpg")]
    [InlineData("libjpeg/420_restart.jpg")]
    [InlineData("libjpeg/420_even.jpg")]
    public void OurDecoders_AgreeWithSkia(string name)
    {
        var bytes = File.ReadAllBytes(Fixtures.Path("images", name));
        var ours = Picture.Decode(bytes, name, applyOrientation: false);
        using var codec = SKCodec.Create(new MemoryStream(bytes));
        using var bitmap = new SKBitmap(new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Opaque,
            null));
        Assert.Equal(SKCodecResult.Success, codec.GetPixels(bitmap.Info, bitmap.GetPixels()));
        var theirs = bitmap.Bytes.Where((_, i) => i % 4 < 3).ToArray();
        Assert.Equal((bitmap.Width, bitmap.Height), (ours.Width, ours.Height));
        Assert.Equal(theirs, ours.Rgb);
    }

    private static IEnumerable<string> Names() => new GoldenTensors("images", "formats", "decoded.safetensors")
        .Names.Select(name => name[..^4]);
}
