using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>Damaged and hostile files end in an InputException that names the file and says what is wrong; nothing else escapes.</summary>
public sealed class PictureErrorTests
{
    public static TheoryData<string, byte[], string> Unsupported => new()
    {
        { "a.avif", [0, 0, 0, 32, .. "ftypavif"u8], "AVIF" },
        { "a.png", [.. "Just some text, renamed.\n"u8], "found text" },
        { "b.png", [], "an empty file" },
        { "c.png", [1, 2, 3, 0, 0], "an unknown format" },
    };

    public static TheoryData<string, byte[]> BadPngs => new()
    {
        { "has no pixels", Png(TestPng.Header(0, 5, 8, 2), []) },
        { "is above the limit", Png(TestPng.Header(20000, 20000, 8, 2), []) },
        { "is above the limit", Png(TestPng.Header(-1, 1, 8, 2), []) },
        { "cannot hold 13000x13000 pixels", Png(TestPng.Header(13000, 13000, 8, 2), TestPng.Compress(0, 1, 2, 3)) },
        { "colour type 2 with 4 bits", Png(TestPng.Header(1, 1, 4, 2), []) },
        { "colour type 5", Png(TestPng.Header(1, 1, 8, 5), []) },
        { "interlace 2", Png([.. TestPng.Header(1, 1, 8, 2)[..12], 2], []) },
        { "ends before the last row", Png(TestPng.Header(1, 2, 8, 0), TestPng.Compress(0, 1, 0)) },
        { "not valid zlib data", Png(TestPng.Header(1, 1, 8, 0), "not compressed"u8.ToArray()) },
        { "row filter 5", Png(TestPng.Header(1, 1, 8, 0), TestPng.Compress(5, 1)) },
        { "without a PLTE chunk", Png(TestPng.Header(1, 1, 8, 3), TestPng.Compress(0, 0)) },
        { "palette of 4 bytes", TestPng.File(("IHDR", TestPng.Header(1, 1, 8, 3)), ("PLTE", [1, 2, 3, 4])) },
        { "begins with chunk IDAT", TestPng.File(("IDAT", TestPng.Compress(0, 1))) },
        { "two IHDR chunks", TestPng.File(("IHDR", TestPng.Header(1, 1, 8, 0)), ("IHDR", TestPng.Header(1, 1, 8, 0))) },
        { "a chunk is missing", TestPng.File(("IHDR", TestPng.Header(1, 1, 8, 0)), ("IDAT", TestPng.Compress(0, 1))) },
        { "header of 12 bytes", TestPng.File(("IHDR", new byte[12])) },
        {
            "interrupted by chunk tEXt",
            TestPng.File(("IHDR", TestPng.Header(1, 1, 8, 0)), ("IDAT", [0x78]), ("tEXt", []), ("IDAT", [0x01]), ("IEND", []))
        },
        { "without a TIFF header", TestPng.File(("IHDR", TestPng.Header(1, 1, 8, 0)), ("eXIf", [1, 2, 3])) },
        { "wrong check sum of chunk IHDR", WithByte(TestPng.File(("IHDR", TestPng.Header(1, 1, 8, 0))), 20, 7) },
        { "promises 2130706432 bytes", WithByte(TestPng.File(("IHDR", [])), 8, 0x7F) },
        { "promises 4278190080 bytes", WithByte(TestPng.File(("IHDR", [])), 8, 0xFF) },
        { "no chunk type", WithByte(TestPng.File(("IHDR", [])), 12, 0) },
    };

    public static TheoryData<string, byte[]> BadJpegs => new()
    {
        { "no frame header", [0xFF, 0xD8, 0xFF, 0xD9] },
        { "before its end marker", [0xFF, 0xD8, 0xFF] },
        { "has no pixels", Jpeg(Frame(0xC0, 0, 8)) },
        { "above the limit", Jpeg(Frame(0xC0, 65000, 65000)) },
        { "cannot hold 10000x10000 pixels", Jpeg(Frame(0xC0, 10000, 10000)) },
        { "arithmetic coding", Jpeg(Frame(0xC9, 8, 8)) },
        { "lossless", Jpeg(Frame(0xC3, 8, 8)) },
        { "second frame header", Jpeg(Frame(0xC0, 8, 8), Frame(0xC0, 8, 8)) },
        { "longer than the file", [0xFF, 0xD8, 0xFF, 0xDB, 0x10, 0x00] },
        { "scan before the frame header", Jpeg([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]) },
        { "Huffman table of a scan (it is missing)", Jpeg(Frame(0xC0, 8, 8), [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]) },
        { "too many codes of 1 bits", Jpeg([0xFF, 0xC4, 0, 22, 0, 3, .. new byte[15], 1, 2, 3]) },
        { "without a TIFF header", Jpeg([0xFF, 0xE1, 0, 12, .. "Exif\0\0"u8, 1, 2, 3, 4]) },
        { "16-bit samples", Jpeg([0xFF, 0xC0, 0, 11, 16, 0, 8, 0, 8, 1, 1, 0x11, 0]) },
        { "2 components", Jpeg([0xFF, 0xC0, 0, 14, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0]) },
    };

    public static TheoryData<string> FuzzedPictures => new(
        "tiny_5x7.png", "palette_64x48.png", "grey_120x80.jpg", "exif6_90x60.jpg", "libjpeg/420_progressive.jpg",
        "libjpeg/422_progressive_restart.jpg", "libjpeg/420_restart.jpg", "libjpeg/420_separate.jpg", "libjpeg/ycck.jpg",
        "libjpeg/coarse_16bit_tables.jpg", "libjpeg/grey_2x2.jpg");

    [Theory]
    [MemberData(nameof(Unsupported))]
    public void Decode_NamesOtherFormats(string name, byte[] file, string expected)
    {
        var message = Assert.Throws<InputException>(() => Picture.Decode(file, name)).Message;
        Assert.StartsWith($"{name}: expected a PNG, JPEG, WebP, GIF, BMP or TIFF picture, found ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(BadPngs))]
    public void Decode_SaysWhatIsWrongWithPng(string expected, byte[] file) => AssertRefused(file, "bad.png", expected);

    [Theory]
    [MemberData(nameof(BadJpegs))]
    public void Decode_SaysWhatIsWrongWithJpeg(string expected, byte[] file) => AssertRefused(file, "bad.jpg", expected);

    [Fact]
    public void Decode_RefusesProgressiveJpegWithScansLeftOut()
    {
        var file = File.ReadAllBytes(Fixtures.Path("images", "libjpeg", "420_progressive.jpg"));
        var lastScan = file.AsSpan().LastIndexOf((ReadOnlySpan<byte>)[0xFF, 0xDA]);
        AssertRefused([.. file[..lastScan], 0xFF, 0xD9], "partial.jpg", "before all of the picture was sent");
    }

    [Theory]
    [MemberData(nameof(FuzzedPictures))]
    public void Decode_RefusesEveryTruncation(string name)
    {
        var file = File.ReadAllBytes(Fixtures.Path("images", name));
        // A JPEG without its two-byte end marker still has all of its picture, unless more scans could follow.
        for (var length = 0; length < file.Length - 2; length += Math.Max(1, file.Length / 300))
            Assert.Throws<InputException>(() => Picture.Decode(file.AsSpan(0, length), name));
    }

    [Theory]
    [MemberData(nameof(FuzzedPictures))]
    public void Decode_OnlyEverThrowsInputException(string name)
    {
        var original = File.ReadAllBytes(Fixtures.Path("images", name));
        var random = new Random(20240607);
        var refused = 0;
        for (var round = 0; round < 400; round++)
        {
            var file = original.ToArray();
            for (var flips = random.Next(1, 6); flips > 0; flips--)
                file[random.Next(round % 2 == 0 ? file.Length : Math.Min(file.Length, 700))] = (byte)random.Next(256);
            if (!IsAccepted(file, name))
                refused++;
        }
        Assert.InRange(refused, 20, 400);
    }

    [Fact]
    public void Decode_OnlyEverThrowsInputExceptionWherePngCheckSumsAreRight()
    {
        var random = new Random(7);
        for (var round = 0; round < 3000; round++)
        {
            int colourType = random.GetItems([0, 2, 3, 4, 6], 1)[0], depth = random.GetItems([1, 2, 4, 8, 16], 1)[0];
            var raw = new byte[random.Next(1, 200)];
            random.NextBytes(raw);
            for (var i = 0; i < raw.Length; i += 3)
                raw[i] %= 5;
            var compressed = TestPng.Compress(raw);
            if (round % 3 == 0)
                compressed[random.Next(compressed.Length)] ^= (byte)random.Next(1, 256);
            var header = TestPng.Header(random.Next(0, 12), random.Next(0, 12), depth, colourType, interlaced: round % 2 == 0);
            var palette = new byte[3 * random.Next(1, 20)];
            IsAccepted(TestPng.File(("IHDR", header), ("PLTE", palette), ("IDAT", compressed), ("IEND", [])), "fuzz.png");
        }
    }

    [Fact]
    public void Load_NamesMissingFile()
    {
        var message = Assert.Throws<InputException>(() => Picture.Load("no/such.png")).Message;
        Assert.StartsWith("no/such.png: picture cannot be read", message, StringComparison.Ordinal);
    }

    private static bool IsAccepted(byte[] file, string name)
    {
        try
        {
            var picture = Picture.Decode(file, name);
            Assert.Equal(3 * picture.Width * picture.Height, picture.Rgb.Length);
            return true;
        }
        catch (InputException e)
        {
            Assert.StartsWith(name + ": ", e.Message, StringComparison.Ordinal);
            return false;
        }
    }

    private static void AssertRefused(byte[] file, string name, string expected)
    {
        var message = Assert.Throws<InputException>(() => Picture.Decode(file, name)).Message;
        Assert.StartsWith(name + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    private static byte[] Png(byte[] header, byte[] data) => TestPng.File(("IHDR", header), ("IDAT", data), ("IEND", []));

    private static byte[] Jpeg(params byte[][] segments) => [0xFF, 0xD8, .. segments.SelectMany(s => s), 0xFF, 0xD9];

    private static byte[] Frame(byte marker, int width, int height) =>
        [0xFF, marker, 0, 11, 8, (byte)(height >> 8), (byte)height, (byte)(width >> 8), (byte)width, 1, 1, 0x11, 0];

    private static byte[] WithByte(byte[] file, int at, byte value)
    {
        file[at] = value;
        return file;
    }
}
