using BitMiracle.LibTiff.Classic;

namespace AnchorScope.Prompts;

/// <summary>
/// Decodes the first picture of a TIFF to the samples of Pillow's <c>convert("RGB")</c>: 8-bit grey, palette and RGB, and black and white,
/// in rows; uncompressed, LZW, Deflate or PackBits. Everything else is an error.
/// </summary>
internal static class TiffReader
{
    private static readonly Compression[] Lossless = [Compression.NONE, Compression.LZW, Compression.ADOBE_DEFLATE, Compression.DEFLATE,
        Compression.PACKBITS];

    /// <summary>Discards messages that the library would write to standard error.</summary>
    private sealed class Silent : TiffErrorHandler
    {
        public override void ErrorHandler(Tiff tif, string method, string format, params object[] args)
        {
        }

        public override void WarningHandler(Tiff tif, string method, string format, params object[] args)
        {
        }
    }

    static TiffReader() => Tiff.SetErrorHandler(new Silent());

    /// <param name="file">The whole file.</param>
    /// <param name="limit">What size the picture may have.</param>
    /// <param name="orientation">The file's tag; 1 without one.</param>
    /// <exception cref="InvalidDataException">The file is damaged, truncated, or of an unsupported kind.</exception>
    public static Picture Decode(ReadOnlySpan<byte> file, PictureLimit limit, out int orientation)
    {
        TiffDirectory.Check(file, limit);
        try
        {
            using var tiff = Tiff.ClientOpen("picture", "rm", new MemoryStream(file.ToArray()),
                new Source()) ?? throw new InvalidDataException("TIFF damaged: no directory of tags");
            orientation = Number(tiff, TiffTag.ORIENTATION, 1);
            var (width, height) = (Number(tiff, TiffTag.IMAGEWIDTH, 0), Number(tiff, TiffTag.IMAGELENGTH, 0));
            limit.Require(width, height);
            return new Picture(width, height, Rows(tiff, width, height));
        }
        catch (Exception e) when (e is not InvalidDataException and not OutOfMemoryException)
        {
            throw new InvalidDataException($"TIFF damaged: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static byte[] Rows(Tiff tiff, int width, int height)
    {
        var (bits, samples) = (Number(tiff, TiffTag.BITSPERSAMPLE, 1), Number(tiff, TiffTag.SAMPLESPERPIXEL, 1));
        var kind = (Photometric)Number(tiff, TiffTag.PHOTOMETRIC, (int)Photometric.MINISBLACK);
        Require("compression", (Compression)Number(tiff, TiffTag.COMPRESSION, 1), Lossless);
        Require("planar configuration", (PlanarConfig)Number(tiff, TiffTag.PLANARCONFIG, (int)PlanarConfig.CONTIG), PlanarConfig.CONTIG);
        Require("sample format", (SampleFormat)Number(tiff, TiffTag.SAMPLEFORMAT, (int)SampleFormat.UINT), SampleFormat.UINT);
        if (tiff.IsTiled()) throw new InvalidDataException("TIFF in tiles (expected rows)");
        var known = kind switch
        {
            Photometric.RGB => bits == 8 && samples is 3 or 4,
            Photometric.MINISBLACK or Photometric.MINISWHITE => samples == 1 && bits is 1 or 8,
            Photometric.PALETTE => samples == 1 && bits == 8,
            _ => false,
        };
        if (!known) throw new InvalidDataException(
            $"TIFF of kind {kind} with {samples} samples of {bits} bits (expected RGB, grey or palette of 8 bits, or black and white)");
        if (samples == 4 && tiff.GetField(TiffTag.EXTRASAMPLES) is { Length: > 1 } extra && extra[1]
            .ToShortArray() is [(short)ExtraSample.ASSOCALPHA, ..])
            throw new InvalidDataException("TIFF whose colours are multiplied with their alpha (expected alpha beside them, or none)");
        var palette = kind == Photometric.PALETTE ? tiff.GetField(TiffTag.COLORMAP) ?? throw new InvalidDataException(
            "TIFF with palette colours but without a palette") : null;
        var colours = palette?.Select(channel => channel.ToShortArray()).ToArray();
        var rgb = new byte[3L * width * height];
        var row = new byte[tiff.ScanlineSize()];
        for (var y = 0; y < height; y++)
        {
            if (!tiff.ReadScanline(row, y)) throw new InvalidDataException($"TIFF truncated or damaged in row {y}");
            for (var x = 0; x < width; x++)
            {
                var pixel = rgb.AsSpan(3 * (y * width + x), 3);
                if (kind == Photometric.RGB) row.AsSpan(samples * x, 3).CopyTo(pixel);
                else if (colours is not null) for (var c = 0; c < 3; c++) pixel[c] = (byte)((ushort)colours[c][row[x]] >> 8);
                else pixel.Fill((byte)(Grey(row, x, bits) ^ (kind == Photometric.MINISWHITE ? 255 : 0)));
            }
        }
        return rgb;
    }

    private static byte Grey(byte[] row, int x, int bits) => bits == 8 ? row[x] : (row[x / 8] >> (7 - x % 8) & 1) == 1 ? (byte)255
        : (byte)0;

    private static void Require<T>(string what, T found, params IReadOnlyList<T> expected)
    {
        if (!expected.Contains(found)) throw new InvalidDataException($"TIFF with {what} {found} (expected {string.Join(", ", expected)})");
    }

    private static int Number(Tiff tiff, TiffTag tag, int otherwise) => tiff.GetField(tag) is { Length: > 0 } field ? field[0].ToInt()
        : otherwise;

    /// <summary>A file in memory.</summary>
    private sealed class Source : TiffStream
    {
        public override int Read(object clientData, byte[] buffer, int offset, int count) => ((MemoryStream)clientData)
            .Read(buffer, offset, count);

        public override long Seek(object clientData, long offset, SeekOrigin origin) => ((MemoryStream)clientData).Seek(offset, origin);

        public override long Size(object clientData) => ((MemoryStream)clientData).Length;
    }
}
