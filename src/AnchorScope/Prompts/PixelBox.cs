namespace AnchorScope.Prompts;

/// <summary>A rectangle of a picture in pixels of the original, edges between pixels: 0, 0 is the upper left corner.</summary>
public readonly record struct PixelBox(double Left, double Top, double Right, double Bottom)
{
    /// <summary>Cells of a grid over this rectangle, row by row.</summary>
    public IEnumerable<PixelBox> Cells(int rows, int columns)
    {
        var (width, height) = ((Right - Left) / columns, (Bottom - Top) / rows);
        for (var cell = 0; cell < rows * columns; cell++)
        {
            var (row, column) = (cell / columns, cell % columns);
            yield return new PixelBox(Left + column * width, Top + row * height, Left + (column + 1) * width, Top + (row + 1) * height);
        }
    }

    /// <summary>The part inside <paramref name="other"/>; null where they have no area in common.</summary>
    public PixelBox? Within(PixelBox other) => Overlaps(other)
        ? new PixelBox(Math.Max(Left, other.Left), Math.Max(Top, other.Top), Math.Min(Right, other.Right), Math.Min(Bottom, other.Bottom))
        : null;

    /// <summary>Whether the two have an area in common.</summary>
    public bool Overlaps(PixelBox other) => Left < other.Right && other.Left < Right && Top < other.Bottom && other.Top < Bottom;
}

/// <summary>Where an image token looks.</summary>
/// <param name="Picture">Which picture of the prompt, from 0.</param>
/// <param name="Box">What it covers of it; null for a token that stands for no place, such as the end of a row.</param>
public sealed record ImagePlace(int Picture, PixelBox? Box);
