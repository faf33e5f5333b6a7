namespace AnchorScope.Tensors;

/// <summary>
/// A small group of threads that share the panels of a product or the heads of an attention. Chunks are taken from one
/// counter, so a thread that is held up holds nobody else up. With one thread everything runs on the caller.
/// </summary>
public sealed class Team : IDisposable
{
    /// <summary>About 20 microseconds of arithmetic: below that, waking another thread costs more than it brings.</summary>
    private const long SmallestWork = 1_000_000;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _start = new(0);
    private readonly Lock _turn = new();
    private Task? _task;
    private volatile bool _closed;

    /// <summary>A team of <paramref name="size"/> threads, the caller included.</summary>
    public Team(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        Size = size;
        _threads = new Thread[size - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var member = i + 1;
            _threads[i] = new Thread(() => Work(member)) { IsBackground = true, Name = $"team {member}" };
            _threads[i].Start();
        }
    }

    /// <summary>Number of threads, the caller included.</summary>
    public int Size { get; }

    /// <summary>
    /// Calls <paramref name="body"/> for 0 .. <paramref name="count"/> - 1, each once, in no order, with the number of the thread that
    /// does it; <paramref name="workPerChunk"/> is its cost in floating-point operations. The first exception is thrown again here.
    /// </summary>
    public void For(int count, long workPerChunk, Action<int, int> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        if (_threads.Length == 0 || count < 2 || count * workPerChunk < SmallestWork)
        {
            for (var i = 0; i < count; i++) body(i, 0);
            return;
        }
        lock (_turn)
        {
            var task = new Task(count, body, _threads.Length);
            _task = task;
            _start.Release(_threads.Length);
            task.Take(0);
            task.Wait();
            _task = null;
        }
    }

    private void Work(int member)
    {
        while (true)
        {
            _start.Wait();
            if (_closed) return;
            var task = _task!;
            task.Take(member);
            task.Leave();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        if (_threads.Length > 0) _start.Release(_threads.Length);
        foreach (var thread in _threads) thread.Join();
        _start.Dispose();
    }

    private sealed class Task(int count, Action<int, int> body, int others)
    {
        private int _next = -1;
        private int _others = others;
        private volatile Exception? _failure;

        public void Take(int member)
        {
            try
            {
                for (var i = Interlocked.Increment(ref _next); i < count && _failure is null; i = Interlocked.Increment(ref _next)) body(i, member);
            }
#pragma warning disable CA1031 // handed to the caller, whatever it is
            catch (Exception failure)
#pragma warning restore CA1031
            {
                _failure = failure;
            }
        }

        public void Leave() => Interlocked.Decrement(ref _others);

        public void Wait()
        {
            var spin = new SpinWait();
            while (Volatile.Read(ref _others) > 0) spin.SpinOnce(sleep1Threshold: -1);
            if (_failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_failure);
        }
    }
}

/// <summary>What a computation runs on: memory for activations, threads, and the matrix kernel of the study.</summary>
public sealed record Compute(Arena Arena, Team Team, KernelFamily Family = KernelFamily.Panel);
