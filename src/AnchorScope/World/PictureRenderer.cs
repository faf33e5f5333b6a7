using AnchorScope.Prompts;
using AnchorScope.Synthesis;

namespace AnchorScope.World;

/// <summary>Draws worlds as pictures of 64 x 64 pixels. It has no state except tables, so one instance serves all threads.</summary>
internal sealed class PictureRenderer
{
    /// <summary>Side of a picture in pixels.</summary>
    public const int Side = 64;

    private const int CellSide = 32;
    private const int SmallestObject = 22;
    private const int LargestObject = 28;
    private const int Channels = 3;
    private const int GrainSide = 4; // pixels that share their noise
    private const int Grains = Side / GrainSide;
    private const double Darkest = 0.85; // of an object's colour

    // night, sand, sea, grass
    private static readonly double[][] Grounds = [[0.03, 0.03, 0.06], [0.76, 0.66, 0.46], [0.04, 0.16, 0.34], [0.12, 0.30, 0.10]];

    // red, yellow, green, blue, white, purple, orange, pink
    private static readonly double[][] Palette =
    [
        [0.90, 0.10, 0.10], [0.98, 0.90, 0.10], [0.10, 0.75, 0.15], [0.15, 0.35, 0.95], [0.97, 0.97, 0.97], [0.50, 0.10, 0.65],
        [0.98, 0.55, 0.05], [1, 0.55, 0.75],
    ];

    private readonly float[] _normal = NormalQuantiles.Times(1);

    // [shape][size - smallest]
    private readonly byte[][][] _coverage =
    [
        .. Enumerable.Range(0, WorldState.Shapes).Select(
            shape => Enumerable.Range(SmallestObject, LargestObject - SmallestObject + 1)
                .Select(size => Silhouette.Coverage(shape, size)).ToArray()),
    ];

    /// <summary>Draws <paramref name="world"/>: every thing in a separate quadrant, with random size, position and shade.</summary>
    /// <param name="sigma">Standard deviation of the noise, in units of white.</param>
    public Picture Render(WorldState world, double sigma, WorldRandom random)
    {
        var rgb = new byte[Side * Side * Channels];
        var cells = Cells(world, random);
        var noise = Noise(sigma, random);
        var ground = Grounds[world.Place];
        for (var y = 0; y < Side; y++)
        {
            for (var x = 0; x < Side; x++)
            {
                var thing = cells[y / CellSide * 2 + x / CellSide];
                var share = thing?.Share(x % CellSide, y % CellSide) ?? 0;
                for (var channel = 0; channel < Channels; channel++)
                {
                    var value = ground[channel] * (1 - share);
                    if (thing is not null) value += Palette[world.Colour][channel] * thing.Shade * share;
                    value += noise[(y / GrainSide * Grains + x / GrainSide) * Channels + channel];
                    rgb[(y * Side + x) * Channels + channel] = (byte)Math.Clamp(Math.Round(value * 255, MidpointRounding.ToEven), 0, 255);
                }
            }
        }
        return new Picture(Side, Side, rgb);
    }

    /// <summary>The content of each quadrant, row by row.</summary>
    private Thing?[] Cells(WorldState world, WorldRandom random)
    {
        var cells = new Thing?[WorldState.Counts];
        var free = Enumerable.Range(0, cells.Length).ToList();
        for (var i = 0; i <= world.Count; i++)
        {
            var cell = random.Pick(free);
            free.Remove(cell);
            var size = SmallestObject + random.Below(LargestObject - SmallestObject + 1);
            var (top, left) = (random.Below(CellSide - size + 1), random.Below(CellSide - size + 1));
            cells[cell] = new Thing(_coverage[world.Shape][size - SmallestObject], size, top, left, random.Uniform(Darkest, 1));
        }
        return cells;
    }

    /// <summary>[row of grains, column of grains, channel]</summary>
    private double[] Noise(double sigma, WorldRandom random)
    {
        const int PerDraw = 4; // 16 bits each choose a quantile
        var noise = new double[Grains * Grains * Channels];
        for (var i = 0; i < noise.Length; i += PerDraw)
        {
            var bits = random.Bits();
            for (var j = 0; j < PerDraw; j++, bits >>= 16) noise[i + j] = sigma * _normal[bits & 0xFFFF];
        }
        return noise;
    }

    /// <summary>A thing in its quadrant of the picture.</summary>
    private sealed record Thing(byte[] Coverage, int Size, int Top, int Left, double Shade)
    {
        /// <summary>Share of a pixel that it covers, 0 to 1.</summary>
        public double Share(int x, int y)
        {
            var (column, row) = (x - Left, y - Top);
            return column >= 0 && column < Size && row >= 0 && row < Size
                ? Coverage[row * Size + column] / (double)Silhouette.SubSamples : 0;
        }
    }
}
