namespace AnchorScope.Studies;

/// <summary>The strength at which one way of steering changes the residual stream as much as another.</summary>
internal static class StrengthMatch
{
    /// <summary>Strengths at which changes are measured: those tried, and further ones that a random set may need.</summary>
    public static IReadOnlyList<double> Further(IReadOnlyList<double> strengths) => [.. strengths, .. new[] { 2, 4, 8 }.Select(times => times * strengths[^1])];

    /// <summary>On a straight line between the strengths measured; null where none reaches <paramref name="aim"/>.</summary>
    /// <param name="strengths">Ascending, beyond <paramref name="none"/>.</param>
    /// <param name="changes">The change at each.</param>
    /// <param name="none">The strength that changes nothing.</param>
    public static double? At(IReadOnlyList<double> strengths, IReadOnlyList<double> changes, double aim, double none)
    {
        var (before, change) = (none, 0.0);
        for (var i = 0; i < strengths.Count; i++)
        {
            if (changes[i] >= aim) return Math.Round(before + (strengths[i] - before) * (aim - change) / Math.Max(1e-12, changes[i] - change), 3);
            (before, change) = (strengths[i], changes[i]);
        }
        return null;
    }
}
