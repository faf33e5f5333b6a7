namespace AnchorScope.Metrics;

/// <summary>
/// Which values belong together: runs that share a picture are not independent, so a set of runs says as much as fewer independent ones
/// would.
/// </summary>
internal sealed class Clusters
{
    /// <summary>
    /// Below this many nothing is said to be found or absent, whatever an interval says: its coverage is not to be trusted.
    /// </summary>
    public const int Fewest = 10;

    /// <summary>A variance below this is rounding.</summary>
    private const double Nothing = 1e-14;

    private readonly int[] _of;

    /// <param name="of">For every value the number of its cluster: from 0, without gaps, in any order.</param>
    public Clusters(IReadOnlyList<int> of)
    {
        _of = [.. of];
        Count = _of.Length == 0 ? 0 : _of.Max() + 1;
    }

    /// <summary>Every value its own cluster.</summary>
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

    /// <summary>For every value the number of its cluster.</summary>
    public IReadOnlyList<int> Of => _of;

    /// <summary>
    /// Variance of the mean of <paramref name="values"/> as a ratio of two sums over clusters (Cochran, 1977); NaN with fewer than two.
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
    /// How many independent values say as much about the mean: the values over the design effect, never more than there are. Where nothing
    /// varies between clusters the data show no design effect, and the clusters are counted. The variance is an estimate, too: the number
    /// shrinks by the square of the normal's over the t distribution's 97.5 % point (Korn and Graubard, 1998).
    /// </summary>
    /// <param name="values">The values.</param>
    /// <param name="variance">Variance of one value if it were independent, like p (1 - p).</param>
    /// <param name="further">Variance of the mean that comes on top, such as that between random draws.</param>
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
    /// Two-sided p that the mean is 0: t test on cluster means weighted by size, with clusters - 1 degrees of freedom. Where all clusters
    /// say exactly the same, the sign test, 2 / 2^clusters.
    /// </summary>
    public double TTest(IReadOnlyList<double> values)
    {
        if (Count < 2) return double.NaN;
        var (mean, variance) = (values.Sum() / values.Count, VarianceOfMean(values));
        if (variance > 0) return StudentT.TwoSided(mean / Math.Sqrt(variance), Count - 1);
        return Math.Abs(mean) > Math.Sqrt(Nothing) ? Math.Pow(2, 1 - Count) : 1;
    }
}
