using AnchorScope.Tensors;

namespace AnchorScope.Tuning;

/// <summary>Independent pieces of work on threads that each have memory and a kernel of their own: no result depends on their number.</summary>
internal static class Workers
{
    /// <summary>Calls <paramref name="work"/> once for each number below <paramref name="count"/>; what it took from the arena is released behind it.</summary>
    public static void Each(int count, int threads, Action<int, Compute> work, CancellationToken cancel)
    {
        var next = -1;
        var tasks = Enumerable.Range(0, Math.Min(threads, count)).Select(_ => Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
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
            using var arena = new Arena();
            using var team = new Team(1, cancel);
            var compute = new Compute(arena, team);
            for (var i = Interlocked.Increment(ref next); i < count; i = Interlocked.Increment(ref next))
            {
                cancel.ThrowIfCancellationRequested();
                var mark = arena.Here();
                work(i, compute);
                arena.Release(mark);
            }
        }
    }
}
