using System.Buffers.Binary;

namespace AnchorScope.Prompts;

/// <summary>
/// Finds the orientation of a camera: 1 upright, 2 to 8 mirrored or rotated (EXIF 2.32, tag 0x0112), 0 if it is not stated.
/// </summary>
internal static class ExifOrientation
{
    private const ushort OrientationTag = 0x0112;

    /// <summary>
    /// Reads the first directory of a TIFF structure, the format of an EXIF block. A directory that ends too early gives 0, as in the
    /// reference.
    /// </summary>
    /// <exception cref="InvalidDataException">There is no TIFF header.</exception>
    public static int OfTiff(ReadOnlySpan<byte> tiff)
    {
        if (tiff.IsEmpty)
            return 0;
        var little = tiff.StartsWith("II*\0"u8);
        if (tiff.Length < 8 || !(little || tiff.StartsWith("MM\0*"u8)))
            throw new InvalidDataException("EXIF block without a TIFF header");
        var directory = UInt32(tiff[4..], little);
        if (directory > tiff.Length - 2)
            return 0;
        int entries = UInt16(tiff[(int)directory..], little);
        for (var i = 0; i < entries; i++)
        {
            var at = (int)directory + 2 + 12 * i;
            if (at + 12 > tiff.Length)
                return 0;
            var entry = tiff.Slice(at, 12);
            if (UInt16(entry, little) == OrientationTag && UInt32(entry[4..], little) == 1)
                return Value(entry, little);
        }
        return 0;
    }

    /// <summary>The tiff:Orientation of an XMP packet, which the reference reads if EXIF has none.</summary>
    public static int OfXmp(ReadOnlySpan<byte> packet)
    {
        var name = "tiff:Orientation"u8;
        for (var at = packet.IndexOf(name); at >= 0; at = packet.IndexOf(name))
        {
            packet = packet[(at + name.Length)..];
            var value = packet.StartsWith("=\""u8) ? packet[2..] : packet.StartsWith(">"u8) ? packet[1..] : default;
            if (!value.IsEmpty && char.IsAsciiDigit((char)value[0]))
                return value[0] - '0';
        }
        return 0;
    }

    private static int Value(ReadOnlySpan<byte> entry, bool little)
    {
        const int Byte = 1, Short = 3, Long = 4;
        var value = UInt16(entry[2..], little) switch
        {
            Byte => entry[8],
            Short => UInt16(entry[8..], little),
            Long => UInt32(entry[8..], little),
            _ => 0u,
        };
        return value <= 8 ? (int)value : 0;
    }

    private static ushort UInt16(ReadOnlySpan<byte> at, bool little) =>
        little ? BinaryPrimitives.ReadUInt16LittleEndian(at) : BinaryPrimitives.ReadUInt16BigEndian(at);

    private static uint UInt32(ReadOnlySpan<byte> at, bool little) =>
        little ? BinaryPrimitives.ReadUInt32LittleEndian(at) : BinaryPrimitives.ReadUInt32BigEndian(at);
}
