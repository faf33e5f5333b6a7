namespace AnchorScope.Engines;

/// <summary>
/// Processes independent items on threads that each have their own session. Results do not depend on the number of threads.
/// </summary>
internal static class Workers
{
    /// <summary>Processes items 0 to <paramref name="count"/> - 1, each on whichever thread is free.</summary>
    /// <param name="engine">Opens the sessions.</param>
    /// <param name="threads">Total number of threads. A single worker's session gets all of them.</param>
    /// <param name="worker">Called once on each thread. The action it returns is called for each item. Its token is cancelled if
    /// <paramref name="cancel"/> is, or if another worker failed.</param>
    /// <param name="single">Whether one worker processes all items with all threads. Use it for models too large for one session per
    /// thread.</param>
    /// <param name="reservedBytes">As in <see cref="SessionOptions.ReservedBytes"/>.</param>
    public static void Each(
        IEngine engine, int count, int threads, Func<ISession, CancellationToken, Action<int>> worker,
        CancellationToken cancel, bool single = false,
        long reservedBytes = 0)
    {
        var workers = single ? Math.Min(1, count) : Math.Min(threads, count);
        var next = -1;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var tasks = Enumerable.Range(0, workers)
            .Select(_ => Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))
            .ToArray();
        try
        {
            Task.WaitAll(tasks, CancellationToken.None);
        }
        catch (AggregateException e)
        {
            // The original failure is more useful than the cancellation of the other workers.
            var all = e.Flatten().InnerExceptions;
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(
                all.FirstOrDefault(inner => inner is not OperationCanceledException) ?? all[0]);
        }

        void Work()
        {
            try
            {
                using var session = engine.Open(
                new SessionOptions { Threads = workers == 1 ? threads : 1, Cancel = stop.Token, ReservedBytes = reservedBytes });
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
