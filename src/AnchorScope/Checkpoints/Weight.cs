namespace AnchorScope.Checkpoints;

/// <summary>
/// One weight in the memory and type in which it is stored, normally its mapped file. A tied weight is the same object, requested under its
/// stored name.
/// </summary>
/// <remarks>Axes are those of the checkpoint: a linear layer is [output, input]. It may be used until the file is disposed of.</remarks>
internal sealed unsafe class Weight
{
    private readonly ITensorMemory memory;
    private readonly TensorEntry entry;
    private readonly long first;
    private readonly long rowSize;
    private readonly long block;
    private readonly long every;
    private float[]? copy;

    /// <summary>A whole tensor.</summary>
    public Weight(ITensorMemory memory, TensorEntry entry)
        : this(memory, entry, 0, entry.Shape, entry.Shape.Length == 0 ? 1 : entry.Shape[0], 0)
    {
    }

    private Weight(ITensorMemory memory, TensorEntry entry, long first, long[] shape, long block, long every)
    {
        (this.memory, this.entry, this.first, Shape, this.block, this.every) = (memory, entry, first, shape, block, every);
        Count = shape.Aggregate(1L, (a, b) => a * b);
        rowSize = shape.Length == 0 || shape[0] == 0 ? 1 : Count / shape[0];
    }

    /// <summary>Name as stored.</summary>
    public string Name => entry.Name;

    /// <summary>Type of each element.</summary>
    public StoredType Type => entry.Type;

    /// <summary>Empty for a scalar.</summary>
    public long[] Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Size in bytes as stored.</summary>
    public long Bytes => Count * Type.Bytes();

    /// <summary>The whole tensor, of which this weight may be a part.</summary>
    internal TensorEntry Tensor => entry;

    /// <summary>Row of the whole tensor that corresponds to a row of this part.</summary>
    internal long TensorRow(long row) => ElementOf(row) / rowSize;

    /// <summary>The same part of the corresponding tensor <paramref name="other"/> in other memory, for instance of its gradient.</summary>
    internal Weight In(ITensorMemory where, TensorEntry other) => new(where, other, first, Shape, block, every);

    /// <summary>Address of a row along the first axis; not necessarily aligned.</summary>
    public byte* RowAddress(long row) => memory.Address(entry) + ElementOf(row) * Type.Bytes();

    /// <summary><see cref="RowAddress"/> of <paramref name="count"/> rows from <paramref name="row"/> on.</summary>
    internal void RowAddresses(long row, int count, byte** addresses)
    {
        var start = memory.Address(entry);
        for (var i = 0; i < count; i++)
            addresses[i] = start + (block == Shape[0] ? first + (row + i) * rowSize : ElementOf(row + i)) * Type.Bytes();
    }

    /// <summary>A view of rows [from, from + count) along the first axis: a part of a fused projection.</summary>
    public Weight Rows(long from, long count) => Blocks(from, count, Shape[0]);

    /// <summary>
    /// A view of <paramref name="count"/> rows from <paramref name="from"/> on, in every group of <paramref name="every"/> rows along the
    /// first axis: a part of a projection that is fused by groups.
    /// </summary>
    public Weight Blocks(long from, long count, long every)
    {
        if (block != Shape[0]) throw new InvalidOperationException($"{Name}: a part of a part of a weight");
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(from + count, every);
        ArgumentOutOfRangeException.ThrowIfNotEqual(Shape[0] % every, 0);
        return new Weight(memory, entry, first + from * rowSize, [Shape[0] / every * count, .. Shape[1..]], count, every);
    }

    /// <summary>
    /// All elements as float32, for small weights. If the memory may change, a view where possible; otherwise a cached copy.
    /// </summary>
    internal ReadOnlySpan<float> Singles => !memory.Changes
        ? copy ??= ToSingles() : block == Shape[0] ? new ReadOnlySpan<float>(RowAddress(0), checked((int)Count)) : ToSingles();

    /// <summary>A float32 copy of all elements.</summary>
    /// <exception cref="InputException">There are 2^31 or more elements: use <see cref="Widen"/>.</exception>
    public float[] ToSingles()
    {
        if (Count > Array.MaxLength)
            throw InputException.At(memory.Path, $"tensor {Quoted.Of(Name)}", $"at most {Array.MaxLength} elements to copy", $"{Count}");
        var values = new float[Count];
        Widen(0, values);
        return values;
    }

    /// <summary>Copies consecutive elements as float32. F16 and BF16 are exact; F64 is rounded to nearest.</summary>
    /// <param name="firstElement">Index from the start of the weight, row-major.</param>
    /// <param name="into">Filled completely.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not all elements are inside the weight.</exception>
    public void Widen(long firstElement, Span<float> into)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, Count - into.Length);
        while (!into.IsEmpty)
        {
            var (row, column) = Math.DivRem(firstElement, rowSize);
            var adjacent = Math.Min(into.Length, (block - row % block) * rowSize - column);
            Widening.ToSingles(RowAddress(row) + column * Type.Bytes(), Type, into[..(int)adjacent]);
            into = into[(int)adjacent..];
            firstElement += adjacent;
        }
    }

    private long ElementOf(long row) => first + (row / block * every + row % block) * rowSize;
}
