namespace AnchorScope.World;

/// <summary>The outlines of the eight shapes.</summary>
internal static class Silhouette
{
    /// <summary>Sub-samples per pixel.</summary>
    public const int SubSamples = SubSide * SubSide;

    private const int SubSide = 4;

    /// <summary>Number of each pixel's <see cref="SubSamples"/> that are inside.</summary>
    /// <param name="shape">Index of the shape.</param>
    /// <param name="size">Pixels per side.</param>
    /// <returns>[size, size]</returns>
    public static byte[] Coverage(int shape, int size)
    {
        var inside = new byte[size * size];
        var side = SubSide * size;
        for (var row = 0; row < side; row++)
        {
            for (var column = 0; column < side; column++)
            {
                if (Depth(shape, Centre(column, size), Centre(row, size)) > 0) inside[row / SubSide * size + column / SubSide]++;
            }
        }
        return inside;
    }

    /// <summary>Centre of sub-sample row or column <paramref name="index"/>, in units of the object: -1 to 1.</summary>
    internal static double Centre(int index, int size) => (index + 0.5) / (SubSide * size) * 2 - 1;

    /// <summary>
    /// Above 0 inside; the value has no other meaning. Sums, products and roots are the same on every machine. Powers and angles may differ
    /// in their last bits, but no sub-sample is that close to the outline of a star or a drop.
    /// </summary>
    /// <param name="x">-1 to 1, to the right.</param>
    /// <param name="y">-1 to 1, downwards.</param>
    internal static double Depth(int shape, double x, double y) => shape switch
    {
        0 => Heart(1.25 * x, -1.25 * y + 0.15),
        1 => Star(x, y),
        2 => 1.05 - Math.Max(Distance(x - 0.5, y - 0.5), Distance(x + 0.5, y + 0.5)),
        3 => Drop(x, y),
        4 => Math.Min(0.95 - Distance(x, y), Distance(x - 0.45, y + 0.1) - 0.75),
        5 => 0.8 - Distance(x, y),
        6 => 0.6 * (1 - (y + 1) / 2) - Math.Abs(x),
        _ => Math.Min(0.95 - Distance(x, y), Distance(x, y) - 0.52),
    };

    private static double Heart(double x, double y)
    {
        var circle = x * x + y * y - 1;
        return x * x * (y * y * y) - circle * circle * circle;
    }

    /// <summary>Five points at distance 1, five notches at 0.42.</summary>
    private static double Star(double x, double y)
    {
        var turns = (Math.Atan2(y, x) + Math.PI / 2) / (2 * Math.PI / 5) + 0.5;
        var fromPoint = 2 * Math.Abs(turns - Math.Floor(turns) - 0.5);
        return 1 - 0.58 * fromPoint - Distance(x, y);
    }

    private static double Drop(double x, double y)
    {
        var round = Math.Min(y - 0.1, 0.65 - Distance(x, y - 0.3));
        var tip = Math.Min(0.3 - y, 0.62 * Math.Pow(Math.Clamp((y + 1) / 2 / 0.62, 0, 1), 1.3) - Math.Abs(x));
        return Math.Max(round, tip);
    }

    private static double Distance(double x, double y) => Math.Sqrt(x * x + y * y);
}
