namespace AnchorScope.Metrics;

/// <summary>The largest rise of a curve over layers.</summary>
/// <param name="Layer">The layer; the curve rises from point l to point l + 1.</param>
/// <param name="Low">2.5th percentile of the layer over resamples.</param>
/// <param name="High">97.5th percentile of the layer over resamples.</param>
/// <param name="Share">Share of the resamples with the largest rise in this layer.</param>
internal sealed record LargestRise(int Layer, int Low, int High, double Share)
{
    /// <summary>Finds the layer in the data, and again in each resample of the clusters.</summary>
    /// <param name="curves">One curve per value [value][point].</param>
    public static LargestRise Of(IReadOnlyList<IReadOnlyList<double>> curves, Clusters clusters, BootstrapDraws draws)
    {
        var points = curves[0].Count;
        var (sums, whole) = (new double[clusters.Count, points], new double[points]);
        for (var i = 0; i < curves.Count; i++)
        {
            for (var p = 0; p < points; p++)
            {
                sums[clusters.Of[i], p] += curves[i][p];
                whole[p] += curves[i][p];
            }
        }
        var (layers, room, mean) = (new int[Bootstrap.Resamples], new int[clusters.Count], new double[points]);
        for (var r = 0; r < layers.Length; r++)
        {
            Array.Clear(mean);
            // Sums are sufficient instead of means, because the size of a resample does not change the arg-max.
            foreach (var cluster in draws.Of(clusters.Count, r, room))
            {
                for (var p = 0; p < points; p++) mean[p] += sums[cluster, p];
            }
            layers[r] = Steepest(mean);
        }
        var layer = Steepest(whole);
        var share = layers.Count(l => l == layer) / (double)layers.Length;
        Array.Sort(layers);
        return new LargestRise(layer, layers[(int)(0.025 * layers.Length)], layers[(int)Math.Ceiling(0.975 * layers.Length) - 1], share);
    }

    private static int Steepest(double[] curve) => Enumerable.Range(0, curve.Length - 1).MaxBy(l => curve[l + 1] - curve[l]);
}
