using System.Globalization;

namespace AnchorScope.Bench;

/// <summary>Anonymous memory of this process: everything except mapped files such as weights, including the runtime.</summary>
internal static class AnonymousMemory
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Runs <paramref name="work"/> and samples the amount of anonymous memory meanwhile.</summary>
    /// <returns>The result of the work, and the largest sampled number of bytes.</returns>
    public static (T Result, long Peak) Watch<T>(Func<T> work)
    {
        using var done = new ManualResetEventSlim();
        var peak = 0L;
        var watch = new Thread(() =>
        {
            do peak = Math.Max(peak, Now());
            while (!done.Wait(Interval));
        }) { IsBackground = true };
        watch.Start();
        T result;
        try
        {
            result = work();
        }
        finally
        {
            done.Set();
            watch.Join();
        }
        return (result, Math.Max(peak, Now()));
    }

    // proc(5): RssAnon, in kB.
    private static long Now()
    {
        var line = File.ReadLines("/proc/self/status").Single(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
        return long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
