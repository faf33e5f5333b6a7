namespace AnchorScope.Prompts;

/// <summary>
/// Converts a picture to the patches of a Qwen2-VL or Qwen2.5-VL vision tower, with the bits of Qwen2VLImageProcessor (Pillow backend,
/// Pillow up to 12): resize to whole blocks within a range of pixels, rescale, normalise, cut into patches.
/// </summary>
internal sealed class Qwen2VlPreprocessor
{
    private const int MostAspectRatio = 200;
    private const int LargestPatch = 1024;
    private const int LargestCount = 16;

    private static readonly string[] Supported = ["Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil"];

    private readonly bool resizes;
    private readonly Resampling filter;
    private readonly PixelTable values;

    private Qwen2VlPreprocessor(PreprocessorSettings settings)
    {
        settings.RequireType(Supported);
        settings.RequireOwnOnly("Qwen2VLImageProcessor", "min_pixels", "max_pixels", "temporal_patch_size", "merge_size");
        PatchSize = settings.Integer("patch_size", 14, 1, LargestPatch);
        TemporalPatchSize = settings.Integer("temporal_patch_size", 2, 1, LargestCount);
        MergeSize = settings.Integer("merge_size", 2, 1, LargestCount);
        MinPixels = Pixels(settings, "min_pixels", "shortest_edge", 56 * 56);
        MaxPixels = Pixels(settings, "max_pixels", "longest_edge", 28 * 28 * 1280);
        if (MinPixels > MaxPixels)
            throw InputException.At(settings.File, "max_pixels", $"at least the smallest number of pixels, {MinPixels}", $"{MaxPixels}");
        resizes = settings.Flag("do_resize");
        filter = settings.Filter(Resampling.Bicubic);
        values = new(settings.RescaleFactor(), settings.Normalization(PreprocessorSettings.ClipMean, PreprocessorSettings.ClipStd));
    }

    /// <summary>Side of a patch in pixels.</summary>
    public int PatchSize { get; }

    /// <summary>How often a still picture's patch is repeated, in place of the frames of a video.</summary>
    public int TemporalPatchSize { get; }

    /// <summary>Patches per side of a block. A block becomes one token.</summary>
    public int MergeSize { get; }

    /// <summary>Smaller pictures are enlarged to at least this many pixels.</summary>
    public int MinPixels { get; }

    /// <summary>Larger pictures are shrunk to at most this many pixels.</summary>
    public int MaxPixels { get; }

    /// <param name="folder">Folder of a checkpoint. Reads preprocessor_config.json, or processor_config.json if the settings are
    /// there.</param>
    /// <exception cref="InputException">The file is missing, belongs to another image processor, has a value of the wrong kind or out of
    /// range, or requests a step that Qwen2VLImageProcessor does not have.</exception>
    public static Qwen2VlPreprocessor Load(string folder) => new(PreprocessorSettings.Load(folder));

    /// <exception cref="InputException">One side is more than 200 times the other, resizing needs more than
    /// <see cref="Picture.MostPixels"/> pixels, or resizing is off and a side is not a multiple of a block's side.</exception>
    public QwenPatches Apply(Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var seen = Fit(picture);
        int gridHeight = seen.Height / PatchSize, gridWidth = seen.Width / PatchSize;
        var length = 3L * TemporalPatchSize * seen.Height * seen.Width;
        if (length > Array.MaxLength)
            throw new InputException(
                $"the patches of a {seen.Width}x{seen.Height} picture have {length} values, more than {Array.MaxLength}");
        var result = new float[length];
        var at = 0;
        for (var blockY = 0; blockY < gridHeight; blockY += MergeSize)
        {
            for (var blockX = 0; blockX < gridWidth; blockX += MergeSize)
            {
                for (var i = 0; i < MergeSize * MergeSize; i++)
                    at = Write(seen, PatchSize * (blockX + i % MergeSize), PatchSize * (blockY + i / MergeSize), result, at);
            }
        }
        return new(result, gridHeight, gridWidth, seen);
    }

    /// <summary>
    /// The size nearest to the picture's whose sides are multiples of <paramref name="factor"/>, with a number of pixels in the given range
    /// and about the same aspect ratio.
    /// </summary>
    /// <param name="height">Height of the picture.</param>
    /// <param name="width">Width of the picture.</param>
    /// <param name="factor">Side of a block of patches in pixels.</param>
    /// <param name="minPixels">Minimum number of pixels.</param>
    /// <param name="maxPixels">Maximum number of pixels, except that no side is shorter than a block.</param>
    /// <exception cref="InputException">One side is more than 200 times the other.</exception>
    public static (int Height, int Width) SmartResize(int height, int width, int factor, int minPixels, int maxPixels)
    {
        if ((double)Math.Max(height, width) / Math.Min(height, width) > MostAspectRatio)
            throw new InputException(
                $"a {width}x{height} picture is too long and thin: expected at most {MostAspectRatio} times as long as wide");
        long tall = Nearest(height), wide = Nearest(width);
        if (tall * wide > maxPixels)
        {
            var beta = Math.Sqrt((double)((long)height * width) / maxPixels);
            (tall, wide) = (Math.Max(1, (long)Math.Floor(height / beta / factor)) * factor,
                Math.Max(1, (long)Math.Floor(width / beta / factor)) * factor);
        }
        else if (tall * wide < minPixels)
        {
            var beta = Math.Sqrt(minPixels / (double)((long)height * width));
            (tall, wide) = ((long)Math.Ceiling(height * beta / factor) * factor, (long)Math.Ceiling(width * beta / factor) * factor);
        }
        return (checked((int)tall), checked((int)wide));

        // Python's round: half to even.
        long Nearest(int side) => (long)Math.Round((double)side / factor, MidpointRounding.ToEven) * factor;
    }

    private Picture Fit(Picture picture)
    {
        var block = PatchSize * MergeSize;
        if (resizes)
        {
            var (height, width) = SmartResize(picture.Height, picture.Width, block, MinPixels, MaxPixels);
            return picture.Resize(width, height, filter);
        }
        return picture.Width % block == 0 && picture.Height % block == 0
            ? picture
            : throw new InputException(
                $"a {picture.Width}x{picture.Height} picture: expected sides that are multiples of {block} (do_resize is false)");
    }

    private int Write(Picture seen, int left, int top, float[] result, int at)
    {
        var slot = PatchSize * PatchSize;
        for (var channel = 0; channel < 3; channel++)
        {
            var table = values.Of(channel);
            var first = result.AsSpan(at, slot);
            for (var i = 0; i < slot; i++)
                first[i] = table[seen.Rgb[3 * ((top + i / PatchSize) * seen.Width + left + i % PatchSize) + channel]];
            for (var t = 1; t < TemporalPatchSize; t++)
                first.CopyTo(result.AsSpan(at + t * slot, slot));
            at += TemporalPatchSize * slot;
        }
        return at;
    }

    /// <summary>
    /// The older separate key takes precedence over the member of "size". A size without both members requires the older keys.
    /// </summary>
    private static int Pixels(PreprocessorSettings settings, string key, string member, int otherwise)
    {
        if (settings.Find(key) is { } own)
            return own.Integer(1, (int)Picture.MostPixels);
        return settings.Find("size") is not { } size ? otherwise
            : size.Find(member) is { } pixels ? pixels.Integer(1, (int)Picture.MostPixels)
            : throw size.Expected($"an object with shortest_edge and longest_edge (pixels), or {key} beside it");
    }
}
