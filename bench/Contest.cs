using System.Diagnostics;

namespace AnchorScope.Bench;

/// <summary>Contenders run in turn, round by round, so that a machine that changes its speed changes it for all of them.</summary>
internal static class Contest
{
    /// <summary>At least five rounds; a turn lasts at least a tenth of a second.</summary>
    public const int Rounds = 7;

    private const double Turn = 0.1;

    /// <returns>Seconds of one call [contender][round].</returns>
    public static double[][] Run(params ReadOnlySpan<Action> contenders)
    {
        var calls = new int[contenders.Length];
        for (var i = 0; i < contenders.Length; i++)
        {
            contenders[i]();
            contenders[i]();
            calls[i] = Math.Max(1, (int)Math.Ceiling(Turn / Seconds(contenders[i], 1)));
        }
        var times = new double[contenders.Length][];
        for (var i = 0; i < contenders.Length; i++) times[i] = new double[Rounds];
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < contenders.Length; i++) times[i][round] = Seconds(contenders[i], calls[i]);
        }
        return times;
    }

    /// <summary>Median over rounds of how many times faster the first is than the second.</summary>
    public static double Ratio(double[] ours, double[] theirs) => Median([.. theirs.Zip(ours, (t, o) => t / o)]);

    public static double Median(double[] values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private static double Seconds(Action action, int calls)
    {
        var from = Stopwatch.GetTimestamp();
        for (var i = 0; i < calls; i++) action();
        return Stopwatch.GetElapsedTime(from).TotalSeconds / calls;
    }
}
