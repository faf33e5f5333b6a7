using System.Runtime.InteropServices;

namespace AnchorScope.Checkpoints;

/// <summary>Mutable float32 copies of a checkpoint's tensors. A model opened over them always computes with their current values.</summary>
internal sealed unsafe class Parameters : ITensorMemory, IDisposable
{
    private const int Alignment = 64;

    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private byte* _data;

    private Parameters(string path, IEnumerable<(string Name, long[] Shape)> tensors)
    {
        Path = path;
        foreach (var (name, shape) in tensors)
        {
            var bytes = shape.Aggregate(1L, (a, b) => a * b) * sizeof(float);
            _entries.Add(name, new TensorEntry(name, StoredType.F32, shape, Bytes, bytes));
            Bytes += (bytes + Alignment - 1) / Alignment * Alignment;
        }
        _data = (byte*)LargeMemory.Take(Bytes);
        NativeMemory.Clear(_data, (nuint)Bytes);
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public bool Changes => true;

    /// <summary>Total bytes.</summary>
    public long Bytes { get; }

    /// <summary>The tensors, in the order of the checkpoint's files.</summary>
    public IReadOnlyCollection<TensorEntry> Entries => _entries.Values;

    /// <summary>The values of one tensor, row-major.</summary>
    public Span<float> this[string name]
    {
        get
        {
            var entry = _entries[name];
            return new Span<float>(_data + entry.Offset, checked((int)entry.Count));
        }
    }

    /// <summary>Tensors of zeros.</summary>
    /// <param name="path">Name in messages.</param>
    public static Parameters Zeros(string path, IEnumerable<(string Name, long[] Shape)> tensors) => new(path, tensors);

    /// <summary>
    /// A copy of every float tensor of <paramref name="checkpoint"/>. Of a tensor stored in several files, the copy that is read is used.
    /// </summary>
    public static Parameters Of(Checkpoint checkpoint) => Of(checkpoint, entry => entry.Type.IsFloat);

    /// <summary>A copy of some tensors of <paramref name="checkpoint"/>, which must have float types.</summary>
    internal static Parameters Of(Checkpoint checkpoint, Func<TensorEntry, bool> which)
    {
        var tensors = checkpoint.Weights.Stored.Where(t => which(t.Entry)).ToList();
        var copy = new Parameters(checkpoint.Folder, tensors.Select(t => (t.Entry.Name, t.Entry.Shape)));
        foreach (var (file, entry) in tensors) new Weight(file, entry).Widen(0, copy[entry.Name]);
        return copy;
    }

    /// <inheritdoc/>
    public byte* Address(TensorEntry entry) => _data + entry.Offset;

    /// <inheritdoc/>
    public void Dispose()
    {
        LargeMemory.Free(_data);
        _data = null;
    }
}
