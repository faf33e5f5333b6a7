namespace AnchorScope.Prompts;

/// <summary>
/// Upsamples the rows of a component to the size of the picture as libjpeg-turbo does by default. A component with half the columns or rows
/// uses a triangle filter (3/4 of the nearer sample, 1/4 of the farther one, with libjpeg's rounding). Otherwise, and for components of at
/// most two columns, samples are repeated.
/// </summary>
internal sealed class JpegUpsampling
{
    private readonly JpegComponent component;
    private readonly int across;
    private readonly int down;
    private readonly bool smoothAcross;
    private readonly bool smoothDown;
    private readonly int[] columnSums;

    /// <param name="component">The component with its samples.</param>
    /// <param name="mostHorizontal">Largest horizontal sampling factor of the frame.</param>
    /// <param name="mostVertical">Largest vertical sampling factor of the frame.</param>
    /// <exception cref="InvalidDataException">A factor is not an integer multiple of the component's.</exception>
    public JpegUpsampling(JpegComponent component, int mostHorizontal, int mostVertical)
    {
        if (mostHorizontal % component.Horizontal != 0 || mostVertical % component.Vertical != 0)
            throw new InvalidDataException(
                $"JPEG sampling {component.Horizontal}x{component.Vertical} within {mostHorizontal}x{mostVertical} is not supported");
        this.component = component;
        across = mostHorizontal / component.Horizontal;
        down = mostVertical / component.Vertical;
        smoothAcross = across == 2 && down <= 2 && component.Width > 2;
        smoothDown = down == 2 && (across == 1 || smoothAcross);
        columnSums = new int[component.Width];
    }

    /// <summary>Writes row <paramref name="y"/> of the picture.</summary>
    /// <param name="y">0 to the picture's height - 1.</param>
    /// <param name="target">[width].</param>
    public void Row(int y, Span<byte> target)
    {
        var near = SampleRow(y / down);
        // The farther row is the one above for the upper of two picture rows, the one below for the lower. The outermost rows are their own
        // neighbours.
        var far = smoothDown ? SampleRow(Math.Clamp(y / 2 + (y % 2 == 0 ? -1 : 1), 0, component.Height - 1)) : near;
        if (smoothAcross && smoothDown)
        {
            for (var i = 0; i < columnSums.Length; i++)
                columnSums[i] = 3 * near[i] + far[i];
            Double(columnSums, target, scaleBits: 4, leftBias: 8, rightBias: 7);
        }
        else if (smoothAcross)
        {
            for (var i = 0; i < columnSums.Length; i++)
                columnSums[i] = near[i];
            Double(columnSums, target, scaleBits: 2, leftBias: 1, rightBias: 2);
        }
        else if (smoothDown)
        {
            var bias = y % 2 == 0 ? 1 : 2;
            for (var x = 0; x < target.Length; x++)
                target[x] = (byte)((3 * near[x] + far[x] + bias) >> 2);
        }
        else
        {
            for (var x = 0; x < target.Length; x++)
                target[x] = near[x / across];
        }
    }

    private ReadOnlySpan<byte> SampleRow(int row) => component.Samples.AsSpan(row * component.Stride, component.Width);

    /// <summary>Computes two samples from each sum. The biases alternate, so that rounding does not brighten the picture.</summary>
    private static void Double(int[] sums, Span<byte> target, int scaleBits, int leftBias, int rightBias)
    {
        for (var x = 0; x < target.Length; x++)
        {
            var i = x / 2;
            var isLeft = x % 2 == 0;
            var neighbour = Math.Clamp(isLeft ? i - 1 : i + 1, 0, sums.Length - 1);
            target[x] = (byte)((3 * sums[i] + sums[neighbour] + (isLeft ? leftBias : rightBias)) >> scaleBits);
        }
    }
}
