namespace AnchorScope.Checkpoints;

/// <summary>
/// One weight where it lies, as stored: in its mapped file. A tied weight is the same object, asked for under the name that is stored.
/// </summary>
/// <remarks>Axes are those of the checkpoint: a linear layer is [output, input]. Usable until the file is disposed.</remarks>
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

    /// <summary>As stored.</summary>
    public string Name => entry.Name;

    /// <summary>Type of each element.</summary>
    public StoredType Type => entry.Type;

    /// <summary>Empty for a scalar.</summary>
    public long[] Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Its size as stored.</summary>
    public long Bytes => Count * Type.Bytes();

    /// <summary>The whole tensor, of which this may be a part.</summary>
    internal TensorEntry Tensor => entry;

    /// <summary>Row of the whole tensor that a row of this part is.</summary>
    internal long TensorRow(long row) => ElementOf(row) / rowSize;

    /// <summary>The same part of the tensor in other memory, where it is <paramref name="other"/>: what belongs to each of its elements.</summary>
    internal Weight In(ITensorMemory where, TensorEntry other) => new(where, other, first, Shape, block, every);

    /// <summary>First element of a row along the first axis; not necessarily aligned.</summary>
    public byte* RowAddress(long row) => memory.Address(entry) + ElementOf(row) * Type.Bytes();

    /// <summary><see cref="RowAddress"/> of <paramref name="count"/> rows from <paramref name="row"/> on.</summary>
    internal void RowAddresses(long row, int count, byte** addresses)
    {
        var start = memory.Address(entry);
        for (var i = 0; i < count; i++) addresses[i] = start + (block == Shape[0] ? first + (row + i) * rowSize : ElementOf(row + i)) * Type.Bytes();
    }

    /// <summary>Rows <paramref name="from"/> .. <paramref name="from"/> + <paramref name="count"/> - 1 along the first axis, in place: a part of a fused projection.</summary>
    public Weight Rows(long from, long count) => Blocks(from, count, Shape[0]);

    /// <summary>
    /// Of every <paramref name="every"/> rows along the first axis those from <paramref name="from"/> on, <paramref name="count"/> of them, in
    /// place: a part of a projection that is fused group by group.
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

    /// <summary>All elements as float32, for small weights: where they lie while they may change, else a copy made once.</summary>
    internal ReadOnlySpan<float> Singles => !memory.Changes ? copy ??= ToSingles() : block == Shape[0] ? new ReadOnlySpan<float>(RowAddress(0), checked((int)Count)) : ToSingles();

    /// <summary>A float32 copy of all elements.</summary>
    /// <exception cref="InputException">2^31 elements and more: use <see cref="Widen"/>.</exception>
    public float[] ToSingles()
    {
        if (Count > Array.MaxLength) throw InputException.At(memory.Path, $"tensor {Quoted.Of(Name)}", $"at most {Array.MaxLength} elements to copy", $"{Count}");
        var values = new float[Count];
        Widen(0, values);
        return values;
    }

    /// <summary>Copies consecutive elements as float32: F16 and BF16 exactly, F64 rounded to nearest.</summary>
    /// <param name="firstElement">Counted from the start of the weight, row-major.</param>
    /// <param name="into">Filled.</param>
    /// <exception cref="ArgumentOutOfRangeException">The elements are not all inside the weight.</exception>
    public void Widen(long firstElement, Span<float> into)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, Count - into.Length);
        while (!into.IsEmpty)
        {
            var (row, column) = Math.DivRem(firstElement, rowSize);
            var together = Math.Min(into.Length, (block - row % block) * rowSize - column);
            Widening.ToSingles(RowAddress(row) + column * Type.Bytes(), Type, into[..(int)together]);
            into = into[(int)together..];
            firstElement += together;
        }
    }

    private long ElementOf(long row) => first + (row / block * every + row % block) * rowSize;
}
