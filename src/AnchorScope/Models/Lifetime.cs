namespace AnchorScope.Models;

/// <summary>
/// Frees memory that calls on other threads may still use: after <see cref="Close"/> no call can begin, and the memory is freed when the
/// last one that runs has ended.
/// </summary>
/// <param name="type">The public type that owns the memory, for the exception.</param>
/// <param name="free">Called once.</param>
internal sealed class Lifetime(Type type, Action free)
{
    private readonly Lock _lock = new();
    private int _calls;
    private bool _closed;

    /// <summary>Begins a call.</summary>
    /// <exception cref="ObjectDisposedException">The object is closed.</exception>
    public void Enter()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed, type);
            _calls++;
        }
    }

    /// <summary>Ends a call.</summary>
    public void Leave()
    {
        bool last;
        lock (_lock) last = --_calls == 0 && _closed;
        if (last) free();
    }

    /// <summary>Refuses further calls, and frees the memory now or at the end of the last call that runs.</summary>
    public void Close()
    {
        bool idle;
        lock (_lock)
        {
            idle = !_closed && _calls == 0;
            _closed = true;
        }
        if (idle) free();
    }
}
