using AnchorScope.Checkpoints;
using AnchorScope.Prompts;

namespace AnchorScope.Engines;

/// <summary>One picture among pixel values.</summary>
/// <param name="Parts">Slots along the first axis that are this picture's: tiles, or patches where the tower takes patches.</param>
/// <param name="Rows">Rows of its grid: of tiles (an overview not counted), or of patches.</param>
/// <param name="Columns">Columns of its grid.</param>
/// <param name="Height">Of the original, in pixels; 0 where it is not known and not needed.</param>
/// <param name="Width">Of the original, in pixels.</param>
public sealed record PictureShape(int Parts, int Rows, int Columns, int Height = 0, int Width = 0)
{
    /// <summary>The shape of a picture cut into tiles.</summary>
    internal static PictureShape Of(PictureTiles tiles) => new(tiles.Count, tiles.Rows, tiles.Columns, tiles.PictureHeight, tiles.PictureWidth);

    /// <summary>
    /// What image tokens cover where every tile gives <paramref name="side"/> x <paramref name="side"/> of them: a tile covers its cell of the
    /// grid, and the one behind the grid, where there is one, the whole picture.
    /// </summary>
    internal IEnumerable<PixelBox?> TileBoxes(int side)
    {
        var whole = new PixelBox(0, 0, Width, Height);
        IEnumerable<PixelBox> tiles = Rows * Columns > 0 ? whole.Cells(Rows, Columns) : [];
        if (Parts > Rows * Columns) tiles = tiles.Append(whole);
        return tiles.SelectMany(tile => tile.Cells(side, side)).Select(b => (PixelBox?)b);
    }
}

/// <summary>Pictures as a vision tower takes them.</summary>
/// <param name="Values">Flattened pixel values, in the order of the reference's processor.</param>
/// <param name="Shape">Their shape, as the reference's processor gives it.</param>
/// <param name="Pictures">The pictures, in order.</param>
public sealed record PixelValues(float[] Values, long[] Shape, IReadOnlyList<PictureShape> Pictures)
{
    /// <summary>What the reference's processor gives besides, under its names: grids or sizes, in families that have them.</summary>
    public IReadOnlyList<TensorData> Companions { get; init; } = [];

    /// <summary>All pictures one behind the other, for one run of the tower; null for none.</summary>
    internal static PixelValues? Together(IReadOnlyList<PixelValues> parts) => parts.Count switch
    {
        0 => null,
        1 => parts[0],
        _ => new PixelValues([.. parts.SelectMany(p => p.Values)], [parts.Sum(p => p.Shape[0]), .. parts[0].Shape[1..]], [.. parts.SelectMany(p => p.Pictures)]),
    };
}

/// <summary>What a file of inputs holds besides token ids, under the names of the reference's processors.</summary>
/// <param name="File">For messages.</param>
/// <param name="Values">pixel_values.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Grids">image_grid_thw [pictures, 3], or null.</param>
/// <param name="Sizes">image_sizes [pictures, 2], height and width, or null.</param>
internal sealed record PixelInputs(string File, float[] Values, long[] Shape, long[]? Grids, long[]? Sizes)
{
    /// <summary>pixel_attention_mask and its shape [1, tiles, height, width], or null.</summary>
    public (long[] Values, long[] Shape)? Mask { get; init; }

    /// <summary>An error about the shape.</summary>
    public InputException Wrong(string expected) => InputException.At(File, "pixel_values", $"shape {expected}", $"[{string.Join(", ", Shape)}]");
}
