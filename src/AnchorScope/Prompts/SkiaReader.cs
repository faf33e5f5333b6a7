using System.Buffers.Binary;
using SkiaSharp;

namespace AnchorScope.Prompts;

/// <summary>
/// Decodes WebP, GIF and BMP with Skia, if the result has Pillow's samples. Other variants are an error. Colour profiles are not applied.
/// </summary>
internal static unsafe class SkiaReader
{
    private const int BmpHeader = 54;

    /// <param name="file">The whole file.</param>
    /// <param name="format">A name of <see cref="PictureFormat"/>.</param>
    /// <param name="limit">What size the picture may have.</param>
    /// <param name="orientation">From EXIF; 0 without one.</param>
    /// <exception cref="InvalidDataException">The file is damaged, truncated, or of a kind that Pillow decodes differently, or there is no
    /// native decoder on this system.</exception>
    public static Picture Decode(ReadOnlySpan<byte> file, string format, PictureLimit limit, out int orientation)
    {
        if (format == PictureFormat.Bmp) RequirePlainBmp(file);
        try
        {
            using var data = SKData.CreateCopy(file);
            using var codec = SKCodec.Create(data) ?? throw new InvalidDataException(
                $"{format} that is damaged or of a kind that is not supported");
            limit.Require(codec.Info.Width, codec.Info.Height);
            orientation = (int)codec.EncodedOrigin;
            // Alpha is not premultiplied: colours of transparent pixels remain as stored.
            var info = new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888,
                codec.Info.AlphaType == SKAlphaType.Opaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul, null);
            var pixels = new byte[4L * info.Width * info.Height];
            fixed (byte* address = pixels)
            {
                var result = codec.GetPixels(info, (nint)address);
                if (result != SKCodecResult.Success) throw new InvalidDataException(
                    $"{format} truncated or damaged: the decoder says {result}");
            }
            var clear = format == PictureFormat.Gif ? Enumerable.Range(0, pixels.Length / 4)
                .FirstOrDefault(i => pixels[4 * i + 3] < 255, -1) : -1;
            if (clear >= 0)
                throw new InvalidDataException(
                    $"{format} with transparent pixels (the first at column "
                        + $"{clear % info.Width}, row {clear / info.Width}): the reference shows the colour beneath, which is lost here; "
                        + "store it as PNG");
            return new Picture(info.Width, info.Height, WithoutAlpha(pixels));
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException)
        {
            throw new InvalidDataException($"{format}: this system has no native decoder for it (libSkiaSharp); store it as PNG or JPEG",
                e);
        }
    }

    private static byte[] WithoutAlpha(byte[] pixels)
    {
        var rgb = new byte[pixels.Length / 4 * 3];
        for (int from = 0, to = 0; to < rgb.Length; from += 4, to += 3) (rgb[to], rgb[to + 1], rgb[to + 2]) =
            (pixels[from], pixels[from + 1], pixels[from + 2]);
        return rgb;
    }

    /// <summary>Throws for samples of 5 bits and run-length encoding, which were not compared with Pillow.</summary>
    private static void RequirePlainBmp(ReadOnlySpan<byte> file)
    {
        if (file.Length < BmpHeader) throw new InvalidDataException($"BMP truncated: {file.Length} bytes, a header has {BmpHeader}");
        var header = BinaryPrimitives.ReadUInt32LittleEndian(file[14..]);
        if (header < 40) throw new InvalidDataException($"BMP with a header of {header} bytes (expected 40 or more, as Windows writes it)");
        var (bits, packing) = (BinaryPrimitives.ReadUInt16LittleEndian(file[28..]), BinaryPrimitives.ReadUInt32LittleEndian(file[30..]));
        if (bits is not (1 or 4 or 8 or 24 or 32) || !(packing == 0 || (packing == 3 && bits == 32)))
            throw new InvalidDataException(
                $"BMP with {bits} bits a pixel, compression {packing} (expected 1, 4, 8, 24 or 32 bits without compression, "
                    + "or 32 bits with bit fields)");
    }
}
