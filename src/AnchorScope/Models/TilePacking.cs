using AnchorScope.Engines;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// Reassembles the tiles of a picture into one map of image tokens. The padding that gave the picture the aspect ratio of its grid is cut
/// off, and a map above the limit is downscaled bilinearly.
/// </summary>
internal sealed class TilePacking
{
    private readonly int _gridColumns;
    private readonly Area _area;

    private TilePacking(int tokens, int rows, int columns, int gridColumns, Area area) =>
        (Tokens, Rows, Columns, _gridColumns, _area) = (tokens, rows, columns, gridColumns, area);

    /// <summary>The picture without its padding, in patches of all tiles.</summary>
    private readonly record struct Area(int Top, int Left, int High, int Wide);

    /// <summary>Image tokens of the picture: the overview, the map and the newlines.</summary>
    public int Tokens { get; }

    /// <summary>
    /// Rows of the map; 0 for a picture without tiles, and for one so wide that no row remains when the padding is cut off.
    /// </summary>
    public int Rows { get; }

    /// <summary>
    /// Columns of the map, not counting the newline; 0 for a picture so high that no column remains when the padding is cut off.
    /// </summary>
    public int Columns { get; }

    /// <param name="side">Patches per side of a tile.</param>
    /// <param name="mostTiles">A map of more tokens than about this many tiles is downscaled.</param>
    /// <exception cref="InputException">Downscaling would leave no row or no column.</exception>
    public static TilePacking Of(PictureShape picture, int side, int mostTiles)
    {
        if (picture.Parts == 1) return new TilePacking(side * side + 1, 0, 0, 1, default);
        var (high, wide, top, left) = (picture.Rows * side, picture.Columns * side, 0, 0);
        // Rounded to 7 digits before truncation, as in the reference, because of values such as 55.999999.
        if ((double)picture.Width / picture.Height > (double)wide / high)
        {
            top = (high - (int)Math.Round(picture.Height * ((double)wide / picture.Width), 7)) / 2;
            high -= 2 * top;
        }
        else
        {
            left = (wide - (int)Math.Round(picture.Width * ((double)high / picture.Height), 7)) / 2;
            wide -= 2 * left;
        }
        var ratio = Math.Sqrt((double)high * wide / ((double)mostTiles * side * side));
        var (rows, columns) = ratio > 1.1 ? (FloorDivide(high, ratio), FloorDivide(wide, ratio)) : (high, wide);
        if (ratio > 1.1 && (rows == 0 || columns == 0))
            throw new InputException(
                $"a picture of {picture.Width} x {picture.Height} pixels is too long and thin: "
                    + $"its map of {wide} x {high} image tokens cannot be shrunk to {mostTiles} tiles' worth");
        return new TilePacking(side * side + rows * (columns + 1), rows, columns, picture.Columns, new Area(top, left, high, wide));
    }

    /// <summary>Computes the map's vector at <paramref name="y"/>, <paramref name="x"/>.</summary>
    /// <param name="tiles">Vectors [tile x patch, d].</param>
    /// <param name="first">Row of the first tile's first patch.</param>
    public void Sample(Tensor tiles, int first, int side, int y, int x, Span<float> into)
    {
        var (y0, y1, fy) = Between(y, Rows, _area.High);
        var (x0, x1, fx) = Between(x, Columns, _area.Wide);
        if (fy == 0 && fx == 0)
        {
            At(y0, x0).CopyTo(into);
            return;
        }
        ReadOnlySpan<float> a = At(y0, x0), b = At(y0, x1), c = At(y1, x0), d = At(y1, x1);
        for (var i = 0; i < into.Length; i++)
            into[i] = (1 - fy) * ((1 - fx) * a[i] + fx * b[i]) + fy * ((1 - fx) * c[i] + fx * d[i]);

        ReadOnlySpan<float> At(int row, int column) => tiles[PlaceOf(first, side, row, column)];
    }

    /// <summary>
    /// Adds the gradient with respect to the map's vector at <paramref name="y"/>, <paramref name="x"/> to the gradients of the vectors it
    /// was interpolated from.
    /// </summary>
    public void SampleBackward(Tensor tiles, int first, int side, int y, int x, ReadOnlySpan<float> derivatives)
    {
        var (y0, y1, fy) = Between(y, Rows, _area.High);
        var (x0, x1, fx) = Between(x, Columns, _area.Wide);
        Add(y0, x0, (1 - fy) * (1 - fx), derivatives);
        Add(y0, x1, (1 - fy) * fx, derivatives);
        Add(y1, x0, fy * (1 - fx), derivatives);
        Add(y1, x1, fy * fx, derivatives);

        void Add(int row, int column, float share, ReadOnlySpan<float> values)
        {
            if (share == 0) return;
            var target = tiles[PlaceOf(first, side, row, column)];
            System.Numerics.Tensors.TensorPrimitives.MultiplyAdd(values, share, target, target);
        }
    }

    private int PlaceOf(int first, int side, int row, int column)
    {
        var (r, k) = (row + _area.Top, column + _area.Left);
        return first + (r / side * _gridColumns + k / side) * side * side + r % side * side + k % side;
    }

    /// <summary>
    /// Python's <c>//</c>. It is one less than the floor of the rounded quotient where that quotient is a whole number only through
    /// rounding.
    /// </summary>
    private static int FloorDivide(double a, double b) => (int)Math.Round((a - a % b) / b);

    /// <summary>Maps pixel centres of the small map to the large one, with edges repeated (align_corners false).</summary>
    private static (int From, int To, float Share) Between(int at, int small, int large)
    {
        if (small == large) return (at, at, 0);
        var centre = Math.Max(0, (at + 0.5f) * ((float)large / small) - 0.5f);
        var from = Math.Min((int)centre, large - 1);
        return (from, Math.Min(from + 1, large - 1), centre - from);
    }
}
