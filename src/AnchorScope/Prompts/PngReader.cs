using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace AnchorScope.Prompts;

/// <summary>
/// Decodes PNG (ISO/IEC 15948) to the samples of Pillow's <c>convert("RGB")</c>: alpha and tRNS are dropped, 16-bit samples are reduced to
/// their high byte (grey ones are clamped to 255), and 1, 2 and 4-bit grey is scaled to 0..255. Gamma and colour profiles are not applied.
/// </summary>
internal static class PngReader
{
    private const int Grey = 0, Rgb = 2, Palette = 3, GreyAlpha = 4, RgbAlpha = 6;

    /// <summary>Deflate expands one byte to at most 1032. A smaller file cannot contain a picture of the size in its header.</summary>
    private const long MostInflation = 1032;

    /// <summary>First column, first row, column step and row step of the seven passes of an interlaced picture.</summary>
    private static readonly (int X, int Y, int StepX, int StepY)[] Adam7 =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <param name="file">The whole file, including the signature.</param>
    /// <param name="limit">What size the picture may have.</param>
    /// <param name="orientation">From an eXIf chunk; 0 without one.</param>
    /// <exception cref="InvalidDataException">The file is damaged, truncated or not valid PNG; the message says where.</exception>
    public static Picture Decode(ReadOnlySpan<byte> file, PictureLimit limit, out int orientation)
    {
        Header? header = null;
        byte[]? palette = null;
        var compressed = new MemoryStream();
        var lastType = "";
        orientation = 0;
        for (var at = Signature.Length; lastType != "IEND";)
        {
            var data = Chunk(file, ref at, out var type);
            if ((type == "IHDR") == header.HasValue)
                throw new InvalidDataException(
                    type == "IHDR" ? "PNG with two IHDR chunks" : $"PNG begins with chunk {type} instead of IHDR");
            switch (type)
            {
                case "IHDR":
                    header = Header.Parse(data, limit);
                    break;
                case "PLTE":
                    if (data.Length % 3 != 0 || data.Length is 0 or > 768)
                        throw new InvalidDataException($"PNG palette of {data.Length} bytes (expected 3 for each of 1 to 256 colours)");
                    palette = data.ToArray();
                    break;
                case "IDAT":
                    if (compressed.Length > 0 && lastType != "IDAT")
                        throw new InvalidDataException($"PNG pixel data interrupted by chunk {lastType}");
                    compressed.Write(data);
                    break;
                case "eXIf":
                    orientation = ExifOrientation.OfTiff(data);
                    break;
            }
            lastType = type;
        }
        if (header!.Value.ColourType == Palette && palette is null)
            throw new InvalidDataException("PNG with palette colours but without a PLTE chunk");
        compressed.Position = 0;
        return Pixels(header.Value, palette, compressed);
    }

    private static ReadOnlySpan<byte> Chunk(ReadOnlySpan<byte> file, ref int at, out string type)
    {
        if (file.Length - at < 12)
            throw new InvalidDataException($"PNG truncated: a chunk is missing at byte {at}");
        var length = BinaryPrimitives.ReadUInt32BigEndian(file[at..]);
        type = Encoding.Latin1.GetString(file.Slice(at + 4, 4));
        if (!type.All(char.IsAsciiLetter))
            throw new InvalidDataException($"PNG damaged: no chunk type at byte {at + 4}");
        if (length > file.Length - at - 12)
            throw new InvalidDataException(
                $"PNG truncated: chunk {type} at byte {at} promises {length} bytes, {file.Length - at - 12} are left");
        var end = at + 8 + (int)length;
        if (BinaryPrimitives.ReadUInt32BigEndian(file[end..]) != PngCrc.Of(file[(at + 4)..end]))
            throw new InvalidDataException($"PNG damaged: wrong check sum of chunk {type} at byte {at}");
        var data = file[(at + 8)..end];
        at = end + 4;
        return data;
    }

    private static Picture Pixels(Header header, byte[]? palette, MemoryStream compressed)
    {
        (int X, int Y, int StepX, int StepY)[] passes = header.Interlaced ? Adam7 : [(0, 0, 1, 1)];
        var expected = passes.Sum(pass => (long)header.Rows(pass) * (1 + header.RowBytes(pass)));
        if (expected > MostInflation * compressed.Length)
            throw new InvalidDataException(
                $"PNG truncated: {compressed.Length} bytes of pixel data cannot hold {header.Width}x{header.Height} pixels");
        var rgb = new byte[3 * header.Width * header.Height];
        using var inflated = new ZLibStream(compressed, CompressionMode.Decompress);
        foreach (var pass in passes)
        {
            var columns = header.Columns(pass);
            if (columns == 0)
                continue;
            var row = new byte[header.RowBytes(pass)];
            var above = new byte[row.Length];
            for (var y = pass.Y; y < header.Height; y += pass.StepY)
            {
                ReadRow(inflated, row, above, header.PixelBytes);
                for (var i = 0; i < columns; i++)
                    WritePixel(header, palette, row, i, rgb.AsSpan(3 * (y * header.Width + pass.X + i * pass.StepX), 3));
                (row, above) = (above, row);
            }
        }
        return new Picture(header.Width, header.Height, rgb);
    }

    private static void ReadRow(ZLibStream inflated, byte[] row, byte[] above, int pixelBytes)
    {
        int filter;
        try
        {
            filter = inflated.ReadByte();
            inflated.ReadExactly(row);
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException("PNG truncated: the pixel data ends before the last row", e);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException("PNG damaged: the pixel data is not valid zlib data", e);
        }
        if (filter is < 0 or > 4)
            throw new InvalidDataException($"PNG damaged: row filter {filter} (expected 0 to 4)");
        for (var i = 0; i < row.Length; i++)
        {
            int left = i >= pixelBytes ? row[i - pixelBytes] : 0, up = above[i], upLeft = i >= pixelBytes ? above[i - pixelBytes] : 0;
            row[i] += filter switch
            {
                0 => 0,
                1 => (byte)left,
                2 => (byte)up,
                3 => (byte)((left + up) / 2),
                _ => (byte)Paeth(left, up, upLeft),
            };
        }
    }

    private static int Paeth(int left, int up, int upLeft)
    {
        int toLeft = Math.Abs(up - upLeft), toUp = Math.Abs(left - upLeft), toUpLeft = Math.Abs(left + up - 2 * upLeft);
        return toLeft <= toUp && toLeft <= toUpLeft ? left : toUp <= toUpLeft ? up : upLeft;
    }

    private static void WritePixel(Header header, byte[]? palette, byte[] row, int i, Span<byte> rgb)
    {
        switch (header.ColourType)
        {
            case Rgb or RgbAlpha:
                var sampleBytes = header.BitDepth / 8; // the high byte comes first
                rgb[0] = row[i * header.PixelBytes];
                rgb[1] = row[i * header.PixelBytes + sampleBytes];
                rgb[2] = row[i * header.PixelBytes + 2 * sampleBytes];
                break;
            case GreyAlpha:
                rgb.Fill(row[i * header.PixelBytes]);
                break;
            case Palette:
                var index = Packed(row, i, header.BitDepth);
                // Indices beyond the palette are black, as in Pillow.
                if (3 * index < palette!.Length) palette.AsSpan(3 * index, 3).CopyTo(rgb);
                break;
            case Grey when header.BitDepth == 16:
                // Pillow keeps the 16-bit number and clamps it to 255: everything above 1/257 of the range is white.
                rgb.Fill(row[2 * i] > 0 ? (byte)255 : row[2 * i + 1]);
                break;
            default:
                rgb.Fill((byte)(Packed(row, i, header.BitDepth) * 255 / ((1 << header.BitDepth) - 1)));
                break;
        }
    }

    private static int Packed(byte[] row, int i, int bits)
    {
        var bit = i * bits;
        return (row[bit / 8] >> (8 - bits - bit % 8)) & ((1 << bits) - 1);
    }

    private readonly record struct Header(int Width, int Height, int BitDepth, int ColourType, bool Interlaced)
    {
        private int PixelBits => BitDepth * ColourType switch { Rgb => 3, GreyAlpha => 2, RgbAlpha => 4, _ => 1 };

        /// <summary>The distance of the row filters: bytes per pixel, at least 1.</summary>
        public int PixelBytes => (PixelBits + 7) / 8;

        public static Header Parse(ReadOnlySpan<byte> data, PictureLimit limit)
        {
            if (data.Length != 13)
                throw new InvalidDataException($"PNG header of {data.Length} bytes (expected 13)");
            uint width = BinaryPrimitives.ReadUInt32BigEndian(data), height = BinaryPrimitives.ReadUInt32BigEndian(data[4..]);
            limit.Require(width, height);
            int depth = data[8], type = data[9];
            var known = type switch
            {
                Grey => depth is 1 or 2 or 4 or 8 or 16,
                Palette => depth is 1 or 2 or 4 or 8,
                Rgb or GreyAlpha or RgbAlpha => depth is 8 or 16,
                _ => false,
            };
            if (!known)
                throw new InvalidDataException($"PNG colour type {type} with {depth} bits a sample does not exist");
            if (data[10] != 0 || data[11] != 0 || data[12] > 1)
                throw new InvalidDataException(
                    $"PNG compression {data[10]}, filter {data[11]}, interlace {data[12]} (expected 0, 0, 0 or 1)");
            return new Header((int)width, (int)height, depth, type, data[12] == 1);
        }

        public int Columns((int X, int Y, int StepX, int StepY) pass) => (Width - pass.X + pass.StepX - 1) / pass.StepX;

        /// <summary>Number of rows of a pass; 0 if the pass has no columns.</summary>
        public int Rows((int X, int Y, int StepX, int StepY) pass) =>
            Columns(pass) == 0 ? 0 : (Height - pass.Y + pass.StepY - 1) / pass.StepY;

        public int RowBytes((int X, int Y, int StepX, int StepY) pass) => checked((int)(((long)Columns(pass) * PixelBits + 7) / 8));
    }
}
