namespace AnchorScope.Studies;

/// <summary>Finds the strength at which one steering method changes the residual stream as much as another.</summary>
internal static class StrengthMatch
{
    /// <summary>Strengths at which changes are measured: those tried, and larger ones that a random set may need.</summary>
    public static IReadOnlyList<double> Further(IReadOnlyList<double> strengths) =>
        [.. strengths, .. new[] { 2, 4, 8 }.Select(times => times * strengths[^1])];

    /// <summary>
    /// The strength with the change <paramref name="aim"/>, by linear interpolation between the measured strengths; null if none reaches
    /// it.
    /// </summary>
    /// <param name="strengths">Ascending, beyond <paramref name="none"/>.</param>
    /// <param name="changes">The change at each strength.</param>
    /// <param name="none">The strength without effect.</param>
    public static double? At(IReadOnlyList<double> strengths, IReadOnlyList<double> changes, double aim, double none)
    {
        var (before, change) = (none, 0.0);
        for (var i = 0; i < strengths.Count; i++)
        {
            if (changes[i] >= aim)
                return Math.Round(before + (strengths[i] - before) * (aim - change) / Math.Max(1e-12, changes[i] - change), 3);
            (before, change) = (strengths[i], changes[i]);
        }
        return null;
    }
}
