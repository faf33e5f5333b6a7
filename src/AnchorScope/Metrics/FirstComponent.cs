namespace AnchorScope.Metrics;

/// <summary>The first principal component of points in the plane.</summary>
internal static class FirstComponent
{
    /// <summary>A variance below this share of the points' size is rounding.</summary>
    private const double Nothing = 1e-20;

    /// <summary>
    /// The deviation of each point from the mean along the component, in standard deviations of these deviations (with n, not n - 1). The
    /// component points in the direction in which the sum of both coordinates increases. Points without variance are all 0.
    /// </summary>
    public static double[] Deviations(IReadOnlyList<(double X, double Y)> points)
    {
        if (points.Count == 0) return [];
        var (meanX, meanY) = (points.Average(p => p.X), points.Average(p => p.Y));
        double xx = 0, xy = 0, yy = 0, size = 0;
        foreach (var (x, y) in points)
        {
            var (dx, dy) = (x - meanX, y - meanY);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
            size += x * x + y * y;
        }
        // The angle that maximises the variance of the projection.
        var angle = Math.Atan2(2 * xy, xx - yy) / 2;
        var (alongX, alongY) = (Math.Cos(angle), Math.Sin(angle));
        if (alongX + alongY < 0) (alongX, alongY) = (-alongX, -alongY);
        double[] along = [.. points.Select(p => (p.X - meanX) * alongX + (p.Y - meanY) * alongY)];
        var variance = along.Sum(d => d * d) / points.Count;
        if (!(variance > Nothing * size)) return new double[points.Count];
        var deviation = Math.Sqrt(variance);
        return [.. along.Select(d => d / deviation)];
    }
}
