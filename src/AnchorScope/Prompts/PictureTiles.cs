namespace AnchorScope.Prompts;

/// <summary>A picture cut into square tiles, with or without the whole picture shrunk to one more tile.</summary>
/// <param name="Values">[Count, 3, Size, Size]: the tiles row by row; where the whole picture stands among them depends on the model
/// family.</param>
/// <param name="Size">Pixels in a tile's side.</param>
/// <param name="Rows">Of tiles; 0 if there is only the whole picture.</param>
/// <param name="Columns">Of tiles; 0 if there is only the whole picture.</param>
/// <param name="Overview">Whether the whole picture is one of the <see cref="Count"/>.</param>
/// <param name="PictureHeight">Of the picture as it was given, in pixels.</param>
/// <param name="PictureWidth">Of the picture as it was given, in pixels.</param>
internal sealed record PictureTiles(
    float[] Values, int Size, int Rows, int Columns, bool Overview, int PictureHeight, int PictureWidth)
{
    /// <summary>Tiles, the whole picture included.</summary>
    public int Count => Rows * Columns + (Overview ? 1 : 0);
}
