using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// Converts a picture to the tiles of a LLaVA-OneVision vision tower, with the bits of LlavaOnevisionImageProcessor (Pillow backend, Pillow
/// up to 12). A single picture is resized into the best of the given resolutions with its aspect ratio kept, padded with black and cut into
/// tiles; the whole picture, resized to one tile, comes first. One of several pictures is padded to a square with the mean colour and
/// resized to one tile.
/// </summary>
internal sealed class LlavaOnevisionPreprocessor
{
    private static readonly string[] Supported =
        ["LlavaOnevisionImageProcessor", "LlavaOnevisionImageProcessorFast", "LlavaOnevisionImageProcessorPil"];

    private readonly Resampling filter;
    private readonly PixelTable values;
    private readonly byte[] background;

    private LlavaOnevisionPreprocessor(PreprocessorSettings settings)
    {
        settings.RequireType(Supported);
        // do_pad is about the number of tiles of several pictures in a batch, so it has no effect here.
        settings.RequireOwnOnly("LlavaOnevisionImageProcessor", "image_grid_pinpoints", "do_pad");
        settings.RequireOn("do_resize", "the model takes one size only");
        _ = settings.Flag("do_pad");
        // Even without a centre crop the reference would cut tiles of this size and stretch them.
        if (settings.Find("crop_size") is { } crop)
            throw crop.Expected("nothing (tiles have the size of the overview)");
        Size = settings.SquareSide("size", 384);
        Resolutions = settings.Find("image_grid_pinpoints") is { } pinpoints
            ? ResolutionsOf(pinpoints, Size) : DefaultResolutions(settings, Size);
        filter = settings.Filter(Resampling.Bicubic);
        values = new(settings.RescaleFactor(), settings.Normalization(PreprocessorSettings.ClipMean, PreprocessorSettings.ClipStd));
        background = settings.MeanColour(PreprocessorSettings.ClipMean);
    }

    /// <summary>Side of a tile in pixels.</summary>
    public int Size { get; }

    /// <summary>The resolutions that pictures are fitted into, in pixels; multiples of <see cref="Size"/>.</summary>
    public IReadOnlyList<(int Height, int Width)> Resolutions { get; }

    /// <param name="folder">Folder of a checkpoint. Reads preprocessor_config.json, or processor_config.json if the settings are
    /// there.</param>
    /// <exception cref="InputException">The file is missing, belongs to another image processor, has a value of the wrong kind or out of
    /// range, or requests a step that LlavaOnevisionImageProcessor does not have.</exception>
    public static LlavaOnevisionPreprocessor Load(string folder) => new(PreprocessorSettings.Load(folder));

    /// <returns>The whole picture first, then the tiles row by row.</returns>
    /// <exception cref="InputException">Resizing needs more than <see cref="Picture.MostPixels"/> pixels.</exception>
    public PictureTiles Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var (height, width) = BestResolution(picture.Height, picture.Width, Resolutions);
        var (fittedHeight, fittedWidth) = FittedSize(picture.Height, picture.Width, height, width);
        var canvas = Pad(picture.Resize(fittedWidth, fittedHeight, filter), height, width, [0, 0, 0]);
        var result = values.Tiles(Size, picture.Resize(Size, Size, filter), canvas);
        return new(result, Size, height / Size, width / Size, Overview: true, picture.Height, picture.Width);
    }

    /// <summary>Converts a picture that shares its sample with others.</summary>
    /// <returns>One tile.</returns>
    /// <exception cref="InputException">The square has more than <see cref="Picture.MostPixels"/> pixels.</exception>
    public PictureTiles ApplyWhole(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var (left, top, right, bottom) = SquareAround(picture.Height, picture.Width);
        if ((long)(bottom - top) * (right - left) > Picture.MostPixels)
            throw new InputException(
                $"a picture of {picture.Width} x {picture.Height} pixels: padded to a square it has more than {Picture.MostPixels} pixels");
        var square = Pad(picture, bottom - top, right - left, background);
        return new(values.Tiles(Size, square.Resize(Size, Size, filter)), Size, 0, 0, Overview: true, picture.Height, picture.Width);
    }

    /// <summary>The square in which <see cref="ApplyWhole"/> centres a picture, in pixels from the picture's upper left corner.</summary>
    public static (int Left, int Top, int Right, int Bottom) SquareAround(int height, int width)
    {
        var side = Math.Max(height, width);
        var (left, top) = (-((side - width) / 2), -((side - height) / 2));
        return (left, top, left + side, top + side);
    }

    /// <summary>
    /// The resolution that keeps most of the picture's pixels and, of those, wastes the fewest of its own; of equally good ones the first.
    /// </summary>
    /// <param name="height">Height of the picture.</param>
    /// <param name="width">Width of the picture.</param>
    /// <param name="resolutions">At least one.</param>
    public static (int Height, int Width) BestResolution(int height, int width, IReadOnlyList<(int Height, int Width)> resolutions)
    {
        ArgumentNullException.ThrowIfNull(resolutions);
        ArgumentOutOfRangeException.ThrowIfZero(resolutions.Count, nameof(resolutions));
        var best = resolutions[0];
        var (mostKept, leastWasted) = (0L, long.MaxValue);
        foreach (var (tall, wide) in resolutions)
        {
            var scale = Math.Min((double)wide / width, (double)tall / height);
            var kept = Math.Min((long)(width * scale) * (long)(height * scale), (long)width * height);
            var wasted = (long)tall * wide - kept;
            if (kept > mostKept || (kept == mostKept && wasted < leastWasted))
                (best, mostKept, leastWasted) = ((tall, wide), kept, wasted);
        }
        return best;
    }

    /// <summary>The largest size with the picture's aspect ratio inside a resolution; the shorter side is rounded up.</summary>
    private static (int Height, int Width) FittedSize(int height, int width, int tallest, int widest)
    {
        double byWidth = (double)widest / width, byHeight = (double)tallest / height;
        return byWidth < byHeight
            ? (Math.Min((int)Math.Ceiling(height * byWidth), tallest), widest)
            : (tallest, Math.Min((int)Math.Ceiling(width * byHeight), widest));
    }

    /// <summary>Pads with one colour; an odd row is added below, an odd column on the right.</summary>
    private static Picture Pad(Picture picture, int height, int width, byte[] colour)
    {
        if ((height, width) == (picture.Height, picture.Width))
            return picture;
        int top = (height - picture.Height) / 2, left = (width - picture.Width) / 2;
        var padded = new byte[3 * height * width];
        for (var i = 0; i < padded.Length; i++)
            padded[i] = colour[i % 3];
        for (var y = 0; y < picture.Height; y++)
            picture.Rgb.AsSpan(3 * y * picture.Width, 3 * picture.Width).CopyTo(padded.AsSpan(3 * ((top + y) * width + left)));
        return new Picture(width, height, padded);
    }

    private static (int Height, int Width)[] ResolutionsOf(JsonField pinpoints, int size)
    {
        (int Height, int Width)[] resolutions = [.. pinpoints.Items().Select(pinpoint =>
        {
            int[] sides = [.. pinpoint.Items().Select(PreprocessorSettings.Side)];
            return sides is [var height, var width] && height % size == 0 && width % size == 0 && (long)height * width <= Picture.MostPixels
                ? (height, width)
                : throw pinpoint.Expected($"[height, width] in multiples of {size}, at most {Picture.MostPixels} pixels");
        })];
        return resolutions.Length > 0 ? resolutions : throw pinpoints.Expected("at least one [height, width]");
    }

    /// <summary>Every resolution from 384 to 2304 pixels in steps of 384.</summary>
    private static (int Height, int Width)[] DefaultResolutions(PreprocessorSettings settings, int size)
    {
        const int Step = 384;
        if (Step % size != 0)
            throw InputException.At(settings.File, "image_grid_pinpoints", $"[height, width] in multiples of {size}", "nothing");
        return [.. from height in Enumerable.Range(1, 6) from width in Enumerable.Range(1, 6) select (Step * height, Step * width)];
    }
}
