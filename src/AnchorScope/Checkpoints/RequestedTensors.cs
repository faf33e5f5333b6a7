using System.Runtime.InteropServices;

namespace AnchorScope.Checkpoints;

/// <summary>
/// Replaces the tensors of a checkpoint that is not written yet. It records the name and shape of each tensor that a model requests, and
/// returns zeros. The recorded tensors are exactly those that the model reads.
/// </summary>
/// <param name="path">Name in messages.</param>
/// <param name="type">Type of every tensor.</param>
/// <remarks>Memory is allocated only for tensors whose values are read.</remarks>
internal sealed unsafe class RequestedTensors(string path, StoredType type) : ITensorMemory, IDisposable
{
    private readonly List<TensorEntry> _entries = [];
    private readonly Dictionary<string, nint> _zeros = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public string Path => path;

    /// <summary>The requested tensors in order of request, each once. Offsets are 0, because they are not stored yet.</summary>
    public IReadOnlyList<TensorEntry> Entries => _entries;

    /// <inheritdoc/>
    public byte* Address(TensorEntry entry)
    {
        if (!_zeros.TryGetValue(entry.Name, out var address))
            _zeros[entry.Name] = address = (nint)NativeMemory.AllocZeroed((nuint)Math.Max(1, entry.Bytes));
        return (byte*)address;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var address in _zeros.Values) NativeMemory.Free((void*)address);
        _zeros.Clear();
    }

    /// <exception cref="InputException">The number of elements of the shape does not fit in 63 bits.</exception>
    internal TensorEntry Note(string name, long[] shape)
    {
        if (TensorEntry.CountOf(shape) is not { } count || count > long.MaxValue / type.Bytes())
            throw InputException.At(path, $"tensor {Quoted.Of(name)}: shape", "axes whose product fits 63 bits", TensorEntry.Text(shape));
        var entry = new TensorEntry(name, type, [.. shape], 0, count * type.Bytes());
        _entries.Add(entry);
        return entry;
    }
}
