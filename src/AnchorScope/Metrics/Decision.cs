namespace AnchorScope.Metrics;

/// <summary>Conclusions from the interval of an effect.</summary>
internal static class Decision
{
    /// <summary>
    /// Whether the whole interval is within the margin around <paramref name="expected"/>, which excludes a relevant effect.
    /// </summary>
    public static bool IsAbsent(Estimate e, double margin, double expected = 0) =>
        e.Low >= expected - margin && e.High <= expected + margin;

    /// <summary>
    /// Estimated number of samples that would decide, if the observed mean remains. The interval narrows with the square root of the number
    /// of samples; a decision means that it excludes <paramref name="expected"/> or is within the margin, whichever needs fewer. Rounded up
    /// to two digits.
    /// </summary>
    /// <param name="margin">0: absence cannot be shown, so the interval must exclude <paramref name="expected"/>.</param>
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
