using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace AnchorScope.Tensors;

/// <summary>What the members of a team do with one chunk. A struct, so that handing it out costs the garbage collector nothing.</summary>
internal interface ITeamWork
{
    /// <param name="chunk">Which chunk.</param>
    /// <param name="member">Number of the thread that does it.</param>
    void Do(int chunk, int member);
}

/// <summary>
/// A small group of threads that share the panels of a product or the heads of an attention. Chunks are taken from one
/// counter, so a thread that is held up holds nobody else up but with the chunk in its hands; one that comes too late finds the door shut and is
/// not waited for. While another process keeps taking the others' cores away, the caller works alone. With one thread everything runs on the caller.
/// </summary>
internal sealed unsafe class Team : IDisposable
{
    /// <summary>About 20 microseconds of arithmetic: below that, waking another thread costs more than it brings.</summary>
    private const long SmallestWork = 1_000_000;

    /// <summary>What a core does in a tick of the clock, about.</summary>
    private static readonly double OperationsPerTick = 50e9 / Stopwatch.Frequency;

    /// <summary>For how many times what the others' help has cost the caller goes without it.</summary>
    private const int BackOff = 10;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _start = new(0);
    private readonly Lock _turn = new();
    private readonly CancellationToken _cancel;
    private volatile bool _closed;

    // The work in hand: a struct on the stack of the caller, who waits until nobody uses it any more.
    private void* _work;
    private delegate*<void*, int, int, void> _do;
    private int _count;
    private int _next;
    private volatile Exception? _failure;

    // How many others are at work; from int.MinValue on up where the door is shut to those who come too late.
    private int _inside = int.MinValue;

    // What working together has brought of late, in ticks, and until when the caller does without.
    private double _gain;
    private long _aloneUntil;

    /// <summary>A team of <paramref name="size"/> threads, the caller included.</summary>
    /// <param name="cancel">Ends a pass in its middle: <see cref="For(int, long, Action{int, int})"/> then throws after the chunks in hand.</param>
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

    /// <summary>Number of threads, the caller included.</summary>
    public int Size { get; }

    /// <summary>
    /// Calls <paramref name="body"/> for 0 .. <paramref name="count"/> - 1, each once, in no order, with the number of the thread that
    /// does it; <paramref name="workPerChunk"/> is its cost in floating-point operations. The first exception is thrown again here.
    /// </summary>
    /// <exception cref="OperationCanceledException">Cancelled: not all chunks were done.</exception>
    public void For(int count, long workPerChunk, Action<int, int> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        For(count, workPerChunk, new Delegated(body));
    }

    /// <summary>The same without a delegate.</summary>
    internal void For<TWork>(int count, long workPerChunk, TWork work)
        where TWork : struct, ITeamWork
    {
        if (_threads.Length == 0 || count < 2 || count * workPerChunk < SmallestWork)
        {
            Alone(count, work);
            return;
        }
        lock (_turn)
        {
            var started = Stopwatch.GetTimestamp();
            // A wait that is shorter than the work itself does not keep help from it.
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

    /// <summary>Whether help pays: a thread that loses its core in the middle of a chunk can cost more than all of them bring.</summary>
    /// <param name="alone">Ticks that the caller would have taken.</param>
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

    /// <returns>How many chunks this thread did.</returns>
    private int Take(int member)
    {
        var done = 0;
        try
        {
            for (var i = Interlocked.Increment(ref _next); i < _count && _failure is null && !_cancel.IsCancellationRequested; i = Interlocked.Increment(ref _next), done++) _do(_work, i, member);
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

/// <summary>What a computation runs on: memory for activations, threads, and the matrix kernel of the study.</summary>
internal sealed record Compute(Arena Arena, Team Team, KernelFamily Family = KernelFamily.Panel);
