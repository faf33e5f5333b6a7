namespace AnchorScope.Prompts;

/// <summary>A picture cut into square tiles, with or without the whole picture as one more tile.</summary>
/// <param name="Values">[Count, 3, Size, Size]: the tiles row by row. The position of the whole picture among them depends on the model
/// family.</param>
/// <param name="Size">Side of a tile in pixels.</param>
/// <param name="Rows">Rows of tiles; 0 if there is only the whole picture.</param>
/// <param name="Columns">Columns of tiles; 0 if there is only the whole picture.</param>
/// <param name="Overview">Whether the whole picture is one of the <see cref="Count"/>.</param>
/// <param name="PictureHeight">Height of the original picture in pixels.</param>
/// <param name="PictureWidth">Width of the original picture in pixels.</param>
internal sealed record PictureTiles(
    float[] Values, int Size, int Rows, int Columns, bool Overview, int PictureHeight, int PictureWidth)
{
    /// <summary>Number of tiles, including the whole picture.</summary>
    public int Count => Rows * Columns + (Overview ? 1 : 0);
}
