namespace AnchorScope.Prompts;

/// <summary>A Huffman table of a JPEG file (ITU T.81, annex C): up to 256 symbols with codes of 1 to 16 bits.</summary>
internal sealed class JpegHuffman
{
    private const int ShortBits = 9;

    private readonly byte[] symbols;
    private readonly (byte Symbol, byte Bits)[] shortCodes = new (byte, byte)[1 << ShortBits];
    private readonly int[] lastCode = new int[17];
    private readonly int[] symbolOffset = new int[17];

    /// <param name="counts">Number of codes with 1, 2, ... 16 bits.</param>
    /// <param name="symbols">Symbols in the order of their codes.</param>
    /// <exception cref="InvalidDataException">There are more codes than their lengths allow.</exception>
    public JpegHuffman(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols)
    {
        this.symbols = symbols.ToArray();
        int code = 0, at = 0;
        for (var bits = 1; bits <= 16; bits++, code <<= 1)
        {
            symbolOffset[bits] = at - code;
            for (var i = 0; i < counts[bits - 1]; i++, at++, code++)
            {
                if (code >= 1 << bits)
                    throw new InvalidDataException($"JPEG damaged: Huffman table with too many codes of {bits} bits");
                if (bits <= ShortBits)
                    shortCodes.AsSpan(code << (ShortBits - bits), 1 << (ShortBits - bits)).Fill((symbols[at], (byte)bits));
            }
            lastCode[bits] = counts[bits - 1] > 0 ? code - 1 : -1;
        }
    }

    /// <exception cref="InvalidDataException">The bits are not a code of this table, or end.</exception>
    public int Decode(ref JpegBits bits)
    {
        var next = bits.Peek16();
        var (symbol, length) = shortCodes[next >> (16 - ShortBits)];
        if (length > 0)
        {
            bits.Skip(length);
            return symbol;
        }
        for (var longer = ShortBits + 1; longer <= 16; longer++)
        {
            var code = next >> (16 - longer);
            if (code <= lastCode[longer])
            {
                bits.Skip(longer);
                return symbols[code + symbolOffset[longer]];
            }
        }
        throw new InvalidDataException("JPEG damaged: compressed data contains no valid Huffman code");
    }
}
