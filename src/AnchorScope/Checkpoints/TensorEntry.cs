namespace AnchorScope.Checkpoints;

/// <summary>One tensor as the header of a safetensors file describes it; row-major, the last axis contiguous.</summary>
/// <param name="Name">As stored, case sensitive.</param>
/// <param name="Type">Type of each element.</param>
/// <param name="Shape">Empty for a scalar. An axis may be 0.</param>
/// <param name="Offset">First byte, counted from the start of the file. The format does not promise alignment.</param>
/// <param name="Bytes">Elements times bytes of an element.</param>
public sealed record TensorEntry(string Name, StoredType Type, long[] Shape, long Offset, long Bytes)
{
    /// <summary>Number of elements: 1 for a scalar.</summary>
    public long Count => Bytes / Type.Bytes();

    /// <summary>For messages, like <c>[4, 64]</c>.</summary>
    public string ShapeText => Text(Shape);

    internal static string Text(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>Number of elements of a shape, or null where an axis is negative or the non-zero axes multiply beyond 63 bits.</summary>
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
