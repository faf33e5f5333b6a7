namespace AnchorScope.Tensors;

/// <summary>
/// A row-major float32 matrix in memory owned by an <see cref="Arena"/>. A value type: copying it copies the view, not the data.
/// </summary>
internal readonly unsafe struct Tensor(float* data, int rows, int columns)
{
    /// <summary>First element of the first row.</summary>
    public float* Data { get; } = data;

    /// <summary>Number of rows.</summary>
    public int Rows { get; } = rows;

    /// <summary>Number of columns. Rows are contiguous.</summary>
    public int Columns { get; } = columns;

    /// <summary>One row as a span.</summary>
    public Span<float> this[int row]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows);
            return new Span<float>(Data + (long)row * Columns, Columns);
        }
    }

    /// <summary>A view of rows [first, first + count).</summary>
    public Tensor RowRange(int first, int count)
    {
        if (first < 0 || count < 0 || first > Rows - count)
            throw new ArgumentOutOfRangeException(nameof(first), $"rows {first}..{first + count} of a tensor of {Rows} rows");
        return new Tensor(Data + (long)first * Columns, count, Columns);
    }

    /// <summary>Adds <paramref name="other"/>, of the same shape, element by element.</summary>
    public void Add(Tensor other)
    {
        if (other.Rows != Rows || other.Columns != Columns)
            throw new ArgumentException($"cannot add [{other.Rows}, {other.Columns}] to [{Rows}, {Columns}]", nameof(other));
        for (var row = 0; row < Rows; row++) System.Numerics.Tensors.TensorPrimitives.Add(this[row], other[row], this[row]);
    }

    /// <summary>A copy in new memory of <paramref name="arena"/>.</summary>
    internal Tensor Copy(Arena arena)
    {
        var copy = arena.Take(Rows, Columns);
        for (var row = 0; row < Rows; row++) this[row].CopyTo(copy[row]);
        return copy;
    }

    /// <summary>A managed row-major copy.</summary>
    public float[] ToArray()
    {
        var copy = new float[(long)Rows * Columns];
        for (var row = 0; row < Rows; row++) this[row].CopyTo(copy.AsSpan(row * Columns));
        return copy;
    }

    /// <summary>Copies <paramref name="values"/> into new memory of <paramref name="arena"/>.</summary>
    public static Tensor From(Arena arena, ReadOnlySpan<float> values, int rows, int columns)
    {
        if (values.Length != (long)rows * columns)
            throw new ArgumentException($"{values.Length} values do not fill [{rows}, {columns}]", nameof(values));
        var tensor = arena.Take(rows, columns);
        for (var row = 0; row < rows; row++) values.Slice(row * columns, columns).CopyTo(tensor[row]);
        return tensor;
    }
}
