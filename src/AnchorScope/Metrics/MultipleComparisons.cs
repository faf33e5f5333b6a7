namespace AnchorScope.Metrics;

/// <summary>Adjusts the p-values of a family. NaN means that there was no test; the adjusted value is then NaN too.</summary>
internal static class MultipleComparisons
{
    /// <summary>Significance level for p after Holm, and false discovery rate.</summary>
    public const double Level = 0.05;

    /// <summary>
    /// Holm (1979): claiming everything with an adjusted p of at most 0.05 has a chance of at most 5 % of any false claim in the family.
    /// </summary>
    public static IReadOnlyList<double> Holm(IReadOnlyList<double> p)
    {
        var (order, adjusted, largest) = (Order(p), Nothing(p), 0.0);
        for (var i = 0; i < order.Length; i++)
        {
            largest = Math.Max(largest, Math.Min(1, (order.Length - i) * p[order[i]]));
            adjusted[order[i]] = largest;
        }
        return adjusted;
    }

    /// <summary>Benjamini and Hochberg (1995): of the results with q of at most 0.05, at most 5 % are false on average.</summary>
    /// <param name="p">One-sided or two-sided.</param>
    /// <param name="family">Size of the family if more than was tested belongs to it. Members that the same data excluded from testing
    /// count with p = 1. 0: the number of tests.</param>
    public static IReadOnlyList<double> BenjaminiHochberg(IReadOnlyList<double> p, int family = 0)
    {
        var (order, adjusted, smallest) = (Order(p), Nothing(p), 1.0);
        var size = Math.Max(family, order.Length);
        for (var i = order.Length - 1; i >= 0; i--)
        {
            smallest = Math.Min(smallest, size * p[order[i]] / (i + 1));
            adjusted[order[i]] = smallest;
        }
        return adjusted;
    }

    private static int[] Order(IReadOnlyList<double> p) =>
        [.. Enumerable.Range(0, p.Count).Where(i => !double.IsNaN(p[i])).OrderBy(i => p[i])];

    private static double[] Nothing(IReadOnlyList<double> p) => [.. p.Select(_ => double.NaN)];
}
