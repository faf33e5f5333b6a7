namespace AnchorScope.Engines;

/// <summary>Independent pieces of work on threads that each have a session of their own: no result depends on their number.</summary>
internal static class Workers
{
    /// <summary>Does the pieces 0 to <paramref name="count"/> - 1, each on whichever thread is free.</summary>
    /// <param name="engine">What computes.</param>
    /// <param name="threads">Threads in all. A single worker's session gets all of them.</param>
    /// <param name="worker">
    /// Called once on each thread; what it returns is called for each piece.
    /// Its token is cancelled where <paramref name="cancel"/> is, or where another worker failed.
    /// </param>
    /// <param name="together">Whether one worker does everything: right for a model so large that all threads share its passes.</param>
    /// <param name="reservedRows">As in <see cref="SessionOptions.ReservedRows"/>.</param>
    public static void Each(
        IEngine engine, int count, int threads, Func<ISession, CancellationToken, Action<int>> worker, CancellationToken cancel, bool together = false,
        int reservedRows = 0)
    {
        var workers = together ? Math.Min(1, count) : Math.Min(threads, count);
        var next = -1;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var tasks = Enumerable.Range(0, workers)
            .Select(_ => Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        try
        {
            Task.WaitAll(tasks, CancellationToken.None);
        }
        catch (AggregateException e)
        {
            // What went wrong says more than that the others were stopped because of it.
            var all = e.Flatten().InnerExceptions;
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(all.FirstOrDefault(inner => inner is not OperationCanceledException) ?? all[0]);
        }

        void Work()
        {
            using var session = engine.Open(new SessionOptions { Threads = workers == 1 ? threads : 1, Cancel = stop.Token, ReservedRows = reservedRows });
            try
            {
                var piece = worker(session, stop.Token);
                for (var i = Interlocked.Increment(ref next); i < count; i = Interlocked.Increment(ref next))
                {
                    stop.Token.ThrowIfCancellationRequested();
                    piece(i);
                }
            }
            catch
            {
                stop.Cancel();
                throw;
            }
        }
    }
}
