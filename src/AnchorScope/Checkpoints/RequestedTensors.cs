using System.Runtime.InteropServices;

namespace AnchorScope.Checkpoints;

/// <summary>
/// Stands in for the tensors of a checkpoint that is yet to be written: notes the name and shape of each that a model asks for, and
/// gives zeros. What is noted is what that model reads, whatever it is.
/// </summary>
/// <param name="path">What to call them in messages.</param>
/// <param name="type">Of every tensor.</param>
/// <remarks>Only tensors whose values are looked at take memory.</remarks>
internal sealed unsafe class RequestedTensors(string path, StoredType type) : ITensorMemory, IDisposable
{
    private readonly List<TensorEntry> _entries = [];
    private readonly Dictionary<string, nint> _zeros = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public string Path => path;

    /// <summary>What was asked for, in that order, each tensor once. Offsets are 0: nothing has a place yet.</summary>
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

    /// <exception cref="InputException">The shape has more elements than 63 bits count.</exception>
    internal TensorEntry Note(string name, long[] shape)
    {
        if (TensorEntry.CountOf(shape) is not { } count || count > long.MaxValue / type.Bytes())
            throw InputException.At(path, $"tensor {Quoted.Of(name)}: shape", "axes whose product fits 63 bits", TensorEntry.Text(shape));
        var entry = new TensorEntry(name, type, [.. shape], 0, count * type.Bytes());
        _entries.Add(entry);
        return entry;
    }
}
