namespace AnchorScope.Metrics;

/// <summary>
/// The clusters of values. Runs that share a picture are not independent, so a set of runs has a smaller effective sample size.
/// </summary>
internal sealed class Clusters
{
    /// <summary>
    /// Fewest clusters for a claim that an effect is present or absent. With fewer, the coverage of an interval cannot be trusted.
    /// </summary>
    public const int Fewest = 10;

    /// <summary>A variance below this is rounding.</summary>
    private const double Nothing = 1e-14;

    private readonly int[] _of;

    /// <param name="of">Index of the cluster of every value: from 0, without gaps, in any order.</param>
    public Clusters(IReadOnlyList<int> of)
    {
        _of = [.. of];
        Count = _of.Length == 0 ? 0 : _of.Max() + 1;
    }

    /// <summary>Clusters of one value each.</summary>
    public static Clusters Each(int values) => new([.. Enumerable.Range(0, values)]);

    /// <summary>Clusters by key, numbered in the order in which they appear.</summary>
    public static Clusters By<T>(IEnumerable<T> keys)
        where T : notnull
    {
        var numbers = new Dictionary<T, int>();
        return new Clusters([.. keys.Select(key =>
        {
            if (!numbers.TryGetValue(key, out var number)) numbers.Add(key, number = numbers.Count);
            return number;
        })]);
    }

    /// <summary>Number of clusters.</summary>
    public int Count { get; }

    /// <summary>Number of values.</summary>
    public int Values => _of.Length;

    /// <summary>Index of the cluster of every value.</summary>
    public IReadOnlyList<int> Of => _of;

    /// <summary>
    /// Variance of the mean of <paramref name="values"/> as a ratio of two sums over clusters (Cochran, 1977); NaN with fewer than two
    /// clusters.
    /// </summary>
    public double VarianceOfMean(IReadOnlyList<double> values)
    {
        if (Count < 2) return double.NaN;
        var residuals = new double[Count];
        var mean = values.Sum() / values.Count;
        for (var i = 0; i < _of.Length; i++) residuals[_of[i]] += values[i] - mean;
        var variance = residuals.Sum(r => r * r) * Count / (Count - 1) / ((double)values.Count * values.Count);
        return variance < Nothing ? 0 : variance;
    }

    /// <summary>
    /// The effective sample size for the mean: the number of values divided by the design effect, at most the number of values. If nothing
    /// varies between clusters, the data show no design effect, and the number of clusters is used. Because the variance is an estimate
    /// too, the result is multiplied by the squared ratio of the 97.5 % points of the normal and the t distribution (Korn and Graubard,
    /// 1998).
    /// </summary>
    /// <param name="values">The values.</param>
    /// <param name="variance">Variance of one value if it were independent, for instance p (1 - p).</param>
    /// <param name="further">Additional variance of the mean, such as that between random draws.</param>
    /// <param name="freedom">Degrees of freedom of <paramref name="further"/>.</param>
    public double Effective(IReadOnlyList<double> values, double variance, double further = 0, double freedom = double.PositiveInfinity)
    {
        var between = VarianceOfMean(values);
        var all = between + further;
        if (double.IsNaN(between) || !(all > 0) || !(variance > 0)) return Count;
        // Satterthwaite's degrees of freedom for a sum of two estimates.
        var satterthwaite = all * all / (between * between / (Count - 1)
            + (double.IsPositiveInfinity(freedom) ? 0 : further * further / freedom));
        var shrink = Normal.Z95 / StudentT.Point95(satterthwaite);
        return Math.Min(Values, variance / all) * shrink * shrink;
    }

    /// <summary>
    /// Two-sided p of the hypothesis that the mean is 0: a t test on cluster means weighted by size, with clusters - 1 degrees of freedom.
    /// If all clusters have exactly the same mean, the sign test, 2 / 2^clusters.
    /// </summary>
    public double TTest(IReadOnlyList<double> values)
    {
        if (Count < 2) return double.NaN;
        var (mean, variance) = (values.Sum() / values.Count, VarianceOfMean(values));
        if (variance > 0) return StudentT.TwoSided(mean / Math.Sqrt(variance), Count - 1);
        return Math.Abs(mean) > Math.Sqrt(Nothing) ? Math.Pow(2, 1 - Count) : 1;
    }
}
