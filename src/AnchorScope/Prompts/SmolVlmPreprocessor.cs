using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// From a picture to the tiles of SmolVLM and Idefics3, as SmolVLMImageProcessor (Pillow backend, Pillow up to 12): scaled to a longest side, then
/// to whole tiles, the tiles row by row and the whole picture behind them.
/// </summary>
public sealed class SmolVlmPreprocessor
{
    private const int LongestOfAll = 4096;

    private readonly PixelLevels _levels;
    private readonly Resampling _filter;
    private readonly bool _splits;
    private readonly int _longest;
    private readonly int _size;

    private SmolVlmPreprocessor(ConfigSection config)
    {
        _levels = PixelLevels.Read(config, PixelLevels.Standard);
        _filter = PixelLevels.Filter(config, Resampling.Lanczos);
        _splits = config.Flag("do_image_splitting", true);
        if (!config.Flag("do_resize", true)) throw config.Unsupported("do_resize", "false", ["true"]);
        _longest = config.SectionOrNull("size")?.PositiveInt("longest_edge") ?? 4 * 364;
        _size = config.SectionOrNull("max_image_size")?.PositiveInt("longest_edge") ?? 364;
        if (_size > LongestOfAll) throw InputException.At(config.File, "max_image_size.longest_edge", $"at most {LongestOfAll}", $"{_size}");
    }

    /// <summary>Reads preprocessor_config.json of <paramref name="folder"/>.</summary>
    public static SmolVlmPreprocessor Load(string folder) => new(ConfigSection.Load(Path.Combine(folder, "preprocessor_config.json")));

    /// <summary>Resizes, normalises and cuts <paramref name="picture"/>; a picture of one tile has no grid.</summary>
    public PictureTiles Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var floats = 3 * _size * _size;
        var (height, width) = Scaled(picture.Height, picture.Width, Math.Min(_longest, LongestOfAll));
        var seen = picture.Resize(width, height, _filter);
        if (_splits)
        {
            (height, width) = WholeTiles(height, width);
            seen = seen.Resize(width, height, _filter);
        }
        var (rows, columns) = _splits ? (height / _size, width / _size) : (1, 1);
        var count = rows * columns > 1 ? rows * columns : 0;
        var values = new float[(count + 1) * floats];
        for (var tile = 0; tile < count; tile++)
            _levels.Write(seen, tile / columns * _size, tile % columns * _size, _size, _size, values.AsSpan(tile * floats, floats));
        _levels.Write(seen.Resize(_size, _size, _filter), 0, 0, _size, _size, values.AsSpan(count * floats));
        return new PictureTiles(values, count + 1, count > 0 ? rows : 0, count > 0 ? columns : 0);
    }

    /// <summary>The longer side as given, the other in proportion and even.</summary>
    private static (int Height, int Width) Scaled(int height, int width, int longest)
    {
        var shape = (double)width / height;
        if (width >= height)
        {
            var h = (int)(longest / shape);
            return (Math.Max(1, h + h % 2), longest);
        }
        var w = (int)(longest * shape);
        return (longest, Math.Max(1, w + w % 2));
    }

    private (int Height, int Width) WholeTiles(int height, int width)
    {
        var shape = (double)width / height;
        int Up(int side) => Math.Max(1, (side + _size - 1) / _size) * _size;
        if (width >= height)
        {
            width = Up(width);
            return (Up((int)(width / shape)), width);
        }
        height = Up(height);
        return (height, Up((int)(height * shape)));
    }
}
