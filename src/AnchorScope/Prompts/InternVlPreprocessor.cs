using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>
/// From a picture to the tiles of InternVL, bit for bit as the reference's processor (Pillow backend, Pillow up to 12): the grid whose
/// shape is nearest to the picture's, and a thumbnail behind when there is more than one tile.
/// </summary>
public sealed class InternVlPreprocessor
{
    private const int MostTiles = 256;

    private readonly PixelLevels _levels;
    private readonly Resampling _filter;
    private readonly int _size;
    private readonly int _fewest;
    private readonly int _most;
    private readonly bool _tiled;
    private readonly bool _thumbnail;

    private InternVlPreprocessor(ConfigSection config, ConfigSection model)
    {
        // The original layout keeps the tiling beside the model and normalises by constants of its code.
        var remote = model.Text("model_type", "internvl") == "internvl_chat";
        _levels = PixelLevels.Read(config, remote ? PixelLevels.ImageNet : PixelLevels.Clip);
        _filter = PixelLevels.Filter(config, Resampling.Bicubic);
        if (remote)
        {
            _size = model.PositiveInt("force_image_size", model.Section("vision_config").PositiveInt("image_size", 448));
            (_fewest, _most) = (model.PositiveInt("min_dynamic_patch", 1), model.PositiveInt("max_dynamic_patch", 12));
            (_tiled, _thumbnail) = (model.Flag("dynamic_image_size", false), model.Flag("use_thumbnail", false));
        }
        else
        {
            _size = Side(config);
            (_fewest, _most) = (config.PositiveInt("min_patches", 1), config.PositiveInt("max_patches", 12));
            // crop_to_patches of the image processor is overruled by the processor, which always tiles.
            (_tiled, _thumbnail) = (true, true);
        }
        if (_fewest > _most || _most > MostTiles) throw InputException.At(config.File, "max_patches", $"from min_patches {_fewest} to {MostTiles}", $"{_most}");
    }

    private InternVlPreprocessor(InternVlPreprocessor other, bool tiled)
    {
        (_levels, _filter, _size, _fewest, _most, _thumbnail) = (other._levels, other._filter, other._size, other._fewest, other._most, other._thumbnail);
        _tiled = tiled;
    }

    /// <summary>Reads preprocessor_config.json and config.json of <paramref name="folder"/>.</summary>
    public static InternVlPreprocessor Load(string folder) =>
        new(ConfigSection.Load(Path.Combine(folder, "preprocessor_config.json")), ConfigSection.Load(Path.Combine(folder, "config.json")));

    /// <summary>The same, for pictures as single tiles.</summary>
    public InternVlPreprocessor WithoutTiles() => new(this, tiled: false);

    /// <summary>Resizes, normalises and cuts <paramref name="picture"/>.</summary>
    public PictureTiles Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var (columns, rows) = _tiled ? Grid(picture.Height, picture.Width, _size, _fewest, _most) : (1, 1);
        var count = rows * columns;
        var whole = _thumbnail && count > 1;
        var floats = 3 * _size * _size;
        var values = new float[(count + (whole ? 1 : 0)) * floats];
        var seen = picture.Resize(columns * _size, rows * _size, _filter);
        for (var tile = 0; tile < count; tile++)
            _levels.Write(seen, tile / columns * _size, tile % columns * _size, _size, _size, values.AsSpan(tile * floats, floats));
        if (whole) _levels.Write(picture.Resize(_size, _size, _filter), 0, 0, _size, _size, values.AsSpan(count * floats));
        return new PictureTiles(values, count + (whole ? 1 : 0), rows, columns);
    }

    /// <summary>The grid of <paramref name="fewest"/> to <paramref name="most"/> tiles nearest in shape; among equals the larger one for large pictures.</summary>
    public static (int Columns, int Rows) Grid(int height, int width, int size, int fewest, int most)
    {
        var grids = Enumerable.Range(1, most).SelectMany(c => Enumerable.Range(1, most).Select(r => (Columns: c, Rows: r)))
            .Where(g => g.Columns * g.Rows >= fewest && g.Columns * g.Rows <= most).OrderBy(g => g.Columns * g.Rows);
        var (best, nearest, shape) = ((Columns: 1, Rows: 1), double.PositiveInfinity, (double)width / height);
        foreach (var grid in grids)
        {
            var difference = Math.Abs(shape - (double)grid.Columns / grid.Rows);
            if (difference < nearest) (best, nearest) = (grid, difference);
            else if (difference == nearest && (double)width * height > 0.5 * size * size * grid.Columns * grid.Rows) best = grid;
        }
        return best;
    }

    private static int Side(ConfigSection config)
    {
        var size = config.SectionOrNull("size");
        var (height, width) = (size?.PositiveInt("height") ?? 384, size?.PositiveInt("width") ?? 384);
        return height == width && height <= 4096 ? height : throw InputException.At(config.File, "size", "a square of at most 4096", $"{height} x {width}");
    }
}
