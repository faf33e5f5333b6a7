using System.Buffers.Binary;

namespace AnchorScope.Prompts;

/// <summary>
/// Decodes JPEG (ITU T.81): baseline, extended sequential and progressive Huffman coding with 8-bit samples and 1, 3 or 4 components. The
/// samples have the bits of libjpeg-turbo with its defaults, which Pillow uses. Damaged data for which libjpeg warns and continues with
/// grey is an error here.
/// </summary>
/// <param name="limit">What size the picture may have.</param>
internal sealed class JpegReader(PictureLimit limit)
{
    private const int EndOfImage = 0xD9, StartOfScan = 0xDA;

    /// <summary>
    /// Maximum number of scans. A real encoder needs about ten; a small hostile file with thousands of scans of a large picture would take
    /// hours.
    /// </summary>
    private const int MostScans = 500;

    private readonly ushort[]?[] quantization = new ushort[]?[4];
    private readonly JpegHuffman?[] dcTables = new JpegHuffman?[4];
    private readonly JpegHuffman?[] acTables = new JpegHuffman?[4];
    private readonly List<JpegComponent> components = [];
    private int width;
    private int height;
    private bool progressive;
    private int restartInterval;
    private bool jfif;
    private int? adobeTransform;
    private int exifOrientation;
    private int xmpOrientation;

    /// <param name="file">The whole file.</param>
    /// <param name="orientation">From EXIF, otherwise from XMP; 0 if neither states one.</param>
    /// <exception cref="InvalidDataException">The file is damaged, truncated or of an unsupported kind.</exception>
    public Picture Decode(ReadOnlySpan<byte> file, out int orientation)
    {
        var at = 2; // after the start marker
        var scans = 0;
        while (!IsComplete(ended: false))
        {
            var marker = NextMarker(file, ref at);
            if (marker == EndOfImage)
                break;
            var segment = Segment(file, ref at, marker);
            if (marker != StartOfScan)
            {
                ReadSegment(marker, segment, file.Length);
                continue;
            }
            if (++scans > MostScans)
                throw new InvalidDataException($"JPEG with more than {MostScans} scans");
            at = ParseScan(segment).Read(file, at);
        }
        if (!IsComplete(ended: true))
            throw new InvalidDataException(components.Count == 0
                ? "JPEG damaged: no frame header before the end"
                : "JPEG truncated: the end comes before all of the picture was sent");
        orientation = exifOrientation != 0 ? exifOrientation : xmpOrientation;
        return Assemble();
    }

    /// <summary>
    /// A sequential picture is complete when every component was sent. A progressive one may get more bits until it ends; the coefficients
    /// with which libjpeg smooths unfinished pictures (zigzag positions 0 to 9) must be sent completely.
    /// </summary>
    private bool IsComplete(bool ended) => components.Count > 0 && (progressive
        ? ended && components.TrueForAll(component => Array.TrueForAll(component.MissingBits[..10], missing => missing == 0))
        : components.TrueForAll(component => component.Quantization is not null));

    private static int NextMarker(ReadOnlySpan<byte> file, ref int at)
    {
        while (at + 1 < file.Length)
        {
            if (file[at] == 0xFF && file[at + 1] is not (0x00 or 0xFF))
            {
                at += 2;
                return file[at - 1];
            }
            at++;
        }
        throw new InvalidDataException("JPEG truncated: the file ends before its end marker");
    }

    private static ReadOnlySpan<byte> Segment(ReadOnlySpan<byte> file, ref int at, int marker)
    {
        var start = at;
        if (marker is 0x01 or (>= 0xD0 and <= 0xD8))
            throw new InvalidDataException($"JPEG damaged: marker {marker:X2} at byte {start - 2} is out of place");
        var length = file.Length - start >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(file[start..]) : 0;
        if (length < 2 || length > file.Length - start)
            throw new InvalidDataException($"JPEG damaged or truncated: segment {marker:X2} at byte {start - 2} is longer than the file");
        at = start + length;
        return file[(start + 2)..at];
    }

    private void ReadSegment(int marker, ReadOnlySpan<byte> segment, int fileLength)
    {
        switch (marker)
        {
            case 0xC0 or 0xC1 or 0xC2:
                progressive = marker == 0xC2;
                ReadFrame(segment, fileLength);
                break;
            case 0xC4:
                ReadHuffmanTables(segment);
                break;
            case 0xC3 or (>= 0xC5 and <= 0xCF and not 0xC8 and not 0xCC):
                throw new InvalidDataException(
                    $"JPEG with lossless, hierarchical or arithmetic coding (frame {marker:X2}) is not supported");
            case 0xDB:
                ReadQuantizationTables(segment);
                break;
            case 0xDD:
                Require(segment.Length == 2, "restart interval");
                restartInterval = BinaryPrimitives.ReadUInt16BigEndian(segment);
                break;
            case 0xE0:
                jfif |= segment.Length >= 14 && segment.StartsWith("JFIF\0"u8);
                break;
            case 0xE1 when exifOrientation == 0 && segment.StartsWith("Exif\0\0"u8):
                exifOrientation = ExifOrientation.OfTiff(segment[6..]);
                break;
            case 0xE1 when segment.StartsWith("http://ns.adobe.com/xap/1.0/\0"u8):
                xmpOrientation = ExifOrientation.OfXmp(segment);
                break;
            case 0xEE when segment.Length >= 12 && segment.StartsWith("Adobe"u8):
                adobeTransform = segment[11];
                break;
        }
    }

    private void ReadFrame(ReadOnlySpan<byte> segment, int fileLength)
    {
        Require(components.Count == 0, "second frame header");
        Require(segment.Length >= 6 && segment.Length == 6 + 3 * segment[5], "frame header");
        if (segment[0] != 8)
            throw new InvalidDataException($"JPEG with {segment[0]}-bit samples is not supported (expected 8)");
        height = BinaryPrimitives.ReadUInt16BigEndian(segment[1..]);
        width = BinaryPrimitives.ReadUInt16BigEndian(segment[3..]);
        limit.Require(width, height);
        if (segment[5] is not (1 or 3 or 4))
            throw new InvalidDataException($"JPEG with {segment[5]} components is not supported (expected 1, 3 or 4)");
        for (var i = 6; i < segment.Length; i += 3)
        {
            int horizontal = segment[i + 1] >> 4, vertical = segment[i + 1] & 15;
            Require(horizontal is >= 1 and <= 4 && vertical is >= 1 and <= 4 && segment[i + 2] < 4, "component of the frame header");
            foreach (var other in components)
                Require(other.Id != segment[i], "frame header with two components of the same name");
            components.Add(new JpegComponent(segment[i], horizontal, vertical, segment[i + 2]));
        }
        var blocks = 0L;
        foreach (var component in components)
        {
            component.Lay(width, height, MostHorizontal, MostVertical);
            blocks += (long)component.BlocksAcross * component.BlocksDown;
        }
        // Every block needs at least one bit.
        if (blocks > 8L * fileLength)
            throw new InvalidDataException($"JPEG truncated: {fileLength} bytes cannot hold {width}x{height} pixels");
        foreach (var component in components)
            component.Allocate();
    }

    private void ReadQuantizationTables(ReadOnlySpan<byte> segment)
    {
        while (!segment.IsEmpty)
        {
            int slot = segment[0] & 15, bytes = (segment[0] >> 4) + 1;
            Require(slot < 4 && bytes <= 2 && segment.Length >= 1 + 64 * bytes, "quantization table");
            var table = new ushort[64];
            for (var k = 0; k < 64; k++)
                table[JpegScan.ZigZag[k]] = bytes == 1 ? segment[1 + k] : BinaryPrimitives.ReadUInt16BigEndian(segment[(1 + 2 * k)..]);
            quantization[slot] = table;
            segment = segment[(1 + 64 * bytes)..];
        }
    }

    private void ReadHuffmanTables(ReadOnlySpan<byte> segment)
    {
        while (!segment.IsEmpty)
        {
            Require(segment.Length >= 17 && (segment[0] & 0xEF) < 4, "Huffman table");
            var symbols = 0;
            foreach (var count in segment[1..17])
                symbols += count;
            Require(symbols <= 256 && segment.Length >= 17 + symbols, "Huffman table");
            var table = new JpegHuffman(segment[1..17], segment.Slice(17, symbols));
            (segment[0] < 4 ? dcTables : acTables)[segment[0] & 15] = table;
            segment = segment[(17 + symbols)..];
        }
    }

    private JpegScan ParseScan(ReadOnlySpan<byte> segment)
    {
        Require(components.Count > 0, "scan before the frame header");
        Require(segment.Length >= 1 && segment[0] is >= 1 and <= 4 && segment.Length == 4 + 2 * segment[0], "scan header");
        var end = 1 + 2 * segment[0];
        int first = segment[end], last = segment[end + 1], before = segment[end + 2] >> 4, low = segment[end + 2] & 15;
        if (progressive)
        {
            Require(first == 0 ? last == 0 : last is < 64 && last >= first && segment[0] == 1, "range of a progressive scan");
            Require(low <= 13 && (before == 0 || before == low + 1), "bits of a progressive scan");
        }
        var parts = new List<JpegScanPart>();
        for (var i = 1; i < end; i += 2)
        {
            var id = segment[i];
            var component = components.Find(c => c.Id == id);
            Require(component is not null && !parts.Exists(part => part.Component == component), "component of a scan");
            var (dcSlot, acSlot) = (segment[i + 1] >> 4, segment[i + 1] & 15);
            var needsDc = !progressive || (first == 0 && before == 0);
            var needsAc = !progressive || first > 0;
            var dc = dcSlot < 4 ? dcTables[dcSlot] : null;
            var ac = acSlot < 4 ? acTables[acSlot] : null;
            Require((dc is not null || !needsDc) && (ac is not null || !needsAc), "Huffman table of a scan (it is missing)");
            component!.Quantization ??= quantization[component.QuantizationSlot];
            Require(component.Quantization is not null, "quantization table of a component (it is missing)");
            for (var k = first; progressive && k <= last; k++)
            {
                Require(component.MissingBits[k] == (before == 0 ? -1 : before), "order of the progressive scans");
                component.MissingBits[k] = low;
            }
            parts.Add(new JpegScanPart(component, dc, ac));
        }
        Require(parts.Count == 1 || parts.Sum(part => part.Component.Horizontal * part.Component.Vertical) <= 10, "scan with large units");
        return new JpegScan
        {
            Parts = parts,
            Progressive = progressive,
            First = first,
            Last = last,
            Refines = before > 0,
            LowBit = low,
            RestartInterval = restartInterval,
        };
    }

    private Picture Assemble()
    {
        var upsamplings = components.ConvertAll(component => new JpegUpsampling(component, MostHorizontal, MostVertical));
        foreach (var component in components)
            component.Transform();
        var colour = new JpegColour(components, jfif, adobeTransform);
        var rows = components.Select(_ => new byte[width]).ToArray();
        var rgb = new byte[3 * width * height];
        for (var y = 0; y < height; y++)
        {
            for (var c = 0; c < rows.Length; c++)
                upsamplings[c].Row(y, rows[c]);
            colour.Row(rows, rgb.AsSpan(3 * width * y, 3 * width));
        }
        return new Picture(width, height, rgb);
    }

    private int MostHorizontal => components.Max(component => component.Horizontal);

    private int MostVertical => components.Max(component => component.Vertical);

    private static void Require(bool condition, string what)
    {
        if (!condition)
            throw new InvalidDataException($"JPEG damaged: invalid {what}");
    }
}
