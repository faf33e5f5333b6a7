using AnchorScope.Checkpoints;
using AnchorScope.Prompts;

namespace AnchorScope.Engines;

/// <summary>Size and tiling of one picture in <see cref="PixelValues"/>.</summary>
/// <param name="Parts">Entries of the picture along the first axis: tiles, or patches for towers that take patches.</param>
/// <param name="Rows">Rows of its grid: of tiles (not counting an overview) or of patches.</param>
/// <param name="Columns">Columns of its grid.</param>
/// <param name="Height">Height of the original in pixels; 0 if it is unknown and not needed.</param>
/// <param name="Width">Width of the original in pixels; 0 if it is unknown and not needed.</param>
public sealed record PictureShape(int Parts, int Rows, int Columns, int Height = 0, int Width = 0)
{
    /// <summary>The shape of a picture that is split into tiles.</summary>
    internal static PictureShape Of(PictureTiles tiles) =>
        new(tiles.Count, tiles.Rows, tiles.Columns, tiles.PictureHeight, tiles.PictureWidth);

    /// <summary>
    /// The regions covered by image tokens if every tile has <paramref name="side"/> x <paramref name="side"/> of them: a tile covers its
    /// cell of the grid; an overview after the tiles, if there is one, covers the whole picture.
    /// </summary>
    internal IEnumerable<PixelBox?> TileBoxes(int side)
    {
        var whole = new PixelBox(0, 0, Width, Height);
        IEnumerable<PixelBox> tiles = Rows * Columns > 0 ? whole.Cells(Rows, Columns) : [];
        if (Parts > Rows * Columns) tiles = tiles.Append(whole);
        return tiles.SelectMany(tile => tile.Cells(side, side)).Select(b => (PixelBox?)b);
    }
}

/// <summary>Preprocessed pictures, the input of a vision tower.</summary>
/// <param name="Values">Flattened pixel values, in the order of the reference's processor.</param>
/// <param name="Shape">Their shape, as in the reference's processor.</param>
/// <param name="Pictures">The pictures, in order.</param>
public sealed record PixelValues(float[] Values, long[] Shape, IReadOnlyList<PictureShape> Pictures)
{
    /// <summary>Other outputs of the reference's processor, under its names: grids or sizes, in families that have them.</summary>
    public IReadOnlyList<TensorData> Companions { get; init; } = [];

    /// <summary>All pictures concatenated, for one run of the tower; null for none.</summary>
    internal static PixelValues? Concatenate(IReadOnlyList<PixelValues> parts) => parts.Count switch
    {
        0 => null,
        1 => parts[0],
        _ => new PixelValues([.. parts.SelectMany(p => p.Values)], [parts.Sum(p => p.Shape[0]), .. parts[0].Shape[1..]],
            [.. parts.SelectMany(p => p.Pictures)]),
    };
}

/// <summary>The arrays about pictures in a file of inputs, under the names of the reference's processors.</summary>
/// <param name="File">Path, for messages.</param>
/// <param name="Values">pixel_values.</param>
/// <param name="Shape">Shape of pixel_values.</param>
internal sealed record PixelInputs(string File, float[] Values, long[] Shape, long[]? Grids, long[]? Sizes)
{
    /// <summary>pixel_attention_mask and its shape [1, tiles, height, width], or null.</summary>
    public (long[] Values, long[] Shape)? Mask { get; init; }

    /// <summary>An error about the shape of pixel_values.</summary>
    public InputException Wrong(string expected) =>
        InputException.At(File, "pixel_values", $"shape {expected}", $"[{string.Join(", ", Shape)}]");
}
