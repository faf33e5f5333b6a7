namespace AnchorScope.Checkpoints;

/// <summary>
/// One weight where it lies, as stored: in its mapped file. A tied weight is the same object, asked for under the name that is stored.
/// </summary>
/// <remarks>Axes are those of the checkpoint: a linear layer is [output, input]. Usable until the file is disposed.</remarks>
public sealed unsafe class Weight
{
    private readonly ITensorMemory memory;
    private readonly TensorEntry entry;
    private readonly long first;

    /// <summary>A whole tensor.</summary>
    public Weight(ITensorMemory memory, TensorEntry entry)
        : this(memory, entry, 0, entry.Shape)
    {
    }

    private Weight(ITensorMemory memory, TensorEntry entry, long first, long[] shape)
    {
        (this.memory, this.entry, this.first, Shape) = (memory, entry, first, shape);
        Count = shape.Aggregate(1L, (a, b) => a * b);
    }

    /// <summary>As stored.</summary>
    public string Name => entry.Name;

    /// <summary>Type of each element.</summary>
    public StoredType Type => entry.Type;

    /// <summary>Empty for a scalar.</summary>
    public long[] Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>First element, row-major; not necessarily aligned.</summary>
    public byte* Address => memory.Address(entry) + first * Type.Bytes();

    /// <summary>Rows <paramref name="from"/> .. <paramref name="from"/> + <paramref name="count"/> - 1 along the first axis, in place: a part of a fused projection.</summary>
    public Weight Rows(long from, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(from + count, Shape[0]);
        return new Weight(memory, entry, first + from * (Count / Shape[0]), [count, .. Shape[1..]]);
    }

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
        Widening.ToSingles(Address + firstElement * Type.Bytes(), Type, into);
    }
}
