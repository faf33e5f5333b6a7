using System.Globalization;

namespace AnchorScope.Bench;

/// <summary>Memory of this process that no file stands behind: everything but mapped weights, the runtime included.</summary>
internal static class AnonymousMemory
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Runs <paramref name="work"/> and looks again and again at how much there is.</summary>
    /// <returns>What it returned, and the most bytes that were seen.</returns>
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
