namespace AnchorScope.Checkpoints;

/// <summary>
/// One weight where it lies in its mapped file, as stored. A tied weight is the same object, asked for under the name that is stored.
/// </summary>
/// <remarks>Axes are those of the checkpoint: a linear layer is [output, input]. Usable until the file is disposed.</remarks>
public sealed unsafe class Weight(SafetensorsFile file, TensorEntry entry)
{
    /// <summary>As stored.</summary>
    public string Name => entry.Name;

    /// <summary>Type of each element.</summary>
    public StoredType Type => entry.Type;

    /// <summary>Empty for a scalar.</summary>
    public long[] Shape => entry.Shape;

    /// <summary>Number of elements.</summary>
    public long Count => entry.Count;

    /// <summary>First element, row-major; not necessarily aligned.</summary>
    public byte* Address => file.Address(entry);

    /// <summary>A float32 copy of all elements.</summary>
    /// <exception cref="InputException">2^31 elements and more: use <see cref="Widen"/>.</exception>
    public float[] ToSingles() => file.ReadSingles(Name);

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
