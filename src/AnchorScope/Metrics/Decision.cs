namespace AnchorScope.Metrics;

/// <summary>What an interval says about an effect.</summary>
internal static class Decision
{
    /// <summary>
    /// Whether the whole interval lies within the margin around <paramref name="expected"/>: an effect that matters is excluded.
    /// </summary>
    public static bool IsAbsent(Estimate e, double margin, double expected = 0) =>
        e.Low >= expected - margin && e.High <= expected + margin;

    /// <summary>
    /// About how many samples would decide, if what was observed stays: the interval, which narrows with the root of their number, would
    /// exclude <paramref name="expected"/> or lie within the margin, whichever takes fewer. Two digits, rounded up.
    /// </summary>
    /// <param name="margin">0: nothing can be absent, the interval has to exclude <paramref name="expected"/>.</param>
    public static int Needed(Estimate e, int samples, double margin, double expected = 0)
    {
        var (distance, half) = (Math.Abs(e.Mean - expected), (e.High - e.Low) / 2);
        double Factor(double room) => room > 0 ? half / room : double.PositiveInfinity;
        var factor = Math.Min(Factor(distance), Factor(margin - distance));
        var needed = Math.Max(Clusters.Fewest, Math.Max(samples + 1, samples * factor * factor));
        if (!(needed < 1e8)) return int.MaxValue;
        var unit = Math.Pow(10, Math.Max(0, Math.Floor(Math.Log10(needed)) - 1));
        return (int)(Math.Ceiling(needed / unit - 1e-9) * unit);
    }
}
