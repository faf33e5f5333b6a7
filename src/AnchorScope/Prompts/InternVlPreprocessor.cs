using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// Converts a picture to the tiles of an InternVL vision tower, with the bits of InternVLProcessor with GotOcr2ImageProcessor (Pillow
/// backend, Pillow up to 12): the grid with the nearest aspect ratio, its tiles row by row, then the whole picture if there is more than
/// one tile.
/// </summary>
/// <remarks>
/// Also reads checkpoints in the layout of the authors' own code (InternVLChatModel), whose tiling is set in config.json.
/// </remarks>
internal sealed class InternVlPreprocessor
{
    private const int MostTiles = 1024;

    private static readonly string[] Supported = ["GotOcr2ImageProcessor", "GotOcr2ImageProcessorFast", "GotOcr2ImageProcessorPil"];

    private static readonly float[] ImageNetMean = [0.485f, 0.456f, 0.406f];
    private static readonly float[] ImageNetStd = [0.229f, 0.224f, 0.225f];

    private readonly Resampling filter;
    private readonly PixelTable values;

    private InternVlPreprocessor(PreprocessorSettings settings)
    {
        settings.RequireType(Supported);
        settings.RequireOwnOnly("GotOcr2ImageProcessor", "crop_to_patches", "max_patches");
        settings.RequireOn("do_resize", "the model takes one size only");
        // InternVLProcessor always switches it on, whatever the file sets; only the type of the value is checked.
        _ = settings.Flag("crop_to_patches");
        Size = settings.SquareSide("size", 384);
        MinTiles = settings.Integer("min_patches", 1, 1, MostTiles);
        MaxTiles = settings.Integer("max_patches", 12, 1, MostTiles);
        if (MinTiles > MaxTiles)
            throw InputException.At(settings.File, "min_patches", $"at most max_patches, {MaxTiles}", $"{MinTiles}");
        Thumbnail = true;
        filter = settings.Filter(Resampling.Bicubic);
        values = new(settings.RescaleFactor(), settings.Normalization(PreprocessorSettings.ClipMean, PreprocessorSettings.ClipStd));
    }

    /// <param name="config">config.json of an InternVLChatModel.</param>
    /// <param name="settings">Only mean and deviation are used: that code always resizes, rescales and normalises.</param>
    private InternVlPreprocessor(ConfigSection config, PreprocessorSettings? settings)
    {
        if (config.Flag("pad2square", false))
            throw InputException.At(config.File, "pad2square", "false", "true");
        Size = config.Has("force_image_size")
            ? config.PositiveInt("force_image_size") : config.Section("vision_config").PositiveInt("image_size");
        if (Size > PreprocessorSettings.LargestSize)
            throw InputException.At(config.File, "force_image_size", $"at most {PreprocessorSettings.LargestSize}", $"{Size}");
        var tiled = config.Flag("dynamic_image_size", false);
        MinTiles = tiled ? config.PositiveInt("min_dynamic_patch", 1) : 1;
        MaxTiles = tiled ? config.PositiveInt("max_dynamic_patch", 6) : 1;
        if (MaxTiles > MostTiles || MinTiles > MaxTiles)
            throw InputException.At(config.File, "max_dynamic_patch", $"from min_dynamic_patch, {MinTiles}, to {MostTiles}", $"{MaxTiles}");
        Thumbnail = config.Flag("use_thumbnail", false);
        filter = Resampling.Bicubic;
        values = new(1 / 255.0, settings is null ? (ImageNetMean, ImageNetStd) : settings.Normalization(ImageNetMean, ImageNetStd));
    }

    /// <summary>Side of a tile in pixels.</summary>
    public int Size { get; }

    /// <summary>Fewest tiles, not counting the whole picture.</summary>
    public int MinTiles { get; }

    /// <summary>Most tiles, not counting the whole picture; 1 for the whole picture only.</summary>
    public int MaxTiles { get; }

    /// <summary>Whether the whole picture follows if there is more than one tile.</summary>
    public bool Thumbnail { get; }

    /// <param name="folder">Folder of a checkpoint. Reads config.json, and preprocessor_config.json or, if the settings are there,
    /// processor_config.json.</param>
    /// <exception cref="InputException">A file is missing, belongs to another image processor, has a value of the wrong kind or out of
    /// range, or requests a step that InternVL's processors do not have.</exception>
    public static InternVlPreprocessor Load(string folder)
    {
        var config = Path.Combine(folder, "config.json");
        if (File.Exists(config) && ConfigSection.Load(config) is var section && section.Text("model_type", "") == "internvl_chat")
            return new(section, PreprocessorSettings.LoadOrNull(folder));
        return new(PreprocessorSettings.Load(folder));
    }

    /// <returns>The tiles row by row, the whole picture last.</returns>
    /// <exception cref="InputException">Resizing needs more than <see cref="Picture.MostPixels"/> pixels.</exception>
    public PictureTiles Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var (rows, columns) = TileGrid(picture.Height, picture.Width, Size, MinTiles, MaxTiles);
        var tiled = picture.Resize(columns * Size, rows * Size, filter);
        var overview = Thumbnail && rows * columns > 1;
        var result = overview ? values.Tiles(Size, tiled, picture.Resize(Size, Size, filter)) : values.Tiles(Size, tiled);
        return new(result, Size, rows, columns, overview, picture.Height, picture.Width);
    }

    /// <summary>
    /// The grid with the aspect ratio nearest to the picture's. Of equally near grids, the one with the most tiles is used, as long as they
    /// have less than twice the picture's pixels.
    /// </summary>
    /// <param name="height">Height of the picture.</param>
    /// <param name="width">Width of the picture.</param>
    /// <param name="size">Side of a tile in pixels.</param>
    /// <param name="minTiles">Fewest tiles of a grid.</param>
    /// <param name="maxTiles">Most tiles of a grid.</param>
    public static (int Rows, int Columns) TileGrid(int height, int width, int size, int minTiles, int maxTiles)
    {
        var ratio = (double)width / height;
        var best = (Rows: 1, Columns: 1);
        var nearest = double.PositiveInfinity;
        // The order decides ties: fewest tiles first, then fewest columns.
        var grids =
            from columns in Enumerable.Range(1, maxTiles)
            from rows in Enumerable.Range(1, maxTiles / columns)
            where rows * columns >= minTiles
            orderby rows * columns
            select (rows, columns);
        foreach (var (rows, columns) in grids)
        {
            var distance = Math.Abs(ratio - (double)columns / rows);
            if (distance < nearest || (distance == nearest && (long)width * height > 0.5 * size * size * columns * rows))
                (best, nearest) = ((rows, columns), distance);
        }
        return best;
    }
}
