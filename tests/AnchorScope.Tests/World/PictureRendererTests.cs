using AnchorScope.World;

namespace AnchorScope.Tests.World;

public sealed class PictureRendererTests
{
    private const int Side = 64;
    private const int Cell = 32;

    private static readonly PictureRenderer Renderer = new();

    /// <summary>Ground colours times 255, halves to the even number: 76.5 is 76, 25.5 is 26.</summary>
    public static TheoryData<int, byte[]> Grounds =>
        new() { { 0, [8, 8, 15] }, { 1, [194, 168, 117] }, { 2, [10, 41, 87] }, { 3, [31, 76, 26] } };

    public static readonly double[][] Palette =
    [
        [0.90, 0.10, 0.10], [0.98, 0.90, 0.10], [0.10, 0.75, 0.15], [0.15, 0.35, 0.95], [0.97, 0.97, 0.97], [0.50, 0.10, 0.65],
        [0.98, 0.55, 0.05], [1, 0.55, 0.75],
    ];

    [Theory]
    [MemberData(nameof(Grounds))]
    public void WithoutNoise_TheGroundIsExact(int place, byte[] ground)
    {
        for (var count = 0; count < 4; count++)
        {
            var rgb = Render(new WorldState(5, 0, count, place), 0, count);
            var empty = Enumerable.Range(0, 4).Count(cell => Pixels(cell).All(p => rgb.AsSpan(p, 3).SequenceEqual(ground)));
            Assert.Equal(4 - (count + 1), empty);
            // An object is at most 28 of 32 pixels wide, so some of the ground is seen around every one.
            Assert.All(Enumerable.Range(0, 4), cell => Assert.True(Pixels(cell).Count(p => rgb.AsSpan(p, 3).SequenceEqual(ground)) > 100));
        }
    }

    [Fact]
    public void WithoutNoise_ObjectsHaveTheirColourInOneShade()
    {
        for (var colour = 0; colour < WorldState.Shapes; colour++)
        {
            // A plum of 22 pixels or more covers the pixel in the middle of its quarter, wherever in it it lies.
            var rgb = Render(new WorldState(5, colour, 3, 0), 0, colour);
            foreach (var cell in Enumerable.Range(0, 4))
            {
                var middle = ((cell / 2 * Cell + Cell / 2) * Side + cell % 2 * Cell + Cell / 2) * 3;
                var strongest = Array.IndexOf(Palette[colour], Palette[colour].Max());
                var shade = rgb[middle + strongest] / 255.0 / Palette[colour][strongest];
                Assert.InRange(shade, 0.85 - 0.004, 1 + 0.004); // half a level of 255
                for (var channel = 0; channel < 3; channel++)
                    Assert.InRange(rgb[middle + channel] / 255.0, Palette[colour][channel] * shade - 0.005,
                        Palette[colour][channel] * shade + 0.005);
            }
        }
    }

    [Fact]
    public void SizesAndPlaces_CoverTheirRange()
    {
        var (sizes, tops, lefts, quarters) = (new HashSet<int>(), new HashSet<int>(), new HashSet<int>(), new int[4]);
        byte[] ground = [8, 8, 15];
        const int Pictures = 2000;
        for (var i = 0; i < Pictures; i++)
        {
            // A ring covers part of the pixels at all four sides of its box.
            var rgb = Render(new WorldState(7, 4, 0, 0), 0, 1000 + i);
            var cell = Enumerable.Range(0, 4).Single(c => Pixels(c).Any(p => !rgb.AsSpan(p, 3).SequenceEqual(ground)));
            var covered = Pixels(cell).Select((p, at) => (p, x: at % Cell, y: at / Cell))
                .Where(p => !rgb.AsSpan(p.p, 3).SequenceEqual(ground)).ToList();
            var (top, bottom) = (covered.Min(p => p.y), covered.Max(p => p.y));
            sizes.Add(bottom - top + 1);
            tops.Add(top);
            lefts.Add(covered.Min(p => p.x));
            quarters[cell]++;
        }
        Assert.Equal(7, sizes.Count);
        Assert.Equal((22, 28), (sizes.Min(), sizes.Max()));
        Assert.Equal(Enumerable.Range(0, 11), tops.Order());
        Assert.Equal(Enumerable.Range(0, 11), lefts.Order());
        foreach (var (count, cell) in quarters.Select((q, i) => (q, i))) Frequency.Is($"quarter {cell}", 0.25, count, Pictures);
    }

    [Fact]
    public void Noise_IsNormalAndSharedByBlocksOfFourByFour()
    {
        const double Sigma = 0.05;
        var values = new List<double>();
        for (var i = 0; i < 50; i++)
        {
            var rgb = Render(new WorldState(5, 0, 0, 1), Sigma, i);
            // The ground is far from black and white, so nothing is clipped. Quarters without an object: all but one.
            var plain = Render(new WorldState(5, 0, 0, 1), 0, i);
            foreach (var cell in Enumerable.Range(0, 4).Where(c => Pixels(c).All(p => plain[p] == 194)))
            {
                foreach (var p in Pixels(cell))
                {
                    var (x, y) = (p / 3 % Side, p / 3 / Side);
                    var corner = ((y - y % 4) * Side + x - x % 4) * 3;
                    Assert.True(rgb.AsSpan(p, 3).SequenceEqual(rgb.AsSpan(corner, 3)));
                    if (p == corner) values.AddRange([rgb[p] / 255.0 - 0.76, rgb[p + 1] / 255.0 - 0.66, rgb[p + 2] / 255.0 - 0.46]);
                }
            }
        }
        var (n, mean) = (values.Count, values.Average());
        var deviation = Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / n);
        Assert.Equal(50 * 3 * 64 * 3, n);
        Assert.InRange(mean, -4 * Sigma / Math.Sqrt(n), 4 * Sigma / Math.Sqrt(n));
        Assert.InRange(deviation, Sigma * (1 - 4 / Math.Sqrt(2 * n)), Sigma * (1 + 4 / Math.Sqrt(2 * n)));
        // Rounding to 255 levels moves the limits a little.
        Assert.InRange(values.Count(v => Math.Abs(v) < 2 * Sigma) / (double)n, 0.945, 0.964);
    }

    private static byte[] Render(WorldState world, double sigma, int index) =>
        Renderer.Render(world, sigma, WorldRandom.Of(11, "pictures", index)).Rgb;

    /// <summary>Offsets of a quarter's pixels, row by row.</summary>
    private static IEnumerable<int> Pixels(int cell) =>
        Enumerable.Range(0, Cell * Cell).Select(i => ((cell / 2 * Cell + i / Cell) * Side + cell % 2 * Cell + i % Cell) * 3);
}
