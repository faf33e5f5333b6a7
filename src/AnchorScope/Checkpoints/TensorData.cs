using System.Runtime.InteropServices;

namespace AnchorScope.Checkpoints;

/// <summary>A tensor to be written by <see cref="SafetensorsWriter"/>.</summary>
/// <param name="Name">Any text except <c>__metadata__</c>; unique in its file.</param>
/// <param name="Type">Type of each element.</param>
/// <param name="Shape">Empty for a scalar.</param>
/// <param name="Bytes">Little-endian elements, row-major; their number must fit <paramref name="Shape"/> and
/// <paramref name="Type"/>.</param>
public sealed record TensorData(string Name, StoredType Type, long[] Shape, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>Copies the values as F32.</summary>
    public static TensorData Of(string name, ReadOnlySpan<float> values, params long[] shape) =>
        new(name, StoredType.F32, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>Copies the values as I64.</summary>
    public static TensorData Of(string name, ReadOnlySpan<long> values, params long[] shape) =>
        new(name, StoredType.I64, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>Copies the values as I32.</summary>
    public static TensorData Of(string name, ReadOnlySpan<int> values, params long[] shape) =>
        new(name, StoredType.I32, shape, MemoryMarshal.AsBytes(values).ToArray());
}
