namespace AnchorScope.Server.Scheduling;

/// <summary>What the scheduler has done. Written by its thread, read by any.</summary>
internal sealed class SchedulerCounts
{
    private long _passes, _rows, _prompt, _reused, _finished, _failed;
    private volatile int _running, _waiting;
    private double _memory;

    /// <summary>Jobs in progress.</summary>
    public int Running
    {
        get => _running;
        set => _running = value;
    }

    /// <summary>Jobs in the queue.</summary>
    public int Waiting
    {
        get => _waiting;
        set => _waiting = value;
    }

    /// <summary>Share of the memory for keys and values that is reserved or kept, 0 to 1.</summary>
    public double MemoryShare
    {
        get => Volatile.Read(ref _memory);
        set => Volatile.Write(ref _memory, value);
    }

    /// <summary>Passes.</summary>
    public long Passes => Interlocked.Read(ref _passes);

    /// <summary>Rows of all passes.</summary>
    public long Rows => Interlocked.Read(ref _rows);

    /// <summary>Positions of the prompts of all started jobs.</summary>
    public long PromptPositions => Interlocked.Read(ref _prompt);

    /// <summary>Those of them whose keys and values were kept from other jobs.</summary>
    public long ReusedPositions => Interlocked.Read(ref _reused);

    /// <summary>Jobs that ended with all their answers.</summary>
    public long Finished => Interlocked.Read(ref _finished);

    /// <summary>Jobs that failed, were cancelled, or were late.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    internal void Pass(int rows)
    {
        Interlocked.Increment(ref _passes);
        Interlocked.Add(ref _rows, rows);
    }

    internal void Started(int prompt, int reused)
    {
        Interlocked.Add(ref _prompt, prompt);
        Interlocked.Add(ref _reused, reused);
    }

    internal void Ended(Exception? error) => Interlocked.Increment(ref error is null ? ref _finished : ref _failed);
}
