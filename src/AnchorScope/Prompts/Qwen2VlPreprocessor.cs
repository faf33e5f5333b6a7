using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>Patches of one picture in merge-block order.</summary>
/// <param name="Values">[patch, channel x frame x y x x]; the frames of a still picture are equal.</param>
/// <param name="GridHeight">Rows of patches.</param>
/// <param name="GridWidth">Columns of patches.</param>
public sealed record QwenPatches(float[] Values, int GridHeight, int GridWidth);

/// <summary>From a picture to the patches of Qwen2-VL and Qwen2.5-VL, bit for bit as Qwen2VLImageProcessor (Pillow backend, Pillow up to 12).</summary>
public sealed class Qwen2VlPreprocessor
{
    private const double MostElongated = 200;

    private readonly PixelLevels _levels;
    private readonly Resampling _filter;
    private readonly bool _resizes;
    private readonly long _fewest;
    private readonly long _most;
    private readonly int _patch;
    private readonly int _frames;
    private readonly int _merge;
    private readonly string _file;

    private Qwen2VlPreprocessor(ConfigSection config)
    {
        _file = config.File;
        _levels = PixelLevels.Read(config, PixelLevels.Clip);
        _filter = PixelLevels.Filter(config, Resampling.Bicubic);
        _resizes = config.Flag("do_resize", true);
        var size = config.SectionOrNull("size");
        _fewest = config.PositiveInt("min_pixels", size?.PositiveInt("shortest_edge", 56 * 56) ?? 56 * 56);
        _most = config.PositiveInt("max_pixels", size?.PositiveInt("longest_edge", 28 * 28 * 1280) ?? 28 * 28 * 1280);
        _patch = config.PositiveInt("patch_size", 14);
        _frames = config.PositiveInt("temporal_patch_size", 2);
        _merge = config.PositiveInt("merge_size", 2);
        if (_patch > 1024 || _frames > 16 || _merge > 64) throw InputException.At(_file, "patch_size, temporal_patch_size, merge_size", "at most 1024, 16 and 64", $"{_patch}, {_frames}, {_merge}");
        if (_most < _fewest) throw InputException.At(_file, "max_pixels", $"at least min_pixels {_fewest}", $"{_most}");
    }

    /// <summary>Reads preprocessor_config.json of <paramref name="folder"/>.</summary>
    public static Qwen2VlPreprocessor Load(string folder) => new(ConfigSection.Load(Path.Combine(folder, "preprocessor_config.json")));

    /// <summary>Resizes, normalises and cuts <paramref name="picture"/>.</summary>
    /// <exception cref="InputException">It is more than 200 times as long as it is wide.</exception>
    public QwenPatches Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var unit = _patch * _merge;
        var (height, width) = _resizes ? SmartSize(picture.Height, picture.Width, unit, _fewest, _most) : (picture.Height, picture.Width);
        if (height % unit != 0 || width % unit != 0) throw InputException.At(_file, "do_resize", $"true, or pictures whose sides are multiples of {unit}", $"{width} x {height}");
        var seen = picture.Resize(width, height, _filter);
        var (rows, columns, area) = (height / _patch, width / _patch, _patch * _patch);
        var values = new float[(long)rows * columns * 3 * _frames * area];
        var patch = new float[3 * area];
        for (var i = 0; i < rows * columns; i++)
        {
            // Block by block, row by row in a block.
            var (block, inner) = (i / (_merge * _merge), i % (_merge * _merge));
            var row = block / (columns / _merge) * _merge + inner / _merge;
            var column = block % (columns / _merge) * _merge + inner % _merge;
            _levels.Write(seen, row * _patch, column * _patch, _patch, _patch, patch);
            for (var channel = 0; channel < 3; channel++)
            {
                for (var frame = 0; frame < _frames; frame++)
                    patch.AsSpan(channel * area, area).CopyTo(values.AsSpan(((i * 3 + channel) * _frames + frame) * area));
            }
        }
        return new QwenPatches(values, rows, columns);
    }

    /// <summary>Sides that are multiples of <paramref name="unit"/>, near the picture's own, with an area within the bounds.</summary>
    public static (int Height, int Width) SmartSize(int height, int width, int unit, long fewest, long most)
    {
        if ((double)Math.Max(height, width) / Math.Min(height, width) > MostElongated)
            throw new InputException($"a picture of {width} x {height} pixels: expected at most {MostElongated} times as long as wide");
        // Ties to even, as Python rounds.
        var (h, w) = ((long)Math.Round((double)height / unit, MidpointRounding.ToEven) * unit, (long)Math.Round((double)width / unit, MidpointRounding.ToEven) * unit);
        if (h * w > most)
        {
            var beta = Math.Sqrt((double)((long)height * width) / most);
            (h, w) = (Math.Max(unit, (long)Math.Floor(height / beta / unit) * unit), Math.Max(unit, (long)Math.Floor(width / beta / unit) * unit));
        }
        else if (h * w < fewest)
        {
            var beta = Math.Sqrt((double)fewest / ((long)height * width));
            (h, w) = ((long)Math.Ceiling(height * beta / unit) * unit, (long)Math.Ceiling(width * beta / unit) * unit);
        }
        return ((int)h, (int)w);
    }
}
