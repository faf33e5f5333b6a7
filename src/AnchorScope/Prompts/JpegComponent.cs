namespace AnchorScope.Prompts;

/// <summary>One colour component of a JPEG frame: its size, its coefficients while scans are read, and its samples afterwards.</summary>
internal sealed class JpegComponent(byte id, int horizontal, int vertical, int quantizationSlot)
{
    public const int BlockSize = 64;

    public byte Id { get; } = id;

    /// <summary>Horizontal number of blocks of this component in one interleaved unit.</summary>
    public int Horizontal { get; } = horizontal;

    /// <summary>Vertical number of blocks of this component in one interleaved unit.</summary>
    public int Vertical { get; } = vertical;

    public int QuantizationSlot { get; } = quantizationSlot;

    /// <summary>Number of samples per row that belong to the picture. Stored rows have <see cref="Stride"/> samples.</summary>
    public int Width { get; private set; }

    public int Height { get; private set; }

    /// <summary>Number of blocks per row with samples of the picture, which are those in a scan of this component alone.</summary>
    public int BlocksAcross => (Width + 7) / 8;

    public int BlocksDown => (Height + 7) / 8;

    /// <summary>Number of blocks per stored row, padded to whole interleaved units.</summary>
    public int StoredBlocksAcross { get; private set; }

    public int StoredBlocksDown { get; private set; }

    /// <summary>Number of samples from one row of <see cref="Samples"/> to the next.</summary>
    public int Stride => 8 * StoredBlocksAcross;

    /// <summary>[block row, block, 64]: quantized coefficients in natural order.</summary>
    public short[] Coefficients { get; private set; } = [];

    /// <summary>[row, stride]: samples after the inverse transform.</summary>
    public byte[] Samples { get; private set; } = [];

    /// <summary>The quantization table at this component's first scan, in natural order; null before it.</summary>
    public ushort[]? Quantization { get; set; }

    /// <summary>For each coefficient in zigzag order: number of low bits that are still missing, -1 if nothing was sent.</summary>
    public int[] MissingBits { get; } = Enumerable.Repeat(-1, BlockSize).ToArray();

    /// <summary>The last DC value. The next one is sent as a difference from it.</summary>
    public int DcPrediction { get; set; }

    /// <param name="width">Width of the picture.</param>
    /// <param name="height">Height of the picture.</param>
    /// <param name="mostHorizontal">Largest <see cref="Horizontal"/> of the frame.</param>
    /// <param name="mostVertical">Largest <see cref="Vertical"/> of the frame.</param>
    public void Lay(int width, int height, int mostHorizontal, int mostVertical)
    {
        Width = Ceiling(width * Horizontal, mostHorizontal);
        Height = Ceiling(height * Vertical, mostVertical);
        StoredBlocksAcross = Ceiling(width, 8 * mostHorizontal) * Horizontal;
        StoredBlocksDown = Ceiling(height, 8 * mostVertical) * Vertical;
    }

    public void Allocate() => Coefficients = new short[checked(BlockSize * StoredBlocksAcross * StoredBlocksDown)];

    public Span<short> Block(int row, int column) =>
        Coefficients.AsSpan(BlockSize * (row * StoredBlocksAcross + column), BlockSize);

    /// <summary>Converts all coefficients to samples and frees the coefficients.</summary>
    public void Transform()
    {
        Samples = new byte[Coefficients.Length];
        for (var row = 0; row < StoredBlocksDown; row++)
        {
            for (var column = 0; column < StoredBlocksAcross; column++)
                JpegTransform.Inverse(Block(row, column), Quantization, Samples.AsSpan(8 * (row * Stride + column)), Stride);
        }
        Coefficients = [];
    }

    private static int Ceiling(int value, int divisor) => (value + divisor - 1) / divisor;
}
