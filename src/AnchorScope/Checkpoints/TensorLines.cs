namespace AnchorScope.Checkpoints;

/// <summary>
/// Some rows or columns of a tensor with two axes. Packed, they are a matrix [<see cref="Rows"/>, <see cref="Width"/>] in the order of the
/// tensor.
/// </summary>
/// <param name="Tensor">Name of the tensor.</param>
/// <param name="Shape">Both axes of the tensor.</param>
/// <param name="Columns">Whether the blocks are columns.</param>
/// <param name="Blocks">Ascending and not adjacent.</param>
internal sealed record TensorLines(string Tensor, long[] Shape, bool Columns, IReadOnlyList<(long First, long Count)> Blocks)
{
    /// <summary>Number of rows of the packed matrix.</summary>
    public int Rows => (int)(Columns ? Shape[0] : Lines);

    /// <summary>Number of columns of the packed matrix.</summary>
    public int Width => (int)(Columns ? Lines : Shape[1]);

    /// <summary>Number of values of the packed matrix.</summary>
    public int Count => Rows * Width;

    /// <summary>Contiguous elements of the tensor, in the order of the packed matrix.</summary>
    public IEnumerable<(long First, int Count)> Stretches
    {
        get
        {
            for (var row = 0L; row < (Columns ? Shape[0] : 1); row++)
            {
                foreach (var (first, count) in Blocks)
                    yield return Columns ? (row * Shape[1] + first, (int)count) : (first * Shape[1], (int)(count * Shape[1]));
            }
        }
    }

    private long Lines => Blocks.Sum(b => b.Count);

    /// <summary>Lines of one tensor. Blocks that overlap or touch are merged.</summary>
    public static TensorLines Of(TensorEntry tensor, bool columns, IEnumerable<(long First, long Count)> blocks)
    {
        var merged = new List<(long First, long Count)>();
        foreach (var (first, count) in blocks.Order())
        {
            if (merged.Count > 0 && merged[^1] is var last && last.First + last.Count >= first)
                merged[^1] = (last.First, Math.Max(last.Count, first + count - last.First));
            else merged.Add((first, count));
        }
        return new TensorLines(tensor.Name, tensor.Shape, columns, merged);
    }

    /// <summary>Copies the lines from a tensor.</summary>
    public void Gather(ReadOnlySpan<float> tensor, Span<float> packed)
    {
        foreach (var (first, count) in Stretches)
        {
            tensor.Slice((int)first, count).CopyTo(packed);
            packed = packed[count..];
        }
    }

    /// <summary>Copies the lines back to a tensor.</summary>
    public void Scatter(ReadOnlySpan<float> packed, Span<float> tensor)
    {
        foreach (var (first, count) in Stretches)
        {
            packed[..count].CopyTo(tensor[(int)first..]);
            packed = packed[count..];
        }
    }

    /// <summary>"rows 0-15, 32-47".</summary>
    public string Text => $"{(Columns ? "columns" : "rows")} {string.Join(", ", Blocks.Select(b => $"{b.First}-{b.First + b.Count - 1}"))}";
}
