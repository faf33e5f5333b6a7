using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>Marker shapes, so that series differ by more than colour.</summary>
internal static class Marker
{
    /// <summary>Number of shapes.</summary>
    public const int Shapes = 8;

    /// <summary>Outline of shape <paramref name="shape"/> around (x, y). All shapes have about the same area.</summary>
    /// <param name="radius">Radius of the circle.</param>
    public static string Path(int shape, double x, double y, double radius)
    {
        var r = radius;
        return (shape % Shapes) switch
        {
            0 => $"M{Number(x - r)} {Number(y)}{Half(2 * r)}{Half(-2 * r)}Z",
            1 => Polygon(x, y, 0.9 * r, (-1, -1), (1, -1), (1, 1), (-1, 1)),
            2 => Polygon(x, y, 1.25 * r, (0, -1), (1, 0.8), (-1, 0.8)),
            3 => Polygon(x, y, 1.3 * r, (0, -1), (1, 0), (0, 1), (-1, 0)),
            4 => Polygon(x, y, 1.25 * r, (0, 1), (1, -0.8), (-1, -0.8)),
            5 => Polygon(x, y, 1.25 * r, (-0.33, -1), (0.33, -1), (0.33, -0.33), (1, -0.33), (1, 0.33), (0.33, 0.33), (0.33, 1), (-0.33, 1),
                (-0.33, 0.33), (-1, 0.33), (-1, -0.33), (-0.33, -0.33)),
            6 => Polygon(x, y, 1.2 * r, (-0.5, -0.87), (0.5, -0.87), (1, 0), (0.5, 0.87), (-0.5, 0.87), (-1, 0)),
            _ => Polygon(x, y, 1.5 * r, [.. Enumerable.Range(0, 10).Select(Star)]),
        };

        string Half(double step) => $"a{Number(r)} {Number(r)} 0 1 0 {Number(step)} 0";
    }

    private static (double X, double Y) Star(int corner)
    {
        var (angle, length) = (Math.PI * corner / 5, corner % 2 == 0 ? 1 : 0.45);
        return (length * Math.Sin(angle), -length * Math.Cos(angle));
    }

    private static string Polygon(double x, double y, double scale, params ReadOnlySpan<(double X, double Y)> corners)
    {
        var path = "";
        foreach (var corner in corners)
            path += $"{(path.Length == 0 ? 'M' : 'L')}{Number(x + scale * corner.X)} {Number(y + scale * corner.Y)}";
        return path + "Z";
    }
}
