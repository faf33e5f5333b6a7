namespace AnchorScope.Prompts;

/// <summary>A picture as tiles of one size.</summary>
/// <param name="Values">[tile, 3, size, size]: the grid row by row, and the whole picture in front or behind where the family has it.</param>
/// <param name="Count">Number of tiles, the whole picture among them.</param>
/// <param name="Rows">Rows of the grid.</param>
/// <param name="Columns">Columns of the grid.</param>
public sealed record PictureTiles(float[] Values, int Count, int Rows, int Columns);
