using System.Diagnostics;

namespace AnchorScope.Bench;

/// <summary>Seconds that <paramref name="calls"/> calls take. Ours are measured here, those of a peer process by that process.</summary>
internal delegate double Contender(int calls);

/// <summary>Runs contenders alternately, round by round, so that a change of the machine's speed affects all of them.</summary>
internal static class Contest
{
    public const int Rounds = 5;

    // Seconds: short work is repeated until one measurement takes at least this long and noise is negligible.
    private const double Turn = 0.15;

    public static Contender Ours(Action action) => calls =>
    {
        var from = Stopwatch.GetTimestamp();
        for (var i = 0; i < calls; i++) action();
        return Stopwatch.GetElapsedTime(from).TotalSeconds;
    };

    /// <returns>Seconds of one call [contender][round].</returns>
    public static double[][] Run(params ReadOnlySpan<Contender> contenders) => Run(Rounds, contenders);

    /// <summary>Runs with fewer rounds, for contenders that take long.</summary>
    public static double[][] Run(int rounds, params ReadOnlySpan<Contender> contenders)
    {
        var calls = new int[contenders.Length];
        for (var i = 0; i < contenders.Length; i++)
        {
            // The first call compiles code and fills caches.
            var once = contenders[i](1);
            if (once < 1) once = contenders[i](1);
            calls[i] = Math.Max(1, (int)Math.Ceiling(Turn / once));
        }
        var times = new double[contenders.Length][];
        for (var i = 0; i < contenders.Length; i++) times[i] = new double[rounds];
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < contenders.Length; i++) times[i][round] = contenders[i](calls[i]) / calls[i];
        }
        return times;
    }

    /// <summary>Median over rounds of the factor by which the first is faster than the second.</summary>
    public static double Ratio(double[] ours, double[] theirs) => Median([.. theirs.Zip(ours, (t, o) => t / o)]);

    /// <summary>
    /// Median over rounds of the fraction of a reference speed that is reached. The amounts are those of one call of each.
    /// </summary>
    public static double Share(double amount, double[] ours, double yardstick, double[] theirs) => Ratio(ours, theirs) * amount / yardstick;

    public static double Median(double[] values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
