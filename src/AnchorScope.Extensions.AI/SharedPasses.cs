using AnchorScope.Engines;

namespace AnchorScope.Extensions.AI;

/// <summary>
/// Computes answers of calls that come at the same time together. One thread owns the session; each step is one pass with a row of every
/// answer in progress and with pieces of new prompts. Every answer has the bits that it has alone.
/// </summary>
internal sealed class SharedPasses : IDisposable
{
    private readonly IEngine _engine;
    private readonly ChatClientSettings _settings;
    private readonly Lock _lock = new();
    private readonly Queue<RunningAnswer> _waiting = [];
    private readonly List<RunningAnswer> _running = [];
    private readonly AutoResetEvent _wake = new(false);
    private readonly Thread _thread;
    private volatile bool _closed;

    public SharedPasses(IEngine engine, ChatClientSettings settings)
    {
        (_engine, _settings) = (engine, settings);
        _thread = new Thread(Loop) { IsBackground = true, Name = "chat" };
        _thread.Start();
    }

    /// <summary>Puts an answer into the queue.</summary>
    /// <exception cref="ObjectDisposedException">No more are taken.</exception>
    public void Submit(RunningAnswer answer)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed, typeof(AnchorScopeChatClient));
            _waiting.Enqueue(answer);
        }
        _wake.Set();
    }

    /// <summary>Ends at once: answers in progress fail.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_closed) return;
            _closed = true;
        }
        _wake.Set();
        _thread.Join();
        _wake.Dispose();
    }

    private void Loop()
    {
        Exception? error = null;
        try
        {
            using var session = _engine.Open(new SessionOptions { Threads = _settings.Threads });
            while (!_closed) Turn(session);
        }
#pragma warning disable CA1031 // told to every caller who waits
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = e;
        }
        lock (_lock)
        {
            _closed = true;
            _running.AddRange(_waiting);
            _waiting.Clear();
        }
        EndAll(error ?? new ObjectDisposedException(typeof(AnchorScopeChatClient).FullName));
    }

    private void Turn(ISession session)
    {
        for (var i = _running.Count - 1; i >= 0; i--)
        {
            if (_running[i].IsGiven) End(_running[i], new OperationCanceledException());
            else if (_running[i].Finished is not null) End(_running[i], Error(_running[i]));
        }
        while (_running.Count < _settings.Answers && Next() is { } next) Begin(session, next);
        if (_running.Count == 0)
        {
            _wake.WaitOne();
            return;
        }
        try
        {
            SequenceBatch.Step(session, [.. _running.Select(answer => answer.Sequence!)], _settings.Rows);
        }
#pragma warning disable CA1031 // told to the callers; others are answered
        catch (Exception e)
#pragma warning restore CA1031
        {
            EndAll(e);
        }
    }

    private RunningAnswer? Next()
    {
        lock (_lock) return _waiting.TryDequeue(out var next) ? next : null;
    }

    private void Begin(ISession session, RunningAnswer answer)
    {
        _running.Add(answer);
        try
        {
            answer.Begin(session);
        }
#pragma warning disable CA1031 // told to the caller
        catch (Exception e)
#pragma warning restore CA1031
        {
            End(answer, e);
        }
    }

    // An error of its own for the caller: the sequence's has the stack of this thread.
    private static InputException? Error(RunningAnswer answer) =>
        answer.Sequence!.Error is { } error ? new InputException(error.Message, error) : null;

    private void EndAll(Exception error)
    {
        while (_running.Count > 0) End(_running[^1], error);
    }

    /// <summary>Frees the memory of an answer, then tells its caller.</summary>
    private void End(RunningAnswer answer, Exception? error)
    {
        _running.Remove(answer);
        answer.Dispose();
        answer.End(error);
    }
}
