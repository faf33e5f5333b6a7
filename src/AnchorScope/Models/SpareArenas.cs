using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>A pool of arenas for reuse, because fresh memory costs a page fault for every page that is touched.</summary>
internal sealed class SpareArenas : IDisposable
{
    // A sequence may be disposed of on another thread than the one that runs passes.
    private readonly Lock _lock = new();
    private readonly Stack<Arena> _free = [];
    private bool _disposed;

    /// <summary>An empty arena.</summary>
    public Arena Take()
    {
        lock (_lock) return _free.TryPop(out var arena) ? arena : new Arena();
    }

    /// <summary>Returns an arena to the pool. Nothing allocated from it may be used any more.</summary>
    public void Give(Arena arena)
    {
        arena.Release(default);
        lock (_lock)
        {
            if (_disposed) arena.Dispose();
            else _free.Push(arena);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            while (_free.TryPop(out var arena)) arena.Dispose();
        }
    }
}
