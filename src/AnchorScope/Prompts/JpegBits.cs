namespace AnchorScope.Prompts;

/// <summary>Reads the bits of an entropy-coded segment. Stuffed zero bytes are dropped; the segment ends at a marker.</summary>
internal ref struct JpegBits(ReadOnlySpan<byte> file, int position)
{
    private readonly ReadOnlySpan<byte> file = file;
    private ulong held;
    private int count;
    private int padding;

    /// <summary>Index of the first byte not read; at the segment's end, that of its marker.</summary>
    public int Position { get; private set; } = position;

    /// <summary>The next 16 bits; past the end of the segment they are 0.</summary>
    public int Peek16()
    {
        Fill();
        return (int)(held >> (count - 16)) & 0xFFFF;
    }

    /// <exception cref="InvalidDataException">The segment has too few bits left.</exception>
    public void Skip(int bits)
    {
        count -= bits;
        if (count < padding)
            throw new InvalidDataException("JPEG damaged or truncated: compressed data ends inside a block");
    }

    /// <param name="bits">0 to 16.</param>
    public int Read(int bits)
    {
        var value = Peek16() >> (16 - bits);
        Skip(bits);
        return value;
    }

    /// <summary>
    /// Reads a signed number in the JPEG format: of the range of <paramref name="bits"/> bits, the lower half represents negative values.
    /// </summary>
    public int ReadSigned(int bits)
    {
        var value = Read(bits);
        return bits == 0 || value >= 1 << (bits - 1) ? value : value - (1 << bits) + 1;
    }

    private void Fill()
    {
        while (count < 32)
        {
            var next = 0;
            if (AtMarker())
            {
                padding += 8;
            }
            else
            {
                next = file[Position];
                Position++;
                if (next == 0xFF)
                    Position++; // the stuffed zero
            }
            held = (held << 8) | (uint)next;
            count += 8;
        }
    }

    private readonly bool AtMarker() =>
        Position >= file.Length || (file[Position] == 0xFF && (Position + 1 >= file.Length || file[Position + 1] != 0));
}
