namespace AnchorScope.Prompts;

/// <summary>What size a picture may have. It is checked against the size in the file's header, before pixels are decoded.</summary>
/// <param name="Pixels">Maximum number of pixels.</param>
/// <param name="Aspect">Maximum length of the longer side, as a multiple of the shorter one.</param>
internal sealed record PictureLimit(long Pixels, double Aspect)
{
    /// <summary>That of files which a user names: Pillow's limit, any proportions.</summary>
    public static PictureLimit Files { get; } = new(Picture.MostPixels, double.PositiveInfinity);

    /// <exception cref="InvalidDataException">The size is 0 or above a limit.</exception>
    public void Require(long width, long height)
    {
        if (width < 1 || height < 1)
            throw new InvalidDataException($"picture size {width}x{height} has no pixels");
        if (width > int.MaxValue || height > int.MaxValue || width * height > Pixels)
            throw new InvalidDataException($"picture size {width}x{height} is above the limit of {Pixels} pixels");
        if ((double)Math.Max(width, height) / Math.Min(width, height) > Aspect)
            throw new InvalidDataException(FormattableString.Invariant(
                $"picture size {width}x{height} is too long and thin: the longer side may be {Aspect} times the shorter one"));
    }
}
