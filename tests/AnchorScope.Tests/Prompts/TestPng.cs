using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace AnchorScope.Tests.Prompts;

/// <summary>Writes PNG files of every kind, valid or not, for the tests of the reader. It shares no code with the library.</summary>
internal static class TestPng
{
    private static readonly int[][] Adam7 =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

    public static int Channels(int colourType) => colourType switch { 2 => 3, 4 => 2, 6 => 4, _ => 1 };

    /// <param name="samples">[height, width, channels], each of bitDepth bits.</param>
    /// <param name="filter">Row filter 0 to 4; 5 takes them in turn.</param>
    public static byte[] Encode(
        int width, int height, int colourType, int bitDepth, int[] samples, bool interlaced = false, int filter = 0,
        (string, byte[])? extra = null)
    {
        var raw = new MemoryStream();
        foreach (var pass in interlaced ? Adam7 : [[0, 0, 1, 1]])
            WritePass(raw, pass, width, height, Channels(colourType), bitDepth, samples, filter);
        var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
            zlib.Write(raw.ToArray());
        var data = compressed.ToArray();
        (string, byte[])[] chunks =
        [
            ("IHDR", Header(width, height, bitDepth, colourType, interlaced)),
            .. extra is { } chunk ? new[] { chunk } : [],
            ("IDAT", data[..(data.Length / 2)]),
            ("IDAT", data[(data.Length / 2)..]),
            ("IEND", []),
        ];
        return File(chunks);
    }

    public static byte[] Header(int width, int height, int bitDepth, int colourType, bool interlaced = false)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        header[8] = (byte)bitDepth;
        header[9] = (byte)colourType;
        header[12] = interlaced ? (byte)1 : (byte)0;
        return header;
    }

    public static byte[] File(params (string Type, byte[] Data)[] chunks)
    {
        var file = new MemoryStream();
        file.Write([137, 80, 78, 71, 13, 10, 26, 10]);
        foreach (var (type, data) in chunks)
        {
            var length = new byte[4];
            BinaryPrimitives.WriteInt32BigEndian(length, data.Length);
            byte[] body = [.. Encoding.ASCII.GetBytes(type), .. data];
            file.Write([.. length, .. body]);
            BinaryPrimitives.WriteUInt32BigEndian(length, Crc(body));
            file.Write(length);
        }
        return file.ToArray();
    }

    public static byte[] Compress(params byte[] raw)
    {
        var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
            zlib.Write(raw);
        return compressed.ToArray();
    }

    private static void WritePass(
        MemoryStream raw, int[] pass, int width, int height, int channels, int bitDepth, int[] samples, int filter)
    {
        var above = Array.Empty<byte>();
        var rowNumber = 0;
        for (var y = pass[1]; y < height; y += pass[3])
        {
            var bits = new StringBuilder();
            for (var x = pass[0]; x < width; x += pass[2])
            {
                for (var c = 0; c < channels; c++)
                    bits.Append(Convert.ToString(samples[(y * width + x) * channels + c], 2).PadLeft(bitDepth, '0'));
            }
            if (bits.Length == 0)
                return;
            bits.Append('0', (8 - bits.Length % 8) % 8);
            var row = Enumerable.Range(0, bits.Length / 8).Select(i => Convert.ToByte(bits.ToString(8 * i, 8), 2)).ToArray();
            if (above.Length == 0)
                above = new byte[row.Length];
            var kind = filter == 5 ? rowNumber++ % 5 : filter;
            raw.WriteByte((byte)kind);
            var distance = Math.Max(1, channels * bitDepth / 8);
            for (var i = 0; i < row.Length; i++)
            {
                int left = i >= distance ? row[i - distance] : 0, up = above[i], corner = i >= distance ? above[i - distance] : 0;
                var guess = left + up - corner;
                var nearest = new[] { left, up, corner }.MinBy(v => Math.Abs(guess - v)); // the first of equals, as Paeth orders them
                raw.WriteByte((byte)(row[i] - kind switch { 0 => 0, 1 => left, 2 => up, 3 => (left + up) / 2, _ => nearest }));
            }
            above = row;
        }
    }

    private static uint Crc(byte[] bytes)
    {
        var crc = 0xFFFFFFFFu;
        foreach (var b in bytes)
        {
            for (var bit = 0; bit < 8; bit++)
                crc = (((crc ^ (uint)(b >> bit)) & 1) != 0 ? 0xEDB88320u : 0) ^ (crc >> 1);
        }
        return ~crc;
    }
}
