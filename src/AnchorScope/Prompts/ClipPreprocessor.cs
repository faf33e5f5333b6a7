namespace AnchorScope.Prompts;

/// <summary>
/// From a picture to the input of a CLIP vision tower, bit for bit as CLIPImageProcessor (Pillow backend, Pillow up to 12) does it:
/// resize, centre crop, rescale, normalise, each as preprocessor_config.json says.
/// </summary>
internal sealed class ClipPreprocessor
{
    private readonly ClipPreprocessorConfig config;
    private readonly PixelTable values;

    /// <exception cref="InputException">The settings let pictures of different sizes through, which a CLIP tower cannot take.</exception>
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

    /// <summary>Rows of every result.</summary>
    public int Height { get; }

    /// <summary>Columns of every result.</summary>
    public int Width { get; }

    /// <param name="folder">A checkpoint's; preprocessor_config.json is read, or processor_config.json if the settings stand there.</param>
    /// <exception cref="InputException">The file is missing or says something that is not supported; see
    /// <see cref="ClipPreprocessorConfig"/>.</exception>
    public static ClipPreprocessor Load(string folder) => new(ClipPreprocessorConfig.Of(PreprocessorSettings.Load(folder)));

    /// <summary>The part of the picture that the model sees, resized and cropped: <see cref="Width"/> x <see cref="Height"/>
    /// pixels.</summary>
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

    /// <summary>What the result shows of a picture, in the picture's own pixels; beyond its edges where the crop pads.</summary>
    public (double Left, double Top, double Right, double Bottom) Seen(int height, int width)
    {
        var (h, w) = config.ExactSize ?? (config.ShortestEdge is { } edge ? ShortestEdgeSize(height, width, edge) : (height, width));
        var (seenHeight, seenWidth) = config.Crop ?? (h, w);
        // As the crop rounds: half of what is cut off, to whole pixels.
        var (left, top) = (Math.Floor((w - seenWidth) / 2.0), Math.Floor((h - seenHeight) / 2.0));
        var (byWidth, byHeight) = ((double)width / w, (double)height / h);
        return (left * byWidth, top * byHeight, (left + seenWidth) * byWidth, (top + seenHeight) * byHeight);
    }

    /// <returns>pixel_values: [3, <see cref="Height"/>, <see cref="Width"/>].</returns>
    /// <exception cref="InputException">See <see cref="Fit"/>.</exception>
    public float[] Apply(Picture picture) => values.Planes(Fit(picture));

    /// <summary>The size with the shorter side <paramref name="edge"/> pixels long; the longer side is cut off to whole pixels.</summary>
    public static (int Height, int Width) ShortestEdgeSize(int height, int width, int edge)
    {
        var longer = (int)((double)((long)edge * Math.Max(height, width)) / Math.Min(height, width));
        return width <= height ? (longer, edge) : (edge, longer);
    }
}
