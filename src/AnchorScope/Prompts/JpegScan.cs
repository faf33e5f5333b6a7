namespace AnchorScope.Prompts;

/// <summary>One component of a scan, with the tables it uses. A table that the scan does not need may be null.</summary>
internal sealed record JpegScanPart(JpegComponent Component, JpegHuffman? Dc, JpegHuffman? Ac);

/// <summary>
/// Reads the coefficients of one scan (ITU T.81, annexes F and G). A sequential scan contains whole blocks; a progressive one a range of
/// zigzag positions, first without the lowest bits, later bit by bit.
/// </summary>
internal sealed class JpegScan
{
    /// <summary>Natural index (row * 8 + column) of each zigzag position.</summary>
    public static ReadOnlySpan<byte> ZigZag =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    private int endOfBandRun;

    public required IReadOnlyList<JpegScanPart> Parts { get; init; }

    public required bool Progressive { get; init; }

    /// <summary>First zigzag position of a progressive scan.</summary>
    public required int First { get; init; }

    /// <summary>Last zigzag position of a progressive scan.</summary>
    public required int Last { get; init; }

    /// <summary>Whether a progressive scan adds one bit to the coefficients of earlier scans.</summary>
    public required bool Refines { get; init; }

    /// <summary>Number of low bits that a progressive scan omits.</summary>
    public required int LowBit { get; init; }

    /// <summary>Units between restart markers; 0 for none.</summary>
    public required int RestartInterval { get; init; }

    /// <param name="file">The whole file.</param>
    /// <param name="position">Index of the first byte of compressed data.</param>
    /// <returns>Index of the end of the scan.</returns>
    /// <exception cref="InvalidDataException">The data is damaged or ends too early.</exception>
    public int Read(ReadOnlySpan<byte> file, int position)
    {
        var bits = new JpegBits(file, position);
        var alone = Parts.Count == 1;
        var first = Parts[0].Component;
        int unitsAcross = alone ? first.BlocksAcross : first.StoredBlocksAcross / first.Horizontal;
        int unitsDown = alone ? first.BlocksDown : first.StoredBlocksDown / first.Vertical;
        var restarts = 0;
        Reset();
        for (var unit = 0; unit < unitsAcross * unitsDown; unit++)
        {
            if (RestartInterval > 0 && unit > 0 && unit % RestartInterval == 0)
            {
                bits = new JpegBits(file, AfterRestart(file, bits.Position, restarts));
                restarts = (restarts + 1) % 8;
                Reset();
            }
            int row = unit / unitsAcross, column = unit % unitsAcross;
            foreach (var part in Parts)
            {
                var component = part.Component;
                if (alone)
                {
                    ReadBlock(ref bits, part, component.Block(row, column));
                    continue;
                }
                for (var i = 0; i < component.Horizontal * component.Vertical; i++)
                {
                    var block = component.Block(
                        row * component.Vertical + i / component.Horizontal, column * component.Horizontal + i % component.Horizontal);
                    ReadBlock(ref bits, part, block);
                }
            }
        }
        return bits.Position;
    }

    private static int AfterRestart(ReadOnlySpan<byte> file, int position, int number)
    {
        while (position + 1 < file.Length && (file[position] != 0xFF || file[position + 1] is 0x00 or 0xFF))
            position++;
        if (position + 1 >= file.Length || file[position + 1] != 0xD0 + number)
            throw new InvalidDataException($"JPEG damaged: restart marker {number} is missing");
        return position + 2;
    }

    private void Reset()
    {
        endOfBandRun = 0;
        foreach (var part in Parts)
            part.Component.DcPrediction = 0;
    }

    private void ReadBlock(ref JpegBits bits, JpegScanPart part, Span<short> block)
    {
        if (!Progressive)
            ReadSequential(ref bits, part, block);
        else if (First == 0 && Refines)
            block[0] |= (short)(bits.Read(1) << LowBit);
        else if (First == 0)
            block[0] = (short)(NextDc(ref bits, part) << LowBit);
        else if (Refines)
            RefineAc(ref bits, part.Ac!, block);
        else
            ReadAc(ref bits, part.Ac!, block);
    }

    private static int NextDc(ref JpegBits bits, JpegScanPart part)
    {
        var size = part.Dc!.Decode(ref bits);
        if (size > 15)
            throw new InvalidDataException($"JPEG damaged: DC difference of {size} bits");
        return part.Component.DcPrediction += bits.ReadSigned(size);
    }

    private static void ReadSequential(ref JpegBits bits, JpegScanPart part, Span<short> block)
    {
        block[0] = (short)NextDc(ref bits, part);
        for (var k = 1; k < 64; k++)
        {
            var symbol = part.Ac!.Decode(ref bits);
            int zeros = symbol >> 4, size = symbol & 15;
            if (size == 0 && zeros != 15)
                return;
            k += zeros;
            if (size > 0)
                block[Natural(k, 63)] = (short)bits.ReadSigned(size);
        }
    }

    private void ReadAc(ref JpegBits bits, JpegHuffman table, Span<short> block)
    {
        if (endOfBandRun > 0)
        {
            endOfBandRun--;
            return;
        }
        for (var k = First; k <= Last; k++)
        {
            var symbol = table.Decode(ref bits);
            int zeros = symbol >> 4, size = symbol & 15;
            if (size == 0 && zeros != 15)
            {
                endOfBandRun = (1 << zeros) + bits.Read(zeros) - 1; // this block is the first of the run
                return;
            }
            k += zeros;
            if (size > 0)
                block[Natural(k, Last)] = (short)(bits.ReadSigned(size) << LowBit);
        }
    }

    /// <summary>
    /// Reads a refinement scan. New coefficients are inserted where the symbols say; each non-zero coefficient that is passed gets one more
    /// bit.
    /// </summary>
    private void RefineAc(ref JpegBits bits, JpegHuffman table, Span<short> block)
    {
        var k = First;
        while (endOfBandRun == 0 && k <= Last)
        {
            var symbol = table.Decode(ref bits);
            int zeros = symbol >> 4, size = symbol & 15, appearing = 0;
            if (size == 0 && zeros != 15)
            {
                endOfBandRun = (1 << zeros) + bits.Read(zeros);
                break;
            }
            if (size > 0)
                appearing = bits.Read(1) != 0 ? 1 << LowBit : -1 << LowBit;
            for (; k <= Last; k++)
            {
                ref var coefficient = ref block[ZigZag[k]];
                if (coefficient != 0)
                    Refine(ref bits, ref coefficient);
                else if (--zeros < 0)
                    break;
            }
            if (size > 0)
                block[Natural(k, Last)] = (short)appearing;
            k++;
        }
        if (endOfBandRun == 0)
            return;
        for (; k <= Last; k++)
        {
            ref var coefficient = ref block[ZigZag[k]];
            if (coefficient != 0)
                Refine(ref bits, ref coefficient);
        }
        endOfBandRun--;
    }

    private void Refine(ref JpegBits bits, ref short coefficient)
    {
        var bit = 1 << LowBit;
        if (bits.Read(1) != 0 && (coefficient & bit) == 0)
            coefficient += (short)(coefficient > 0 ? bit : -bit);
    }

    private static int Natural(int zigzag, int last) => zigzag <= last
        ? ZigZag[zigzag]
        : throw new InvalidDataException("JPEG damaged: a block has more coefficients than its scan");
}
