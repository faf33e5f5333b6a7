using System.Collections.Concurrent;

namespace AnchorScope.Metrics;

/// <summary>A mean with its 95 % interval.</summary>
/// <param name="Mean">Mean of the values; NaN if there are none.</param>
/// <param name="Low">Lower end. For means of real values such as logits, a percentile of resampled means; for shares and their differences,
/// the end of a score interval.</param>
/// <param name="High">Upper end.</param>
/// <param name="Count">Number of values.</param>
internal readonly record struct Estimate(double Mean, double Low, double High, int Count);

/// <summary>Seeded percentile bootstrap of a mean. It draws clusters, not runs, so that runs sharing a picture stay together.</summary>
internal static class Bootstrap
{
    /// <summary>Number of resamples.</summary>
    public const int Resamples = 1000;

    /// <summary>Mean and 95 % interval of <paramref name="values"/>.</summary>
    /// <param name="clusters">Index of the cluster of every value, from 0 without gaps, in any order; null: every value is a
    /// cluster.</param>
    public static Estimate Mean(IReadOnlyList<double> values, ulong seed, IReadOnlyList<int>? clusters = null) =>
        Mean(values, new BootstrapDraws(seed), clusters);

    /// <summary>The same, with draws that many means of one set share.</summary>
    public static Estimate Mean(IReadOnlyList<double> values, BootstrapDraws draws, IReadOnlyList<int>? clusters = null)
    {
        if (values.Count == 0) return new Estimate(double.NaN, double.NaN, double.NaN, 0);
        var count = clusters is null ? values.Count : clusters.Max() + 1;
        var (sums, sizes) = (new double[count], new int[count]);
        for (var i = 0; i < values.Count; i++)
        {
            var cluster = clusters is null ? i : clusters[i];
            sums[cluster] += values[i];
            sizes[cluster]++;
        }
        var means = new double[Resamples];
        var room = new int[4 * count];
        // Four resamples at a time, to hide the latency of additions.
        for (var r = 0; r < Resamples; r += 4)
        {
            ReadOnlySpan<int> d0 = Of(0), d1 = Of(1), d2 = Of(2), d3 = Of(3);
            ReadOnlySpan<int> Of(int next) => draws.Of(count, r + next, room.AsSpan(next * count, count));
            double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            int n0 = 0, n1 = 0, n2 = 0, n3 = 0;
            for (var i = 0; i < count; i++)
            {
                s0 += sums[d0[i]]; n0 += sizes[d0[i]];
                s1 += sums[d1[i]]; n1 += sizes[d1[i]];
                s2 += sums[d2[i]]; n2 += sizes[d2[i]];
                s3 += sums[d3[i]]; n3 += sizes[d3[i]];
            }
            (means[r], means[r + 1], means[r + 2], means[r + 3]) = (s0 / n0, s1 / n1, s2 / n2, s3 / n3);
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

/// <summary>
/// The samples that each resample draws. They depend only on the seed and the number of samples, so sets of equal size share them.
/// Thread-safe.
/// </summary>
internal sealed class BootstrapDraws(ulong seed)
{
    /// <summary>Maximum number of samples for which draws are cached: 16 MB each.</summary>
    private const int MostKept = 4000;

    private readonly ConcurrentDictionary<int, int[]> _kept = new();

    /// <summary>The indices below <paramref name="count"/> that one resample draws.</summary>
    /// <param name="room">Buffer of this size, used if draws are not cached.</param>
    internal ReadOnlySpan<int> Of(int count, int resample, Span<int> room)
    {
        if (count <= MostKept) return _kept.GetOrAdd(count, Draw).AsSpan(resample * count, count);
        Draw(count, resample, room);
        return room;
    }

    private int[] Draw(int count)
    {
        var draws = new int[Bootstrap.Resamples * count];
        for (var resample = 0; resample < Bootstrap.Resamples; resample++) Draw(count, resample, draws.AsSpan(resample * count, count));
        return draws;
    }

    private void Draw(int count, int resample, Span<int> draws)
    {
        var random = new SplitMix(seed, after: (ulong)resample * (ulong)count);
        foreach (ref var drawn in draws) drawn = random.Below(count);
    }
}
