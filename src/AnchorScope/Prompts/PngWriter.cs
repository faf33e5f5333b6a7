using System.Buffers.Binary;
using System.IO.Compression;

namespace AnchorScope.Prompts;

/// <summary>Writes a picture as an 8-bit RGB PNG. Each row is stored as differences from the pixel to the left.</summary>
internal static class PngWriter
{
    private const byte SubFilter = 1;

    /// <param name="level">Without compression, the bytes do not depend on the compression library.</param>
    public static byte[] Encode(Picture picture, CompressionLevel level = CompressionLevel.Optimal)
    {
        var file = new MemoryStream();
        file.Write(PngReader.Signature);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, picture.Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), picture.Height);
        header[8] = 8; // bits per sample
        header[9] = 2; // RGB
        WriteChunk(file, "IHDR"u8, header);
        WriteChunk(file, "IDAT"u8, Compress(picture, level));
        WriteChunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    private static byte[] Compress(Picture picture, CompressionLevel level)
    {
        var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, level, leaveOpen: true))
        {
            var line = new byte[1 + 3 * picture.Width];
            line[0] = SubFilter;
            for (var y = 0; y < picture.Height; y++)
            {
                var row = picture.Rgb.AsSpan(3 * y * picture.Width, 3 * picture.Width);
                for (var i = 0; i < row.Length; i++)
                    line[1 + i] = (byte)(row[i] - (i >= 3 ? row[i - 3] : 0));
                zlib.Write(line);
            }
        }
        return compressed.ToArray();
    }

    private static void WriteChunk(MemoryStream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        var chunk = new byte[12 + data.Length]; // length, type, data, check sum
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        type.CopyTo(chunk.AsSpan(4));
        data.CopyTo(chunk.AsSpan(8));
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(8 + data.Length), PngCrc.Of(chunk.AsSpan(4, 4 + data.Length)));
        file.Write(chunk);
    }
}
