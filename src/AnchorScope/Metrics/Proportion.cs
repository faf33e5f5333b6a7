namespace AnchorScope.Metrics;

/// <summary>Shares of runs. Their intervals have a positive width for every observation, including 0 of n and n of n.</summary>
internal static class Proportion
{
    /// <summary>Wilson's score interval (1927).</summary>
    /// <param name="share">Observed share.</param>
    /// <param name="n">Number of independent values, or effective number of clustered values.</param>
    /// <param name="z">Quantile of the normal distribution; the default gives 95 %.</param>
    public static (double Low, double High) Wilson(double share, double n, double z = Normal.Z95)
    {
        if (!(n > 0)) return (0, 1);
        var square = z * z / n;
        var centre = (share + square / 2) / (1 + square);
        var half = Math.Sqrt(square * (share * (1 - share) + square / 4)) / (1 + square);
        // At the ends the formula gives 0 and 1, except for rounding.
        return (share <= 0 ? 0 : Math.Max(0, centre - half), share >= 1 ? 1 : Math.Min(1, centre + half));
    }

    /// <summary>Mean and Wilson interval of clustered values that are 0 or 1.</summary>
    public static Estimate Of(IReadOnlyList<double> values, Clusters clusters)
    {
        if (values.Count == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        var share = values.Sum() / values.Count;
        var (low, high) = Wilson(share, clusters.Effective(values, share * (1 - share)));
        return new Estimate(share, low, high, values.Count);
    }

    /// <summary>
    /// The same if clusters are the units and are few, such as models with several heads each. The effective number of values is at most
    /// the number of clusters, however little the values seem to vary between them.
    /// </summary>
    public static Estimate OfUnits(IReadOnlyList<double> values, Clusters units)
    {
        if (values.Count == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        var share = values.Sum() / values.Count;
        var (low, high) = Wilson(share, Math.Min(units.Count, units.Effective(values, share * (1 - share))));
        return new Estimate(share, low, high, values.Count);
    }

    /// <summary>
    /// Mean over several random draws, each with values 0 or 1 in the same clusters. The interval includes the variation between draws.
    /// </summary>
    /// <param name="draws">[draw][value].</param>
    public static Estimate OfDraws(IReadOnlyList<IReadOnlyList<double>> draws, Clusters clusters)
    {
        if (draws[0].Count == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        double[] values = [.. Enumerable.Range(0, draws[0].Count).Select(i => draws.Average(d => d[i]))];
        var share = values.Sum() / values.Length;
        var means = draws.Select(d => d.Sum() / d.Count).ToList();
        var between = means.Sum(m => (m - share) * (m - share)) / Math.Max(1, draws.Count - 1) / draws.Count;
        // A single draw gives no information on the variation between draws, so nothing is known.
        var effective = draws.Count == 1 ? 0 : clusters.Effective(values, share * (1 - share), between, draws.Count - 1);
        var (low, high) = Wilson(share, effective);
        return new Estimate(share, low, high, values.Length);
    }

    /// <summary>Two-sided p of the hypothesis that the share is <paramref name="expected"/>, by the score test.</summary>
    public static double P(IReadOnlyList<double> values, Clusters clusters, double expected)
    {
        if (values.Count == 0) return double.NaN;
        var share = values.Sum() / values.Count;
        var effective = clusters.Effective(values, share * (1 - share));
        return Normal.TwoSided((share - expected) * Math.Sqrt(effective / (expected * (1 - expected))));
    }
}

/// <summary>
/// Intervals of the difference of two shares from the interval of each: square-and-add (Newcombe, 1998, method 10; with a weight Zou and
/// Donner, 2008).
/// </summary>
internal static class ProportionDifference
{
    /// <summary>Newcombe's interval for two independent samples.</summary>
    public static Estimate Independent(double successes1, double n1, double successes2, double n2, double z = Normal.Z95)
    {
        Estimate One(double successes, double n)
        {
            var (low, high) = Proportion.Wilson(successes / n, n, z);
            return new Estimate(successes / n, low, high, (int)n);
        }
        return SquareAndAdd(One(successes1, n1), One(successes2, n2));
    }

    /// <summary>First minus <paramref name="weight"/> times second.</summary>
    /// <param name="first">A share with its interval.</param>
    /// <param name="second">Another share with its interval.</param>
    /// <param name="weight">Factor of the second; at least 0.</param>
    /// <param name="correlation">Correlation of the two; 0 if they are independent. If they are positively correlated, 0 gives an interval
    /// that is too wide.</param>
    public static Estimate SquareAndAdd(Estimate first, Estimate second, double weight = 1, double correlation = 0)
    {
        var difference = first.Mean - weight * second.Mean;
        double Half(double a, double b) => Math.Sqrt(Math.Max(0, a * a + b * b - 2 * correlation * a * b));
        return new Estimate(
            difference,
            difference - Half(first.Mean - first.Low, weight * (second.High - second.Mean)),
            difference + Half(first.High - first.Mean, weight * (second.Mean - second.Low)),
            first.Count);
    }

    /// <summary>
    /// Correlation of two values that are 0 or 1, pair by pair, with Newcombe's correction towards 0; 0 if one of them is constant.
    /// </summary>
    public static double Correlation(IReadOnlyList<double> first, IReadOnlyList<double> second)
    {
        double both = 0, one = 0, other = 0;
        for (var i = 0; i < first.Count; i++)
        {
            both += first[i] * second[i];
            one += first[i];
            other += second[i];
        }
        double n = first.Count;
        var margins = one * (n - one) * other * (n - other);
        if (margins <= 0) return 0;
        var determinant = both * (n - one - other + both) - (one - both) * (other - both);
        return (determinant > 0 ? Math.Max(0, determinant - n / 2) : determinant) / Math.Sqrt(margins);
    }
}
