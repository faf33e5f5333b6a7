using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts;

/// <summary>What each of the 256 levels of a channel becomes: rescaled in double, rounded to single, normalised in single, as the reference does.</summary>
internal sealed class PixelLevels
{
    /// <summary>Mean and deviation of OpenAI's CLIP.</summary>
    public static readonly (float[] Mean, float[] Std) Clip = ([0.48145466f, 0.4578275f, 0.40821073f], [0.26862954f, 0.26130258f, 0.27577711f]);

    /// <summary>Of ImageNet.</summary>
    public static readonly (float[] Mean, float[] Std) ImageNet = ([0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]);

    /// <summary>From -1 to 1.</summary>
    public static readonly (float[] Mean, float[] Std) Standard = ([0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f]);

    private readonly float[][] _values;

    private PixelLevels(float[][] values) => _values = values;

    /// <summary>Reads do_rescale, rescale_factor, do_normalize, image_mean and image_std of a preprocessor_config.json.</summary>
    /// <param name="defaults">Of the family's processor.</param>
    public static PixelLevels Read(ConfigSection config, (float[] Mean, float[] Std) defaults)
    {
        var factor = config.Flag("do_rescale", true) ? config.Number("rescale_factor", 1 / 255.0) : 1;
        var normalize = config.Flag("do_normalize", true);
        var (mean, std) = (Channels(config, "image_mean", defaults.Mean), Channels(config, "image_std", defaults.Std));
        if (std.Contains(0)) throw InputException.At(config.File, "image_std", "3 numbers other than 0", string.Join(", ", std));
        return new PixelLevels([.. Enumerable.Range(0, 3).Select(channel => Enumerable.Range(0, 256).Select(level =>
        {
            var value = (float)(level * factor);
            return normalize ? (value - mean[channel]) / std[channel] : value;
        }).ToArray())]);
    }

    /// <summary>The filter of a preprocessor_config.json; <paramref name="otherwise"/> where it names none.</summary>
    public static Resampling Filter(ConfigSection config, Resampling otherwise)
    {
        if (!config.Has("resample")) return otherwise;
        var filter = (Resampling)config.Int("resample");
        return Enum.IsDefined(filter) ? filter : throw config.Unsupported("resample", $"{(int)filter}", Enum.GetValues<Resampling>().Select(f => $"{(int)f}"));
    }

    /// <summary>Writes a rectangle of <paramref name="picture"/> as [channel, height, width]; what lies outside of it is black.</summary>
    public void Write(Picture picture, int top, int left, int height, int width, Span<float> into)
    {
        for (var channel = 0; channel < 3; channel++)
        {
            var values = _values[channel];
            for (var y = 0; y < height; y++)
            {
                for (var x = 0; x < width; x++)
                {
                    var (row, column) = (top + y, left + x);
                    var inside = row >= 0 && row < picture.Height && column >= 0 && column < picture.Width;
                    into[(channel * height + y) * width + x] = values[inside ? picture.Rgb[(row * picture.Width + column) * 3 + channel] : 0];
                }
            }
        }
    }

    private static float[] Channels(ConfigSection config, string key, float[] otherwise)
    {
        if (!config.Has(key)) return otherwise;
        var numbers = config.Numbers(key);
        return numbers.Count == 3 ? [.. numbers.Select(n => (float)n)] : throw InputException.At(config.File, key, "3 numbers", $"{numbers.Count}");
    }
}
