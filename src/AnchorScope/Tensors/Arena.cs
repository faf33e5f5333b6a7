using System.Runtime.InteropServices;

namespace AnchorScope.Tensors;

/// <summary>
/// Native memory for the activations of one thread. Tensors are allocated in order and released in bulk, so a pass allocates nothing on the
/// managed heap. Not thread-safe: every thread that runs passes owns one arena.
/// </summary>
internal sealed unsafe class Arena : IDisposable
{
    private const int Alignment = 64;
    private const nuint SmallestChunk = 4 << 20;

    private readonly List<(nint Address, nuint Bytes)> _chunks = [];
    private int _chunk;
    private nuint _used;

    /// <summary>Bytes held, allocated to tensors or free.</summary>
    public long Bytes => _chunks.Sum(chunk => (long)chunk.Bytes);

    /// <summary>
    /// Allocates one chunk of <paramref name="bytes"/> if the arena holds none yet. Pages that are never touched use no physical memory.
    /// </summary>
    public void Reserve(long bytes)
    {
        if (_chunks.Count == 0) Next((nuint)bytes);
    }

    /// <summary>Allocates an uninitialised matrix [rows, columns], aligned to 64 bytes.</summary>
    public Tensor Take(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        return new Tensor(TakeFloats((long)rows * columns), rows, columns);
    }

    /// <summary>Allocates a matrix of zeros.</summary>
    internal Tensor TakeZeros(int rows, int columns)
    {
        var tensor = Take(rows, columns);
        NativeMemory.Clear(tensor.Data, (nuint)((long)rows * columns * sizeof(float)));
        return tensor;
    }

    /// <summary>Allocates an uninitialised block of <paramref name="count"/> floats.</summary>
    public float* TakeFloats(long count)
    {
        var bytes = ((nuint)count * sizeof(float) + Alignment - 1) & ~(nuint)(Alignment - 1);
        if (_chunk == _chunks.Count || _used + bytes > _chunks[_chunk].Bytes) Next(bytes);
        var address = (byte*)_chunks[_chunk].Address + _used;
        _used += bytes;
        return (float*)address;
    }

    /// <summary>
    /// Continues in the next chunk. All chunks after the current one are empty; those that are too small are replaced by one that is large
    /// enough.
    /// </summary>
    private void Next(nuint bytes)
    {
        var next = Math.Min(_chunk + 1, _chunks.Count);
        if (_chunk < _chunks.Count && _used == 0) next = _chunk;
        if (next == _chunks.Count || bytes > _chunks[next].Bytes)
        {
            nuint size = 0;
            for (var i = next; i < _chunks.Count; i++)
            {
                size += _chunks[i].Bytes;
                LargeMemory.Free((void*)_chunks[i].Address);
            }
            _chunks.RemoveRange(next, _chunks.Count - next);
            size = Math.Max(Math.Max(bytes, size), SmallestChunk);
            _chunks.Add(((nint)LargeMemory.Take((long)size), size));
        }
        (_chunk, _used) = (next, 0);
    }

    /// <summary>The current fill level, to be passed to <see cref="Release"/>.</summary>
    public Mark Here() => new(_chunk, _used);

    /// <summary>Releases everything allocated since <paramref name="mark"/>.</summary>
    public void Release(Mark mark) => (_chunk, _used) = (mark.Chunk, mark.Used);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (address, _) in _chunks) LargeMemory.Free((void*)address);
        _chunks.Clear();
        (_chunk, _used) = (0, 0);
    }

    /// <summary>A fill level of an arena.</summary>
    public readonly record struct Mark(int Chunk, nuint Used);
}
