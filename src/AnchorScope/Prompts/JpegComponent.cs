namespace AnchorScope.Prompts;

/// <summary>One colour component of a JPEG frame: its size, its coefficients while scans are read, its samples afterwards.</summary>
internal sealed class JpegComponent(byte id, int horizontal, int vertical, int quantizationSlot)
{
    public const int BlockSize = 64;

    public byte Id { get; } = id;

    /// <summary>Blocks of this component side by side in one interleaved unit.</summary>
    public int Horizontal { get; } = horizontal;

    /// <summary>Blocks of this component below each other in one interleaved unit.</summary>
    public int Vertical { get; } = vertical;

    public int QuantizationSlot { get; } = quantizationSlot;

    /// <summary>Samples that belong to the picture; stored rows are longer by <see cref="Stride"/>.</summary>
    public int Width { get; private set; }

    public int Height { get; private set; }

    /// <summary>Blocks that hold samples of the picture: what a scan of this component alone contains.</summary>
    public int BlocksAcross => (Width + 7) / 8;

    public int BlocksDown => (Height + 7) / 8;

    /// <summary>Blocks in a stored row, filled up to whole interleaved units.</summary>
    public int StoredBlocksAcross { get; private set; }

    public int StoredBlocksDown { get; private set; }

    /// <summary>Samples from a row of <see cref="Samples"/> to the next.</summary>
    public int Stride => 8 * StoredBlocksAcross;

    /// <summary>[block row, block, 64]: quantized coefficients in natural order.</summary>
    public short[] Coefficients { get; private set; } = [];

    /// <summary>[row, stride]: samples after the inverse transform.</summary>
    public byte[] Samples { get; private set; } = [];

    /// <summary>The quantization table at this component's first scan, natural order; null before it.</summary>
    public ushort[]? Quantization { get; set; }

    /// <summary>Per coefficient in zigzag order: low bits that are still missing, -1 where nothing was sent.</summary>
    public int[] MissingBits { get; } = Enumerable.Repeat(-1, BlockSize).ToArray();

    /// <summary>The last DC value, which the next block's is sent as a difference from.</summary>
    public int DcPrediction { get; set; }

    /// <param name="width">Of the picture.</param>
    /// <param name="height">Of the picture.</param>
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

    /// <summary>Turns all coefficients into samples and lets the coefficients go.</summary>
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
