using System.Diagnostics;
using System.Runtime.CompilerServices;
using AnchorScope.Engines;

namespace AnchorScope.Tensors;

/// <summary>Work on one chunk by a member of a team. A struct, so that distributing it allocates nothing on the managed heap.</summary>
internal interface ITeamWork
{
    /// <param name="chunk">Index of the chunk.</param>
    /// <param name="member">Index of the thread that runs it.</param>
    void Do(int chunk, int member);
}

/// <summary>
/// A small group of threads that share the panels of a product or the heads of an attention. Threads take chunks from one counter, so a
/// delayed thread delays the others only by its current chunk. A thread that wakes up after the caller has finished is rejected and not
/// waited for. While other processes keep the helpers off their cores, the caller works alone. With one thread everything runs on the
/// caller.
/// </summary>
internal sealed unsafe class Team : IDisposable
{
    /// <summary>About 20 microseconds of arithmetic. For less work, waking another thread costs more time than it saves.</summary>
    private const long SmallestWork = 1_000_000;

    /// <summary>Approximate floating-point operations of one core per clock tick.</summary>
    private static readonly double OperationsPerTick = 50e9 / Stopwatch.Frequency;

    /// <summary>Back-off factor: after a net loss of t ticks, the caller works alone for this many times t.</summary>
    private const int BackOff = 10;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _start = new(0);
    private readonly Lock _oneAtATime = new();
    private readonly CancellationToken _cancel;
    private volatile bool _closed;

    // The current work: a struct on the stack of the caller, which waits until no thread uses it any more.
    private void* _work;
    private delegate*<void*, int, int, void> _do;
    private int _count;
    private int _next;
    private volatile Exception? _failure;

    // Number of helpers at work. Counted from int.MinValue upwards while late helpers are rejected.
    private int _inside = int.MinValue;

    // Recent net gain of working together, in ticks, and the time until which the caller works alone.
    private double _gain;
    private long _aloneUntil;

    /// <summary>A team of <paramref name="size"/> threads, including the caller.</summary>
    /// <param name="cancel">Cancels in the middle of a pass: <see cref="For(int, long, Action{int, int})"/> then throws after the chunks
    /// that have started.</param>
    public Team(int size, CancellationToken cancel = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        _cancel = cancel;
        Size = size;
        _threads = new Thread[size - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var member = i + 1;
            _threads[i] = new Thread(() => Attend(member)) { IsBackground = true, Name = $"team {member}" };
            _threads[i].Start();
        }
    }

    /// <summary>Number of threads, including the caller.</summary>
    public int Size { get; }

    /// <summary>
    /// Calls <paramref name="body"/> once for each of 0 .. <paramref name="count"/> - 1, in no particular order, with the index of the
    /// thread that runs it. <paramref name="workPerChunk"/> is the cost in floating-point operations. Rethrows an exception of a chunk.
    /// </summary>
    /// <exception cref="OperationCanceledException">Cancelled: not all chunks were processed.</exception>
    public void For(int count, long workPerChunk, Action<int, int> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        For(count, workPerChunk, new Delegated(body));
    }

    /// <summary>The same without allocating a delegate.</summary>
    internal void For<TWork>(int count, long workPerChunk, TWork work)
        where TWork : struct, ITeamWork
    {
        if (_threads.Length == 0 || count < 2 || count * workPerChunk < SmallestWork)
        {
            Alone(count, work);
            return;
        }
        lock (_oneAtATime)
        {
            var started = Stopwatch.GetTimestamp();
            // Work that takes longer than the remaining back-off is shared anyway.
            if (started + count * workPerChunk / OperationsPerTick < _aloneUntil)
            {
                Alone(count, work);
                return;
            }
            _work = Unsafe.AsPointer(ref work);
            _do = &Do<TWork>;
            (_count, _next, _failure) = (count, -1, null);
            Volatile.Write(ref _inside, 0);
            _start.Release(_threads.Length);
            var mine = Take(0);
            var done = Stopwatch.GetTimestamp();
            Interlocked.Add(ref _inside, int.MinValue);
            var spin = new SpinWait();
            while (Volatile.Read(ref _inside) != int.MinValue) spin.SpinOnce(sleep1Threshold: -1);
            if (mine > 0) Judge((double)(done - started) / mine * count, started);
            if (_failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
            _cancel.ThrowIfCancellationRequested();
        }
    }

    private void Alone<TWork>(int count, TWork work)
        where TWork : struct, ITeamWork
    {
        for (var i = 0; i < count; i++)
        {
            _cancel.ThrowIfCancellationRequested();
            work.Do(i, 0);
        }
    }

    /// <summary>
    /// Updates the gain and, after a net loss, starts the back-off: a helper that loses its core in the middle of a chunk can cost more
    /// than sharing saves.
    /// </summary>
    /// <param name="alone">Estimated ticks that the caller alone would have needed.</param>
    private void Judge(double alone, long started)
    {
        var ended = Stopwatch.GetTimestamp();
        _gain = 0.9 * _gain + alone - (ended - started);
        if (_gain >= 0) return;
        _aloneUntil = ended + (long)(BackOff * -_gain);
        _gain = 0;
    }

    private static void Do<TWork>(void* work, int chunk, int member)
        where TWork : struct, ITeamWork => Unsafe.AsRef<TWork>(work).Do(chunk, member);

    private void Attend(int member)
    {
        while (true)
        {
            _start.Wait();
            if (_closed) return;
            if (!Enter()) continue;
            Take(member);
            Interlocked.Decrement(ref _inside);
        }
    }

    private bool Enter()
    {
        for (var inside = Volatile.Read(ref _inside); inside >= 0;)
        {
            var before = Interlocked.CompareExchange(ref _inside, inside + 1, inside);
            if (before == inside) return true;
            inside = before;
        }
        return false;
    }

    /// <returns>Number of chunks this thread processed.</returns>
    private int Take(int member)
    {
        var done = 0;
        try
        {
            for (var i = Interlocked.Increment(ref _next); i < _count && _failure is null
                && !_cancel.IsCancellationRequested; i = Interlocked.Increment(ref _next), done++)
                _do(_work, i, member);
        }
#pragma warning disable CA1031 // handed to the caller, whatever it is
        catch (Exception failure)
#pragma warning restore CA1031
        {
            _failure = failure;
        }
        return done;
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

    private readonly struct Delegated(Action<int, int> body) : ITeamWork
    {
        public void Do(int chunk, int member) => body(chunk, member);
    }
}

/// <summary>The resources of a computation: memory for activations, threads, and the study's matrix kernel.</summary>
internal sealed record Compute(Arena Arena, Team Team, KernelFamily Family = KernelFamily.Panel);
