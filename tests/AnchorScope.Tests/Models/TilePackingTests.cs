using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Models;

/// <summary>
/// The feature map of a picture's tiles, without padding and downscaled, compared with torch 1.13 (interpolate, bilinear) to six digits.
/// </summary>
public sealed class TilePackingTests
{
    public static TheoryData<int, int, int, int, int, int, int, double[]> Maps => new()
    {
        {
            1200, 800, 2, 3, 1, 3, 4,
            [0.032646, 0.221649, 0.505155, 0.312715, 0.82646, 0.757732, 0.56701, 0.116838, 0.489691, 0.27835, 0.618557, 0.525773, 0.371134,
                0.902062, 0.268041, 0.417526, 0.890034, 0.445017, 0.675258, 0.682131, 0.859106, 0.156357, 0.079038, 0.661512]
        },
        {
            1300, 500, 2, 3, 2, 3, 9,
            [0.648339, 0.856243, 0.280928, 0.627148, 0.745418, 0.53551, 0.694731, 0.729095, 0.753436, 0.842784, 0.255155, 0.399484,
                0.854524, 0.548683, 0.506014, 0.255155, 0.29496, 0.099083, 0.476804, 0.2311, 0.28866, 0.347938, 0.237973, 0.602234,
                0.591065, 0.588488, 0.412371, 0.631443, 0.371134, 0.811856, 0.818728, 0.475945, 0.399484, 0.52835, 0.117698, 0.301546,
                0.468499, 0.463631, 0.459622, 0.231959, 0.588202, 0.137743, 0.65063, 0.472222, 0.234536, 0.583333, 0.650344, 0.831901,
                0.946163, 0.427549, 0.872852, 0.54811, 0.242554, 0.667239]
        },
        {
            400, 700, 3, 2, 1, 5, 2,
            [0.38866, 0.596907, 0.405155, 0.231959, 0.141237, 0.61134, 0.613402, 0.802062, 0.64433, 0.304124, 0.907217, 0.185567, 0.591753,
                0.341237, 0.545361, 0.913402, 0.836083, 0.647422, 0.645361, 0.375258]
        },
    };

    [Theory]
    [MemberData(nameof(Maps))]
    public void Sample_IsTorchs(int width, int height, int tileRows, int tileColumns, int mostTiles, int rows,
        int columns, double[] expected)
    {
        const int Side = 4, Size = 2;
        using var arena = new Arena();
        var tiles = arena.Take(tileRows * tileColumns * Side * Side, Size);
        for (var i = 0; i < tiles.Rows * Size; i++) tiles[i / Size][i % Size] = i * i % 97 / 97f;
        var packing = TilePacking.Of(new PictureShape(1 + tileRows * tileColumns, tileRows, tileColumns, height, width), Side, mostTiles);
        Assert.Equal((rows, columns), (packing.Rows, packing.Columns));
        Assert.Equal(Side * Side + rows * (columns + 1), packing.Tokens);
        var vector = new float[Size];
        for (var i = 0; i < rows * columns; i++)
        {
            packing.Sample(tiles, 0, Side, i / columns, i % columns, vector);
            Assert.Equal(expected[i * Size], vector[0], 2e-6);
            Assert.Equal(expected[i * Size + 1], vector[1], 2e-6);
        }
    }

    /// <summary>
    /// Sizes for which height / ratio is a whole number only because of rounding: Python's floor division, in the processor and in the
    /// model, gives one less.
    /// </summary>
    [Theory]
    [InlineData(4, 5, 5, 100, 100, 11, 11)]
    [InlineData(27, 2, 6, 650, 200, 44, 145)]
    [InlineData(27, 2, 6, 1150, 350, 44, 145)]
    public void Of_FloorsAsPythonDoes(int side, int tileRows, int tileColumns, int width, int height, int rows, int columns)
    {
        var packing = TilePacking.Of(new PictureShape(1 + tileRows * tileColumns, tileRows, tileColumns, height, width), side, 9);
        Assert.Equal((rows, columns), (packing.Rows, packing.Columns));
    }
}
