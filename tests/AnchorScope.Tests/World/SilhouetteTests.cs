using AnchorScope.World;

namespace AnchorScope.Tests.World;

public sealed class SilhouetteTests
{
    private const int Smallest = 22;
    private const int Largest = 28;

    /// <summary>
    /// Areas in units of the object (2 x 2), computed from formulas of the outlines or by another division into thin strips.
    /// </summary>
    public static TheoryData<int, string, double> Areas => new()
    {
        { 0, "heart", Heart() },
        { 1, "star", Math.PI * (1 - 0.58 + 0.58 * 0.58 / 3) }, // the radius falls evenly from 1 to .42 and rises again
        { 2, "leaf", Lens(1.05, 1.05, Math.Sqrt(2)) },
        { 3, "drop", Drop() },
        { 4, "moon", Math.PI * 0.95 * 0.95 - Lens(0.95, 0.75, Math.Sqrt(0.45 * 0.45 + 0.1 * 0.1)) },
        { 5, "plum", Math.PI * 0.8 * 0.8 },
        { 6, "carrot", 1.2 }, // a triangle, 1.2 wide and 2 high
        { 7, "ring", Math.PI * (0.95 * 0.95 - 0.52 * 0.52) },
    };

    [Theory]
    [MemberData(nameof(Areas))]
    public void Coverage_HasTheShapesArea(int shape, string name, double area)
    {
        for (var size = Smallest; size <= Largest; size++)
        {
            var coverage = Silhouette.Coverage(shape, size);
            Assert.Equal(size * size, coverage.Length);
            Assert.All(coverage, inside => Assert.InRange(inside, 0, Silhouette.SubSamples));
            var found = coverage.Sum(inside => inside) / (double)Silhouette.SubSamples * (2.0 / size) * (2.0 / size);
            // At least some hundred of about two thousand sub-samples are at the outline; their errors partly cancel, less so if a shape is
            // symmetric.
            Assert.True(Math.Abs(found - area) < 0.015 * area,
                $"{name}, {size} pixels: expected an area of {area:0.0000}, found {found:0.0000}");
        }
    }

    /// <summary>The outlines that need angles and powers, which differ between machines by some 1e-16.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void NoSubSample_IsSoNearAnOutlineThatMachinesCouldDisagree(int shape)
    {
        for (var size = Smallest; size <= Largest; size++)
        {
            var nearest = double.MaxValue;
            for (var row = 0; row < 4 * size; row++)
            {
                for (var column = 0; column < 4 * size; column++)
                    nearest = Math.Min(
                        nearest, Math.Abs(Silhouette.Depth(shape, Silhouette.Centre(column, size), Silhouette.Centre(row, size))));
            }
            Assert.True(nearest > 1e-10, $"shape {shape}, {size} pixels: a sub-sample at {nearest} from the outline");
        }
    }

    [Fact]
    public void UpIsUp()
    {
        // Upper half against lower half: where each shape has more of itself.
        double[] upper = [.. Enumerable.Range(0, WorldState.Shapes)
            .Select(shape => Silhouette.Coverage(shape, 24) is var c ? c.Take(c.Length / 2).Sum(v => v) / (double)c.Sum(v => v) : 0)];
        Assert.True(upper[0] > 0.55, "a heart is wide above");
        Assert.True(upper[3] < 0.45, "a drop is wide below");
        Assert.True(upper[6] > 0.7, "a carrot is wide above");
        // The tip of a star is above, in the middle.
        var star = Silhouette.Coverage(1, 24);
        Assert.True(star[11] + star[12] > 0 && star[23 * 24 + 11] + star[23 * 24 + 12] == 0, "a star stands on two points");
    }

    /// <summary>What two discs have in common.</summary>
    private static double Lens(double r, double s, double distance)
    {
        var a = (distance * distance + r * r - s * s) / (2 * distance);
        return Cap(r, a) + Cap(s, distance - a);

        static double Cap(double radius, double at) => radius * radius * Math.Acos(at / radius) - at * Math.Sqrt(radius * radius - at * at);
    }

    /// <summary>Half of r squared over all angles: on every ray from the middle the outline is met once, found by halving.</summary>
    private static double Heart()
    {
        const int Rays = 20_000;
        var area = 0.0;
        for (var i = 0; i < Rays; i++)
        {
            var angle = 2 * Math.PI * (i + 0.5) / Rays;
            var (x, y) = (Math.Cos(angle), Math.Sin(angle));
            double inside = 0, outside = 2;
            for (var step = 0; step < 50; step++)
            {
                var r = (inside + outside) / 2;
                if (Math.Pow(r * r - 1, 3) <= Math.Pow(r, 5) * x * x * y * y * y) inside = r;
                else outside = r;
            }
            area += inside * inside / 2 * (2 * Math.PI / Rays);
        }
        return area / (1.25 * 1.25);
    }

    /// <summary>Strips from top to bottom, each as wide as the wider of round part and tip.</summary>
    private static double Drop()
    {
        const int Strips = 20_000;
        var area = 0.0;
        for (var i = 0; i < Strips; i++)
        {
            var y = -1 + 2 * (i + 0.5) / Strips;
            var tip = y <= 0.3 ? 0.62 * Math.Pow(Math.Min((y + 1) / 2 / 0.62, 1), 1.3) : 0;
            var round = y > 0.1 && Math.Abs(y - 0.3) < 0.65 ? Math.Sqrt(0.65 * 0.65 - (y - 0.3) * (y - 0.3)) : 0;
            area += 2 * Math.Max(tip, round) * (2.0 / Strips);
        }
        return area;
    }
}
