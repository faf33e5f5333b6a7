using System.Buffers.Binary;

namespace AnchorScope.Prompts;

/// <summary>
/// Checks the first directory of a TIFF before the library reads it, which takes memory for as many values as a tag claims to have.
/// </summary>
internal static class TiffDirectory
{
    private const int Width = 256, Height = 257, RowsPerStrip = 278, StripBytes = 279;

    /// <summary>Throws unless everything that the directory claims fits into the file.</summary>
    /// <param name="limit">What size the picture may have.</param>
    /// <exception cref="InvalidDataException">It does not.</exception>
    public static void Check(ReadOnlySpan<byte> file, PictureLimit limit)
    {
        var little = file[0] == 'I';
        var directory = Number(file, 4, 4, little);
        var count = Number(file, directory, 2, little);
        long width = 0, height = 0, rows = uint.MaxValue;
        for (var i = 0; i < count; i++)
        {
            var at = directory + 2 + 12L * i;
            var (tag, type, values) = (Number(file, at, 2, little), Number(file, at + 2, 2, little), Number(file, at + 4, 4, little));
            if (values * BytesOf(type) > file.Length)
                throw new InvalidDataException($"TIFF damaged: tag {tag} claims {values} values, more than the file can hold");
            if (tag == StripBytes) CheckStrips(file, at, (int)values, type == 3 ? 2 : 4, little);
            // One value of 16 or 32 bits stands in the entry itself.
            var value = Number(file, at + 8, type == 3 ? 2 : 4, little);
            if (tag == Width) width = value;
            else if (tag == Height) height = value;
            else if (tag == RowsPerStrip) rows = value;
        }
        limit.Require(width, height);
        // A strip has at least one byte.
        if (rows == 0 || (height - 1) / rows >= file.Length)
            throw new InvalidDataException($"TIFF damaged: {height} rows in strips of {rows}, more strips than the file can hold");
    }

    /// <summary>Throws unless each strip is smaller than the file. The library takes memory for a strip before it reads it.</summary>
    private static void CheckStrips(ReadOnlySpan<byte> file, long entry, int count, int bytes, bool little)
    {
        var at = count * bytes <= 4 ? entry + 8 : Number(file, entry + 8, 4, little);
        for (var i = 0; i < count; i++)
        {
            if (Number(file, at + (long)i * bytes, bytes, little) is var strip && strip > file.Length)
                throw new InvalidDataException($"TIFF damaged: strip {i} claims {strip} bytes, more than the file has");
        }
    }

    private static int BytesOf(long type) => type switch
    {
        3 or 8 => 2,
        4 or 9 or 11 or 13 => 4,
        5 or 10 or 12 => 8,
        _ => 1,
    };

    private static long Number(ReadOnlySpan<byte> file, long at, int bytes, bool little)
    {
        if (at + bytes > file.Length) throw new InvalidDataException("TIFF truncated: its directory of tags is beyond its end");
        var value = file.Slice((int)at, bytes);
        return bytes == 2
            ? little ? BinaryPrimitives.ReadUInt16LittleEndian(value) : BinaryPrimitives.ReadUInt16BigEndian(value)
            : little ? BinaryPrimitives.ReadUInt32LittleEndian(value) : BinaryPrimitives.ReadUInt32BigEndian(value);
    }
}
