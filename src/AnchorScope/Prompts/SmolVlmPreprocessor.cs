using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// Converts a picture to the tiles of a SmolVLM or Idefics3 vision tower, with the bits of SmolVLMImageProcessor (Pillow backend, Pillow up
/// to 12): resize to a longest edge, then to whole tiles, cut, and shrink the resized picture to one more tile, which is the last.
/// </summary>
internal sealed class SmolVlmPreprocessor
{
    /// <summary>Maximum size after resizing, whatever the settings are.</summary>
    private const int LongestEdge = 4096;

    private static readonly string[] Supported =
    [
        "SmolVLMImageProcessor", "SmolVLMImageProcessorFast", "SmolVLMImageProcessorPil",
        "Idefics3ImageProcessor", "Idefics3ImageProcessorFast", "Idefics3ImageProcessorPil",
    ];

    private static readonly float[] Half = [0.5f, 0.5f, 0.5f];

    private readonly Func<int, int, (int Height, int Width)> resize;
    private readonly bool splits;
    private readonly Resampling filter;
    private readonly PixelTable values;

    private SmolVlmPreprocessor(PreprocessorSettings settings)
    {
        settings.RequireType(Supported);
        // do_pad makes the tiles of a batch equal in size and number. Those of one picture are equal anyway.
        settings.RequireOwnOnly("SmolVLMImageProcessor", "max_image_size", "do_image_splitting", "do_pad");
        _ = settings.Flag("do_pad");
        Size = settings.Find("max_image_size") is not { } tile ? 364
            : PreprocessorSettings.OnlyMember(tile, "longest_edge") is { } edge ? PreprocessorSettings.Side(edge)
            : throw tile.Expected("{longest_edge}");
        resize = settings.Flag("do_resize") ? ResizeOf(settings.Find("size")) : (height, width) => (height, width);
        splits = settings.Flag("do_image_splitting");
        filter = settings.Filter(Resampling.Lanczos);
        values = new(settings.RescaleFactor(), settings.Normalization(Half, Half));
    }

    /// <summary>Side of a tile in pixels.</summary>
    public int Size { get; }

    /// <param name="folder">Folder of a checkpoint. Reads preprocessor_config.json, or processor_config.json if the settings are
    /// there.</param>
    /// <exception cref="InputException">The file is missing, belongs to another image processor, has a value of the wrong kind or out of
    /// range, or requests a step that SmolVLMImageProcessor does not have.</exception>
    public static SmolVlmPreprocessor Load(string folder) => new(PreprocessorSettings.Load(folder));

    /// <returns>The tiles row by row, then the whole picture; only the whole picture if it fits into one tile or splitting is
    /// off.</returns>
    /// <exception cref="InputException">Resizing needs more than <see cref="Picture.MostPixels"/> pixels.</exception>
    public PictureTiles Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var (height, width) = resize(picture.Height, picture.Width);
        var seen = picture.Resize(width, height, filter);
        if (splits)
        {
            (height, width) = WholeTiles(height, width, Size);
            seen = seen.Resize(width, height, filter);
        }
        var whole = seen.Resize(Size, Size, filter);
        return splits && (height > Size || width > Size)
            ? new(values.Tiles(Size, seen, whole), Size, height / Size, width / Size, Overview: true, picture.Height, picture.Width)
            : new(values.Tiles(Size, whole), Size, 0, 0, Overview: true, picture.Height, picture.Width);
    }

    /// <summary>
    /// The size whose longer side is <paramref name="edge"/> pixels, at most 4096. The shorter side is made even before that limit is
    /// applied.
    /// </summary>
    /// <param name="height">Height of the picture.</param>
    /// <param name="width">Width of the picture.</param>
    /// <param name="edge">Pixels.</param>
    public static (int Height, int Width) LongestEdgeSize(int height, int width, int edge)
    {
        (height, width) = Scaled(height, width, edge);
        (height, width) = width >= height ? (height + height % 2, width) : (height, width + width % 2);
        (height, width) = (Math.Max(height, 1), Math.Max(width, 1));
        if (Math.Max(height, width) > LongestEdge)
            (height, width) = Scaled(height, width, LongestEdge);
        return (Math.Max(height, 1), Math.Max(width, 1));
    }

    /// <summary>The size in whole tiles: the longer side is rounded up, then the corresponding shorter side.</summary>
    /// <param name="height">Height of the picture.</param>
    /// <param name="width">Width of the picture.</param>
    /// <param name="size">Side of a tile in pixels.</param>
    public static (int Height, int Width) WholeTiles(int height, int width, int size)
    {
        (height, width) = Scaled(height, width, Up(Math.Max(height, width)));
        return (Up(height), Up(width));

        int Up(int side) => Math.Max(1, (int)Math.Ceiling((double)side / size)) * size;
    }

    /// <summary>The shorter side is truncated to whole pixels, with the reference's two roundings.</summary>
    private static (int Height, int Width) Scaled(int height, int width, int edge)
    {
        var ratio = (double)width / height;
        return width >= height ? ((int)(edge / ratio), edge) : (edge, (int)(edge * ratio));
    }

    private static Func<int, int, (int Height, int Width)> ResizeOf(JsonField? size)
    {
        const int DefaultEdge = 4 * 364;
        if (size is not { } field)
            return (height, width) => LongestEdgeSize(height, width, DefaultEdge);
        if (PreprocessorSettings.OnlyMember(field, "longest_edge") is { } longest)
        {
            var edge = PreprocessorSettings.Side(longest);
            return (height, width) => LongestEdgeSize(height, width, edge);
        }
        if (field.Find("height") is null)
            throw field.Expected("{longest_edge} or {height, width}");
        var exact = PreprocessorSettings.HeightAndWidth(field);
        return (_, _) => exact;
    }
}
