using AnchorScope.Prompts;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Prompts;

/// <summary>Every kind of PNG, written by <see cref="TestPng"/>, against what Pillow's convert("RGB") makes of its samples.</summary>
public sealed class PngTests
{
    public static TheoryData<int, int, bool> Kinds
    {
        get
        {
            var kinds = new TheoryData<int, int, bool>();
            (int, int[])[] types = [(0, [1, 2, 4, 8, 16]), (2, [8, 16]), (3, [1, 2, 4, 8]), (4, [8, 16]), (6, [8, 16])];
            foreach (var (colourType, depths) in types)
            {
                foreach (var depth in depths)
                {
                    kinds.Add(colourType, depth, false);
                    kinds.Add(colourType, depth, true);
                }
            }
            return kinds;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Decode_GivesSamplesOfEveryKindAndFilter(int colourType, int bitDepth, bool interlaced)
    {
        var palette = Enumerable.Range(0, 3 * (1 << Math.Min(bitDepth, 8))).Select(i => (byte)(i * 7 + 3)).ToArray();
        (string, byte[])? extra = colourType == 3 ? ("PLTE", palette) : null;
        foreach (var (width, height) in new[] { (13, 11), (1, 1), (2, 3), (5, 1), (1, 9), (8, 8) })
        {
            var random = new Random(width * 100 + height);
            var channels = TestPng.Channels(colourType);
            var samples = Enumerable.Range(0, width * height * channels).Select(_ => random.Next(1 << bitDepth)).ToArray();
            var expected = Enumerable.Range(0, width * height)
                .SelectMany(i => Expected(colourType, bitDepth, samples.AsSpan(i * channels, channels).ToArray(), palette)).ToArray();
            for (var filter = 0; filter <= 5; filter++)
            {
                var file = TestPng.Encode(width, height, colourType, bitDepth, samples, interlaced, filter, extra);
                var picture = Picture.Decode(file, "test.png");
                Assert.Equal((width, height), (picture.Width, picture.Height));
                Assert.Equal(expected, picture.Rgb);
            }
        }
    }

    [Fact]
    public void Decode_TakesForBlackWhatThePaletteLeavesOut()
    {
        var file = TestPng.Encode(4, 1, colourType: 3, bitDepth: 8, [0, 1, 2, 255], extra: ("PLTE", [10, 20, 30, 40, 50, 60]));
        Assert.Equal([10, 20, 30, 40, 50, 60, 0, 0, 0, 0, 0, 0], Picture.Decode(file, "short.png").Rgb);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void Decode_IgnoresTransparentColour(int colourType)
    {
        int[] samples = [.. Enumerable.Range(0, 4 * TestPng.Channels(colourType))];
        var plain = TestPng.Encode(2, 2, colourType, 8, samples);
        var transparent = TestPng.Encode(2, 2, colourType, 8, samples, extra: ("tRNS", new byte[2 * TestPng.Channels(colourType)]));
        Assert.Equal(Picture.Decode(plain, "plain.png").Rgb, Picture.Decode(transparent, "transparent.png").Rgb);
    }

    [Fact]
    public void ToPng_KeepsFixturePictures()
    {
        foreach (var name in new[] { "photo_500x375_q85.jpg", "tiny_5x7.png", "wide_600x40.png" })
        {
            var picture = Picture.Load(Fixtures.Path("images", name));
            var again = Picture.Decode(picture.ToPng(), name);
            Assert.Equal((picture.Width, picture.Height), (again.Width, again.Height));
            Assert.Equal(picture.Rgb, again.Rgb);
        }
    }

    [Property(MaxTest = 50)]
    public Property ToPng_KeepsEveryPicture() => Prop.ForAll(
        (from width in Gen.Choose(1, 20)
         from height in Gen.Choose(1, 20)
         from seed in Gen.Choose(0, 1 << 20)
         select (width, height, seed)).ToArbitrary(),
        size =>
        {
            var rgb = new byte[3 * size.width * size.height];
            new Random(size.seed).NextBytes(rgb);
            var again = Picture.Decode(new Picture(size.width, size.height, rgb).ToPng(), "again.png");
            return again.Width == size.width && again.Height == size.height && again.Rgb.AsSpan().SequenceEqual(rgb);
        });

    private static byte[] Expected(int colourType, int bitDepth, int[] sample, byte[] palette)
    {
        byte[] eight = [.. sample.Select(s => (byte)(bitDepth switch { 1 => s * 255, 2 => s * 85, 4 => s * 17, 8 => s, _ => s >> 8 }))];
        return colourType switch
        {
            0 when bitDepth == 16 => [.. Enumerable.Repeat((byte)Math.Min(sample[0], 255), 3)],
            0 or 4 => [eight[0], eight[0], eight[0]],
            3 => palette[(3 * sample[0])..(3 * sample[0] + 3)],
            _ => eight[..3],
        };
    }
}
