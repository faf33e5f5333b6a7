namespace AnchorScope.Prompts;

/// <summary>
/// From a picture to the input of a CLIP vision tower, bit for bit as CLIPImageProcessor (Pillow backend, Pillow up to 12) does it:
/// resize, centre crop, rescale, normalise, each as preprocessor_config.json says.
/// </summary>
public sealed class ClipPreprocessor
{
    private readonly ClipPreprocessorConfig config;
    private readonly float[][] values;

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
        values = [.. Enumerable.Range(0, 3).Select(channel => Enumerable.Range(0, 256).Select(level => Value(channel, level)).ToArray())];
    }

    /// <summary>Rows of every result.</summary>
    public int Height { get; }

    /// <summary>Columns of every result.</summary>
    public int Width { get; }

    /// <param name="folder">A checkpoint's; its preprocessor_config.json is read.</param>
    /// <exception cref="InputException">The file is missing or says something that is not supported; see
    /// <see cref="ClipPreprocessorConfig"/>.</exception>
    public static ClipPreprocessor Load(string folder) =>
        new(ClipPreprocessorConfig.Load(Path.Combine(folder, "preprocessor_config.json")));

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

    /// <returns>pixel_values: [3, <see cref="Height"/>, <see cref="Width"/>].</returns>
    /// <exception cref="InputException">See <see cref="Fit"/>.</exception>
    public float[] Apply(Picture picture)
    {
        var seen = Fit(picture);
        var pixels = seen.Width * seen.Height;
        var result = new float[3 * pixels];
        for (var channel = 0; channel < 3; channel++)
        {
            for (var i = 0; i < pixels; i++)
                result[channel * pixels + i] = values[channel][seen.Rgb[3 * i + channel]];
        }
        return result;
    }

    /// <summary>The size with the shorter side <paramref name="edge"/> pixels long; the longer side is cut off to whole pixels.</summary>
    public static (int Height, int Width) ShortestEdgeSize(int height, int width, int edge)
    {
        var longer = (int)((double)((long)edge * Math.Max(height, width)) / Math.Min(height, width));
        return width <= height ? (longer, edge) : (edge, longer);
    }

    /// <summary>The reference multiplies in double precision, rounds to single, and normalises in single precision.</summary>
    private float Value(int channel, int level)
    {
        var value = config.RescaleFactor is { } factor ? (float)(level * factor) : level;
        return config.Normalization is { } n ? (value - n.Mean[channel]) / n.Std[channel] : value;
    }
}
