using System.Buffers.Binary;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Server.Load;

/// <summary>Pictures of every format whose headers or data are damaged, as data addresses.</summary>
internal sealed class PictureMutator(SplitMix random)
{
    private static readonly (string Type, string File)[] Files =
    [
        ("png", "rgb_300x150.png"), ("png", "palette_64x48.png"), ("png", "tiny_5x7.png"), ("jpeg", "grey_120x80.jpg"),
        ("jpeg", "exif6_90x60.jpg"), ("jpeg", "libjpeg/422_progressive_restart.jpg"), ("jpeg", "libjpeg/cmyk.jpg"),
        ("gif", "formats/animated.gif"), ("gif", "formats/interlaced.gif"), ("webp", "formats/lossy.webp"),
        ("webp", "formats/lossless_alpha.webp"),
        ("bmp", "formats/rgba.bmp"),
        ("tiff", "formats/cmyk.tif"), ("tiff", "formats/deflate.tif"),
    ];

    // Sides that a header may claim. None of them makes a picture of extreme proportions that can be decoded.
    private static readonly uint[] Sides = [0, 1, 2, 7, 255, 256, 65535, 65536, 0x7FFFFFFF, 0x80000000, uint.MaxValue];

    private readonly byte[][] _pictures =
        [.. Files.Select(file => File.ReadAllBytes(Path.Combine(Fixtures.Path("images"), file.File)))];

    /// <summary>The data address of a picture, mostly damaged.</summary>
    public string Next()
    {
        var which = random.Below(Files.Length);
        var bytes = _pictures[which].ToArray();
        switch (random.Below(7))
        {
            case 0:
                break;
            case 1:
                // A header: sizes, types, offsets are in the first bytes.
                for (var i = random.Below(4); i >= 0; i--) bytes[random.Below(Math.Min(64, bytes.Length))] ^= (byte)(1 << random.Below(8));
                break;
            case 2:
                for (var i = random.Below(30); i >= 0; i--) bytes[random.Below(bytes.Length)] = (byte)random.Below(256);
                break;
            case 3:
                bytes = bytes[..random.Below(bytes.Length)];
                break;
            case 4 when Files[which].Type == "png":
                Resize(bytes);
                break;
            case 4 when Files[which].Type == "jpeg":
                // The sizes in the frame header.
                if (Frame(bytes) is var frame and >= 0) bytes[frame + 5 + random.Below(4)] = (byte)random.Below(256);
                break;
            case 5:
                bytes.AsSpan(random.Below(bytes.Length)).Clear();
                break;
            default:
                bytes[random.Below(bytes.Length)] ^= (byte)(1 << random.Below(8));
                break;
        }
        var type = random.Below(10) == 0 ? Files[random.Below(Files.Length)].Type : Files[which].Type;
        return $"data:image/{type};base64,{Convert.ToBase64String(bytes)}";
    }

    /// <summary>Where the marker of a JPEG's frame is, baseline or progressive; -1: nowhere.</summary>
    private static int Frame(ReadOnlySpan<byte> jpeg)
    {
        for (var i = 0; i + 9 < jpeg.Length; i++)
        {
            if (jpeg[i] == 0xFF && (jpeg[i + 1] is 0xC0 or 0xC2)) return i;
        }
        return -1;
    }

    /// <summary>Another size in the header of a PNG, with the checksum that fits it.</summary>
    private void Resize(byte[] png)
    {
        BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(16 + 4 * random.Below(2)), Sides[random.Below(Sides.Length)]);
        BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(29), PngCrc.Of(png.AsSpan(12, 17)));
    }
}
