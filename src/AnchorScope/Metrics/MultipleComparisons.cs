namespace AnchorScope.Metrics;

/// <summary>Adjusts the p-values of a family. Where a p is NaN no test was made, and the adjusted one is NaN.</summary>
internal static class MultipleComparisons
{
    /// <summary>Level of p after Holm, and of the false discovery rate.</summary>
    public const double Level = 0.05;

    /// <summary>Holm (1979): what is at most 0.05 is claimed with at most 5 % chance of a single false claim in the family.</summary>
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

    /// <summary>Benjamini and Hochberg (1995): of what has a q of at most 0.05, at most 5 % are false on average.</summary>
    /// <param name="p">Two-sided or not.</param>
    /// <param name="family">
    /// Size of the family, where more than was tested: what the same data said was not worth a test counts as one with p = 1. 0: what was
    /// tested.
    /// </param>
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
