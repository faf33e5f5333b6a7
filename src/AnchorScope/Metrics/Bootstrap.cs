namespace AnchorScope.Metrics;

/// <summary>A mean with its 95 % interval.</summary>
/// <param name="Mean">Mean of the values; NaN when there are none.</param>
/// <param name="Low">2.5th percentile of the resampled means.</param>
/// <param name="High">97.5th percentile.</param>
/// <param name="Count">Number of values.</param>
public readonly record struct Estimate(double Mean, double Low, double High, int Count);

/// <summary>Seeded percentile bootstrap of a mean. Samples are drawn, not runs: the two runs of a sample share a picture and go together.</summary>
public static class Bootstrap
{
    /// <summary>Resamples drawn.</summary>
    public const int Resamples = 1000;

    /// <summary>Mean and 95 % interval of <paramref name="values"/>.</summary>
    /// <param name="clusters">For every value the number of its sample, ascending and without gaps from 0; null: every value its own.</param>
    public static Estimate Mean(IReadOnlyList<double> values, ulong seed, IReadOnlyList<int>? clusters = null)
    {
        if (values.Count == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        var count = clusters is null ? values.Count : clusters[^1] + 1;
        var (sums, sizes) = (new double[count], new int[count]);
        for (var i = 0; i < values.Count; i++)
        {
            var cluster = clusters is null ? i : clusters[i];
            sums[cluster] += values[i];
            sizes[cluster]++;
        }
        var random = new SplitMix(seed);
        var means = new double[Resamples];
        for (var r = 0; r < Resamples; r++)
        {
            var (sum, size) = (0.0, 0);
            for (var i = 0; i < count; i++)
            {
                var drawn = random.Below(count);
                sum += sums[drawn];
                size += sizes[drawn];
            }
            means[r] = sum / size;
        }
        Array.Sort(means);
        var mean = values.Sum() / values.Count;
        return new Estimate(mean, Percentile(means, 0.025), Percentile(means, 0.975), values.Count);
    }

    private static double Percentile(double[] sorted, double share)
    {
        var at = share * (sorted.Length - 1);
        var below = (int)at;
        return below + 1 < sorted.Length ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
    }
}

/// <summary>SplitMix64 (Steele, Lea and Flood, 2014): a small generator whose draws no runtime version changes.</summary>
public sealed class SplitMix(ulong seed)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private ulong _state = seed;

    /// <summary>64 random bits.</summary>
    public ulong Next() => Mix(_state += Step);

    /// <summary>What draw number <paramref name="index"/> (the first is 0) of a generator with this seed gives, without those before it.</summary>
    public static ulong At(ulong seed, ulong index) => Mix(seed + (index + 1) * Step);

    /// <summary>Uniform in [0, 1).</summary>
    public double Uniform() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in 0 .. <paramref name="count"/> - 1.</summary>
    public int Below(int count) => (int)Math.BigMul(Next(), (ulong)count, out _);

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
