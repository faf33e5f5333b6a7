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
/// counter, so a thread that is held up holds nobody else up. With one thread everything runs on the caller.
/// </summary>
public sealed unsafe class Team : IDisposable
{
    /// <summary>About 20 microseconds of arithmetic: below that, waking another thread costs more than it brings.</summary>
    private const long SmallestWork = 1_000_000;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _start = new(0);
    private readonly Lock _turn = new();
    private volatile bool _closed;

    // The work in hand: a struct on the stack of the caller, who waits until nobody uses it any more.
    private void* _work;
    private delegate*<void*, int, int, void> _do;
    private int _count;
    private int _next;
    private int _others;
    private volatile Exception? _failure;

    /// <summary>A team of <paramref name="size"/> threads, the caller included.</summary>
    public Team(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
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
            for (var i = 0; i < count; i++) work.Do(i, 0);
            return;
        }
        lock (_turn)
        {
            _work = Unsafe.AsPointer(ref work);
            _do = &Do<TWork>;
            (_count, _next, _failure) = (count, -1, null);
            Volatile.Write(ref _others, _threads.Length);
            _start.Release(_threads.Length);
            Take(0);
            var spin = new SpinWait();
            while (Volatile.Read(ref _others) > 0) spin.SpinOnce(sleep1Threshold: -1);
            if (_failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    private static void Do<TWork>(void* work, int chunk, int member)
        where TWork : struct, ITeamWork => Unsafe.AsRef<TWork>(work).Do(chunk, member);

    private void Attend(int member)
    {
        while (true)
        {
            _start.Wait();
            if (_closed) return;
            Take(member);
            Interlocked.Decrement(ref _others);
        }
    }

    private void Take(int member)
    {
        try
        {
            for (var i = Interlocked.Increment(ref _next); i < _count && _failure is null; i = Interlocked.Increment(ref _next)) _do(_work, i, member);
        }
#pragma warning disable CA1031 // handed to the caller, whatever it is
        catch (Exception failure)
#pragma warning restore CA1031
        {
            _failure = failure;
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

    private readonly struct Delegated(Action<int, int> body) : ITeamWork
    {
        public void Do(int chunk, int member) => body(chunk, member);
    }
}

/// <summary>What a computation runs on: memory for activations, threads, and the matrix kernel of the study.</summary>
public sealed record Compute(Arena Arena, Team Team, KernelFamily Family = KernelFamily.Panel);
