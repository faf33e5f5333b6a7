namespace AnchorScope.Metrics;

/// <summary>A paired difference of two shares with its test.</summary>
/// <param name="Difference">First minus second, with its 95 % interval.</param>
/// <param name="P">Two-sided p of the hypothesis that it is 0; 1 if no pair differs.</param>
internal readonly record struct PairedTest(Estimate Difference, double P);

/// <summary>
/// The difference of two shares on the same runs: Tango's score interval (1998), and the corresponding score test, McNemar's.
/// </summary>
internal static class PairedDifference
{
    /// <summary>Tango's interval of (<paramref name="gained"/> - <paramref name="lost"/>) / <paramref name="n"/>.</summary>
    /// <param name="gained">Number of pairs in which only the first is 1.</param>
    /// <param name="lost">Number of pairs in which only the second is 1.</param>
    /// <param name="n">Number of pairs.</param>
    /// <param name="z">Quantile of the normal distribution; the default gives 95 %.</param>
    public static (double Low, double High) Tango(double gained, double lost, double n, double z = Normal.Z95)
    {
        if (!(n > 0)) return (-1, 1);
        return (Solve(z), Solve(-z));

        // The statistic decreases with the hypothesised difference.
        double Solve(double point)
        {
            double low = -1, high = 1;
            for (var i = 0; i < 60; i++)
            {
                var middle = (low + high) / 2;
                if (Statistic(middle) > point) low = middle;
                else high = middle;
            }
            return (low + high) / 2 is var found && Math.Abs(found) > 1 - 1e-12 ? Math.Round(found) : found;
        }

        double Statistic(double difference)
        {
            // The maximum-likelihood probability of "only the second", given the difference.
            var (a, b, c) = (2 * n, (2 * n - gained + lost) * difference - gained - lost, -lost * difference * (1 - difference));
            var second = (Math.Sqrt(Math.Max(0, b * b - 4 * a * c)) - b) / (2 * a);
            var variance = n * (2 * second + difference * (1 - difference));
            var distance = gained - lost - n * difference;
            if (variance > 0) return distance / Math.Sqrt(variance);
            return distance == 0 ? 0 : distance > 0 ? double.PositiveInfinity : double.NegativeInfinity;
        }
    }

    /// <summary>
    /// First minus the mean of several random draws on the same runs. The variance between draws is added to that between clusters, and
    /// Student's t has Satterthwaite's degrees of freedom. If nothing varies, Tango's interval with the number of clusters as the number of
    /// pairs.
    /// </summary>
    /// <param name="first">Values 0 or 1.</param>
    /// <param name="draws">[draw][value], with the same number of values. A single draw gives no information on the variation between
    /// draws.</param>
    public static Estimate OfDraws(IReadOnlyList<double> first, IReadOnlyList<IReadOnlyList<double>> draws, Clusters clusters)
    {
        if (first.Count == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        double[] differences = [.. first.Select((value, i) => value - draws.Average(d => d[i]))];
        var mean = differences.Sum() / differences.Length;
        if (draws.Count < 2 || clusters.Count < 2) return new Estimate(mean, -1, 1, differences.Length);
        var means = draws.Select(d => d.Sum() / d.Count).ToList();
        var centre = means.Average();
        var (within, between) = (clusters.VarianceOfMean(differences),
            means.Sum(m => (m - centre) * (m - centre)) / (draws.Count - 1) / draws.Count);
        var variance = within + between;
        if (variance <= 0)
        {
            var (low, high) = Tango(Math.Max(0, mean) * clusters.Count, Math.Max(0, -mean) * clusters.Count, clusters.Count);
            return new Estimate(mean, low, high, differences.Length);
        }
        var freedom = variance * variance / (within * within / (clusters.Count - 1) + between * between / (draws.Count - 1));
        var half = StudentT.Point95(freedom) * Math.Sqrt(variance);
        return new Estimate(mean, Math.Max(-1, mean - half), Math.Min(1, mean + half), differences.Length);
    }

    /// <summary>Interval and test for clustered values. All counts are divided by the design effect.</summary>
    /// <param name="differences">First minus second for each run: 1, 0 or -1.</param>
    public static PairedTest Of(IReadOnlyList<double> differences, Clusters clusters)
    {
        if (differences.Count == 0) return new PairedTest(new Estimate(double.NaN, double.NaN, double.NaN, 0), double.NaN);
        double n = differences.Count;
        double gained = differences.Count(d => d > 0), lost = differences.Count(d => d < 0);
        var mean = (gained - lost) / n;
        var effective = clusters.Effective(differences, (gained + lost) / n - mean * mean);
        var (low, high) = Tango(gained * effective / n, lost * effective / n, effective);
        var p = gained + lost == 0 ? 1 : Normal.TwoSided(mean * Math.Sqrt(effective * n / (gained + lost)));
        return new PairedTest(new Estimate(mean, low, high, differences.Count), p);
    }
}
