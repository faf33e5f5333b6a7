using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// From a picture to the tiles of LLaVA-OneVision, as LlavaOnevisionImageProcessor (Pillow backend, Pillow up to 12): the whole picture first,
/// then the tiles of the resolution that fits it best, the picture centred there on black.
/// </summary>
public sealed class LlavaOneVisionPreprocessor
{
    private readonly PixelLevels _levels;
    private readonly Resampling _filter;
    private readonly int _size;

    private LlavaOneVisionPreprocessor(ConfigSection config)
    {
        _levels = PixelLevels.Read(config, PixelLevels.Clip);
        _filter = PixelLevels.Filter(config, Resampling.Bicubic);
        if (!config.Flag("do_resize", true)) throw config.Unsupported("do_resize", "false", ["true"]);
        var size = config.SectionOrNull("size");
        var (height, width) = size is null ? (384, 384) : size.Has("shortest_edge") ? (size.PositiveInt("shortest_edge"), size.PositiveInt("shortest_edge")) : (size.PositiveInt("height"), size.PositiveInt("width"));
        _size = height == width && height <= 4096 ? height : throw InputException.At(config.File, "size", "a square of at most 4096", $"{height} x {width}");
        Pinpoints = config.Pairs("image_grid_pinpoints", _size);
    }

    /// <summary>Resolutions that pictures are tiled at, height and width in pixels.</summary>
    public IReadOnlyList<(int Height, int Width)> Pinpoints { get; }

    /// <summary>Reads preprocessor_config.json of <paramref name="folder"/>.</summary>
    public static LlavaOneVisionPreprocessor Load(string folder) => new(ConfigSection.Load(Path.Combine(folder, "preprocessor_config.json")));

    /// <summary>Resizes, pads, normalises and cuts <paramref name="picture"/>.</summary>
    /// <param name="tiled">False: the whole picture alone, as among several pictures.</param>
    public PictureTiles Apply(Picture picture, bool tiled = true)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var (height, width) = BestResolution(Pinpoints, picture.Height, picture.Width);
        var (rows, columns, floats) = (height / _size, width / _size, 3 * _size * _size);
        var values = new float[(tiled ? 1 + rows * columns : 1) * floats];
        _levels.Write(picture.Resize(_size, _size, _filter), 0, 0, _size, _size, values);
        if (!tiled) return new PictureTiles(values, 1, rows, columns);
        var (byWidth, byHeight) = ((double)width / picture.Width, (double)height / picture.Height);
        var (h, w) = byWidth < byHeight
            ? (Math.Min((int)Math.Ceiling(picture.Height * byWidth), height), width)
            : (height, Math.Min((int)Math.Ceiling(picture.Width * byHeight), width));
        var seen = picture.Resize(w, h, _filter);
        for (var tile = 0; tile < rows * columns; tile++)
            _levels.Write(seen, tile / columns * _size - (height - h) / 2, tile % columns * _size - (width - w) / 2, _size, _size, values.AsSpan((1 + tile) * floats, floats));
        return new PictureTiles(values, 1 + rows * columns, rows, columns);
    }

    /// <summary>The resolution that loses least of the picture and, among equals, wastes least.</summary>
    public static (int Height, int Width) BestResolution(IReadOnlyList<(int Height, int Width)> pinpoints, int height, int width)
    {
        var (best, most, least) = (pinpoints[0], -1L, long.MaxValue);
        foreach (var (h, w) in pinpoints)
        {
            var scale = Math.Min((double)w / width, (double)h / height);
            var effective = Math.Min((long)(int)(width * scale) * (int)(height * scale), (long)width * height);
            var wasted = (long)h * w - effective;
            if (effective > most || (effective == most && wasted < least)) (best, most, least) = ((h, w), effective, wasted);
        }
        return best;
    }
}
