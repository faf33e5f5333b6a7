namespace AnchorScope.Prompts;

/// <summary>
/// Converts a picture to the input of a CLIP vision tower, with the bits of CLIPImageProcessor (Pillow backend, Pillow up to 12): resize,
/// centre crop, rescale, normalise, each as set in preprocessor_config.json.
/// </summary>
internal sealed class ClipPreprocessor
{
    private readonly ClipPreprocessorConfig config;
    private readonly PixelTable values;

    /// <exception cref="InputException">The settings give pictures of different sizes, which a CLIP tower does not accept.</exception>
    public ClipPreprocessor(ClipPreprocessorConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        this.config = config;
        (Height, Width) = config switch
        {
            { Crop: { } crop } => crop,
            { ExactSize: { } size } => size,
            _ => throw InputException.At(
                config.File, "do_center_crop",
                "true, or do_resize with a size of height and width (a CLIP tower takes one size only)", "false"),
        };
        values = new(config.RescaleFactor, config.Normalization);
    }

    /// <summary>Number of rows of every result.</summary>
    public int Height { get; }

    /// <summary>Number of columns of every result.</summary>
    public int Width { get; }

    /// <param name="folder">Folder of a checkpoint. Reads preprocessor_config.json, or processor_config.json if the settings are
    /// there.</param>
    /// <exception cref="InputException">The file is missing or has a setting that is not supported; see
    /// <see cref="ClipPreprocessorConfig"/>.</exception>
    public static ClipPreprocessor Load(string folder) => new(ClipPreprocessorConfig.Of(PreprocessorSettings.Load(folder)));

    /// <summary>
    /// The part of the picture that the model receives, resized and cropped to <see cref="Width"/> x <see cref="Height"/> pixels.
    /// </summary>
    /// <exception cref="InputException">The picture is so long and thin that resizing it needs more than <see cref="Picture.MostPixels"/>
    /// pixels.</exception>
    public Picture Fit(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        if (config.ExactSize is { } size)
            picture = picture.Resize(size.Width, size.Height, config.Filter);
        else if (config.ShortestEdge is { } edge)
        {
            var (height, width) = ShortestEdgeSize(picture.Height, picture.Width, edge);
            picture = picture.Resize(width, height, config.Filter);
        }
        return config.Crop is { } crop ? picture.CenterCrop(crop.Width, crop.Height) : picture;
    }

    /// <summary>
    /// The region of a picture that the result shows, in the picture's own pixels. It extends beyond the edges if the crop pads.
    /// </summary>
    public (double Left, double Top, double Right, double Bottom) Seen(int height, int width)
    {
        var (h, w) = config.ExactSize ?? (config.ShortestEdge is { } edge ? ShortestEdgeSize(height, width, edge) : (height, width));
        var (seenHeight, seenWidth) = config.Crop ?? (h, w);
        // Rounded as in the crop: half of the removed pixels, in whole pixels.
        var (left, top) = (Math.Floor((w - seenWidth) / 2.0), Math.Floor((h - seenHeight) / 2.0));
        var (byWidth, byHeight) = ((double)width / w, (double)height / h);
        return (left * byWidth, top * byHeight, (left + seenWidth) * byWidth, (top + seenHeight) * byHeight);
    }

    /// <returns>pixel_values: [3, <see cref="Height"/>, <see cref="Width"/>].</returns>
    /// <exception cref="InputException">See <see cref="Fit"/>.</exception>
    public float[] Apply(Picture picture) => values.Planes(Fit(picture));

    /// <summary>The size whose shorter side is <paramref name="edge"/> pixels; the longer side is truncated to whole pixels.</summary>
    public static (int Height, int Width) ShortestEdgeSize(int height, int width, int edge)
    {
        var longer = (int)((double)((long)edge * Math.Max(height, width)) / Math.Min(height, width));
        return width <= height ? (longer, edge) : (edge, longer);
    }
}
