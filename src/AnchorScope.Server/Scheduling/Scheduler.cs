using AnchorScope.Engines;

namespace AnchorScope.Server.Scheduling;

/// <summary>A job in the queue.</summary>
/// <param name="Submitted">Time stamp of the scheduler's clock.</param>
internal sealed record WaitingJob(Job Job, JobHandle Handle, long Submitted);

/// <summary>
/// Runs many jobs at once (continuous batching). One thread owns the session. Each step is one pass with a row of every answer in progress
/// and with pieces of the prompts of jobs that have just started, up to a number of rows. Every answer has the bits that it has alone.
/// </summary>
internal sealed class Scheduler : IDisposable
{
    private readonly IEngine _engine;
    private readonly SchedulerOptions _options;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Queue<WaitingJob> _waiting = [];
    private readonly List<RunningJob> _running = [];
    private readonly PrefixCache _prefixes = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private bool _draining;
    private volatile bool _stopping;

    /// <summary>Starts the scheduler's thread.</summary>
    /// <param name="time">The clock of deadlines and durations; null: the system's.</param>
    public Scheduler(IEngine engine, SchedulerOptions options, TimeProvider? time = null)
    {
        (_engine, _options, _time) = (engine, options.Validated(), time ?? TimeProvider.System);
        _thread = new Thread(Loop) { IsBackground = true, Name = "scheduler" };
        _thread.Start();
    }

    /// <summary>Counts of what the scheduler does, for metrics.</summary>
    public SchedulerCounts Counts { get; } = new();

    /// <summary>Puts a job into the queue.</summary>
    /// <exception cref="InputException">The job can never run: its intervention does not fit, or its memory exceeds the limit.</exception>
    /// <exception cref="QueueFullException">Too many jobs wait.</exception>
    /// <exception cref="DrainingException">The scheduler ends.</exception>
    public JobHandle Submit(Job job)
    {
        Check(job);
        var handle = new JobHandle(() => _wake.Set());
        lock (_lock)
        {
            if (_draining) throw new DrainingException();
            if (_waiting.Count(waiting => !waiting.Job.IsIdle) >= _options.Queue)
                throw new QueueFullException($"{_options.Queue} requests are waiting; --queue allows no more");
            _waiting.Enqueue(new WaitingJob(job, handle, _time.GetTimestamp()));
            Counts.Waiting = _waiting.Count;
        }
        _wake.Set();
        return handle;
    }

    /// <summary>Puts jobs that are marked as idle into the queue, so that they share their passes.</summary>
    /// <returns>Null if there is something else to do, so that they were not taken.</returns>
    /// <exception cref="InputException">One can never run.</exception>
    public IReadOnlyList<JobHandle>? SubmitIdle(IReadOnlyList<Job> jobs)
    {
        foreach (var job in jobs) Check(job);
        JobHandle[] handles = [.. jobs.Select(_ => new JobHandle(() => _wake.Set()))];
        lock (_lock)
        {
            if (_draining || _waiting.Count > 0 || Counts.Running > 0) return null;
            foreach (var (job, handle) in jobs.Zip(handles)) _waiting.Enqueue(new WaitingJob(job, handle, _time.GetTimestamp()));
        }
        _wake.Set();
        return handles;
    }

    private void Check(Job job)
    {
        job.Intervention.Validate(_engine.Shape, job.Prompt.Length, job.Tokens - 1);
        if (job.Answers.Count < 1 || job.Answers.Count > _options.MostAnswers)
            throw InputException.At("request", "n", $"1 to {_options.MostAnswers}", $"{job.Answers.Count}");
        if (BytesOf(job) is var bytes && bytes > _options.Memory)
            throw new InputException($"the request needs {bytes} bytes for keys and values ({Plural.Of(job.Answers.Count, "answer")} of "
                + $"{job.Prompt.Length} positions and up to {job.Tokens} tokens); --memory allows {_options.Memory}");
    }

    /// <summary>Takes no new jobs. The task ends when those that were submitted have ended.</summary>
    public Task Drain()
    {
        lock (_lock) _draining = true;
        _wake.Set();
        return _drained.Task;
    }

    /// <summary>Ends at once: jobs that have not ended are cancelled.</summary>
    public void Dispose()
    {
        _stopping = true;
        _ = Drain();
        _thread.Join();
        _wake.Dispose();
    }

    private void Loop()
    {
        try
        {
            using var session = _engine.Open(new SessionOptions { Threads = _options.Threads });
            using (_prefixes)
            {
                while (!_stopping && Turn(session))
                {
                }
                End();
            }
            _drained.TrySetResult();
        }
#pragma warning disable CA1031 // told to every waiting request, and to the one who drains
        catch (Exception e)
#pragma warning restore CA1031
        {
            Abort(e);
            _drained.TrySetException(e);
        }
    }

    /// <summary>One step: one pass, or a wait if there is nothing to do.</summary>
    /// <returns>Whether there will be another one.</returns>
    private bool Turn(ISession session)
    {
        DropIdle();
        Remove(session);
        Admit(session);
        Counts.MemoryShare = (_running.Sum(job => job.Bytes) + _prefixes.Bytes) / (double)_options.Memory;
        if (_running.Count == 0)
        {
            lock (_lock)
            {
                if (_draining && _waiting.Count == 0) return false;
            }
            _wake.WaitOne(NextDeadline());
            return true;
        }
        Pass(session);
        return true;
    }

    /// <summary>One pass. An error in it is that of all its jobs: the scheduler goes on with others.</summary>
    private void Pass(ISession session)
    {
        try
        {
            // A request that comes during a pass waits for its end: one of idle jobs alone is shorter.
            var rows = SequenceBatch.Step(session, InTurn(),
                _running.TrueForAll(job => job.Job.IsIdle) ? Math.Max(1, _options.Rows / 4) : _options.Rows);
            Counts.Pass(rows);
            foreach (var job in _running)
            {
                if (job.Advance()) Keep(session, job);
            }
        }
#pragma warning disable CA1031 // told to the requests
        catch (Exception e)
#pragma warning restore CA1031
        {
            foreach (var job in _running) End(job, e);
            _running.Clear();
        }
    }

    /// <summary>
    /// The answers in the order in which prompts are given rows: in every second pass as they came, so that a long prompt gets on, and in
    /// the others shortest first, so that a short prompt does not wait for a long one.
    /// </summary>
    private List<Sequence> InTurn()
    {
        var answers = _running.SelectMany(job => job.Answers);
        return [.. Counts.Passes % 2 == 0 ? answers : answers.OrderBy(answer => answer.Pending)];
    }

    /// <summary>Cancels idle jobs if there is something else to do.</summary>
    private void DropIdle()
    {
        lock (_lock)
        {
            if (!_draining && !_running.Exists(job => !job.Job.IsIdle) && !_waiting.Any(job => !job.Job.IsIdle)) return;
            foreach (var waiting in _waiting)
            {
                if (waiting.Job.IsIdle) waiting.Handle.Cancel();
            }
        }
        foreach (var running in _running)
        {
            if (running.Job.IsIdle) running.Handle.Cancel();
        }
    }

    /// <summary>Ends jobs that have all their answers, failed, were cancelled, or are late.</summary>
    private void Remove(ISession session)
    {
        for (var i = _running.Count - 1; i >= 0; i--)
        {
            var job = _running[i];
            var error = job.Error ?? Given(job.Job, job.Handle);
            if (error is null && !job.IsFinished) continue;
            _running.RemoveAt(i);
            if (error is null) KeepAnswer(session, job);
            End(job, error);
        }
        lock (_lock)
        {
            if (!_waiting.Any(w => Given(w.Job, w.Handle) is not null)) return;
            var left = new List<WaitingJob>();
            foreach (var waiting in _waiting)
            {
                if (Given(waiting.Job, waiting.Handle) is { } error) waiting.Handle.Fail(error);
                else left.Add(waiting);
            }
            _waiting.Clear();
            foreach (var waiting in left) _waiting.Enqueue(waiting);
            Counts.Waiting = _waiting.Count;
        }
    }

    /// <summary>Why a job is given up, or null.</summary>
    private Exception? Given(Job job, JobHandle handle) =>
        handle.IsCancelled ? new OperationCanceledException()
        : job.Deadline <= _time.GetUtcNow() ? new TimeoutException("the request was not answered before its deadline") : null;

    /// <summary>Starts jobs in the order in which they came, as long as there is room. Kept prefixes give way.</summary>
    private void Admit(ISession session)
    {
        while (true)
        {
            WaitingJob? next;
            lock (_lock) next = _waiting.TryPeek(out var first) ? first : null;
            if (next is null || _running.Sum(job => job.Job.Answers.Count) + next.Job.Answers.Count > _options.MostAnswers) return;
            var most = next.Job.Positions.DefaultIfEmpty(int.MaxValue).Min();
            var reused = _prefixes.Find(next.Job.Tenant, next.Job.Prompt, next.Job.Intervention, most);
            var (bytes, used) = (BytesOf(next.Job), _running.Sum(job => job.Bytes));
            if (used + bytes > _options.Memory) return;
            lock (_lock) Counts.Waiting = _waiting.TryDequeue(out _) ? _waiting.Count : 0;
            if (next.Job.IsIdle && used + bytes + _prefixes.Bytes > _options.Memory)
            {
                next.Handle.Fail(new OperationCanceledException());
                continue;
            }
            try
            {
                _running.Add(new RunningJob(next, session, reused, bytes, _time));
                if (!next.Job.IsIdle) Counts.Started(next.Job.Prompt.Length, reused?.Count ?? 0);
            }
#pragma warning disable CA1031 // told to the request
            catch (Exception e)
#pragma warning restore CA1031
            {
                next.Handle.Fail(e);
            }
            // After the sequence has begun: it keeps the prefix alive that it starts from.
            _prefixes.Shrink(_options.Memory - used - bytes);
            Counts.Running = _running.Count(running => !running.Job.IsIdle);
        }
    }

    /// <summary>Keeps the prompt of a job for later ones, if there is memory for it.</summary>
    private void Keep(ISession session, RunningJob job) => Keep(session, job, job.Job.Prompt.Length);

    /// <summary>Keeps the prompt and the answer, for the next turn of a conversation.</summary>
    private void KeepAnswer(ISession session, RunningJob job)
    {
        if (job.Job.Answers.Count == 1) Keep(session, job, job.Answers[0].Computed);
    }

    private void Keep(ISession session, RunningJob job, int count)
    {
        count = count / PrefixCache.Panel * PrefixCache.Panel;
        if (!_options.KeepPrefixes || job.Job.IsIdle || count <= Math.Max(job.Reused, job.Kept?.Count ?? 0)) return;
        var free = _options.Memory - _running.Sum(running => running.Bytes);
        if (_engine.SequenceBytes(count) > free) return;
        _prefixes.Shrink(free - _engine.SequenceBytes(count));
        if (job.Kept is not null) _prefixes.Remove(job.Kept);
        job.Kept = job.Answers[0].Keep(session, count);
        _prefixes.Add(job.Job.Tenant, job.Kept);
    }

    /// <summary>
    /// Bytes of a job's keys and values. A prefix that it shares is counted, because it may outlive its place in the cache.
    /// </summary>
    private long BytesOf(Job job)
    {
        var (prompt, answers) = (job.Prompt.Length, job.Answers.Count);
        var first = _engine.SequenceBytes(prompt + job.Tokens);
        // Several answers share a copy of the prompt's keys and values.
        return answers == 1 ? first : first + _engine.SequenceBytes(prompt) + (answers - 1) * _engine.SequenceBytes(1 + job.Tokens);
    }

    private void End(RunningJob job, Exception? error)
    {
        if (error is null) job.Handle.Complete(job.Result());
        else job.Handle.Fail(error);
        if (!job.Job.IsIdle) Counts.Ended(error);
        job.Dispose();
        Counts.Running = _running.Count(running => !running.Job.IsIdle);
    }

    private void End()
    {
        foreach (var job in _running) End(job, new OperationCanceledException());
        _running.Clear();
        lock (_lock)
        {
            while (_waiting.TryDequeue(out var waiting)) waiting.Handle.Fail(new OperationCanceledException());
        }
    }

    private void Abort(Exception e)
    {
        lock (_lock)
        {
            _draining = true;
            while (_waiting.TryDequeue(out var waiting)) waiting.Handle.Fail(e);
        }
        foreach (var job in _running) job.Handle.Fail(e);
    }

    private TimeSpan NextDeadline()
    {
        lock (_lock)
        {
            var next = _waiting.Select(w => w.Job.Deadline).Min();
            return next is { } at && at - _time.GetUtcNow() is var left && left > TimeSpan.Zero ? left : Timeout.InfiniteTimeSpan;
        }
    }
}
