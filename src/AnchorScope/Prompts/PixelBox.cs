namespace AnchorScope.Prompts;

/// <summary>
/// A rectangle of a picture in pixels of the original. Coordinates are those of the edges between pixels: 0, 0 is the upper left corner.
/// </summary>
public readonly record struct PixelBox(double Left, double Top, double Right, double Bottom)
{
    /// <summary>The cells of a grid over this rectangle, row by row.</summary>
    public IEnumerable<PixelBox> Cells(int rows, int columns)
    {
        var (width, height) = ((Right - Left) / columns, (Bottom - Top) / rows);
        for (var cell = 0; cell < rows * columns; cell++)
        {
            var (row, column) = (cell / columns, cell % columns);
            yield return new PixelBox(Left + column * width, Top + row * height, Left + (column + 1) * width, Top + (row + 1) * height);
        }
    }

    /// <summary>The intersection with <paramref name="other"/>; null if they have no area in common.</summary>
    public PixelBox? Within(PixelBox other) => Overlaps(other)
        ? new PixelBox(Math.Max(Left, other.Left), Math.Max(Top, other.Top), Math.Min(Right, other.Right), Math.Min(Bottom, other.Bottom))
        : null;

    /// <summary>Whether the two have an area in common.</summary>
    public bool Overlaps(PixelBox other) => Left < other.Right && other.Left < Right && Top < other.Bottom && other.Top < Bottom;
}

/// <summary>The region that an image token covers.</summary>
/// <param name="Picture">Index of the picture in the prompt.</param>
/// <param name="Box">The region; null for a token without one, such as the end of a row.</param>
public sealed record ImagePlace(int Picture, PixelBox? Box);
