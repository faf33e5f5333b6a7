namespace AnchorScope.Checkpoints;

/// <summary>One tensor as described in the header of a safetensors file; row-major, the last axis contiguous.</summary>
/// <param name="Name">Name as stored, case-sensitive.</param>
/// <param name="Type">Type of each element.</param>
/// <param name="Shape">Empty for a scalar. An axis may be 0.</param>
/// <param name="Offset">First byte, from the start of the file. The format does not guarantee alignment.</param>
/// <param name="Bytes">Number of elements times bytes per element.</param>
public sealed record TensorEntry(string Name, StoredType Type, long[] Shape, long Offset, long Bytes)
{
    /// <summary>Number of elements: 1 for a scalar.</summary>
    public long Count => Bytes / Type.Bytes();

    /// <summary>The shape for messages, for instance <c>[4, 64]</c>.</summary>
    public string ShapeText => Text(Shape);

    internal static string Text(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>
    /// Number of elements of a shape, or null if an axis is negative or the product of the non-zero axes does not fit in 63 bits.
    /// </summary>
    internal static long? CountOf(ReadOnlySpan<long> shape)
    {
        long nonZero = 1;
        bool empty = false;
        foreach (long axis in shape)
        {
            if (axis < 0)
                return null;
            empty |= axis == 0;
            if (axis > 0 && nonZero > long.MaxValue / axis)
                return null;
            nonZero *= Math.Max(axis, 1);
        }
        return empty ? 0 : nonZero;
    }
}
