namespace AnchorScope.Prompts;

/// <summary>
/// Converts 8-bit samples to the input of a vision tower, rescaled and normalised, with one table of 256 values per channel.
/// </summary>
internal sealed class PixelTable
{
    private readonly float[][] table;

    /// <param name="rescaleFactor">Factor of samples in 0..255; null for none.</param>
    /// <param name="normalization">Mean and standard deviation, each [3]; null for no normalisation.</param>
    public PixelTable(double? rescaleFactor, (float[] Mean, float[] Std)? normalization) =>
        table = [.. Enumerable.Range(0, 3).Select(channel =>
            Enumerable.Range(0, 256).Select(level => Value(level, channel, rescaleFactor, normalization)).ToArray())];

    /// <param name="channel">0 red, 1 green, 2 blue.</param>
    /// <returns>[256], indexed by sample.</returns>
    public ReadOnlySpan<float> Of(int channel) => table[channel];

    /// <returns>[3, height, width].</returns>
    public float[] Planes(Picture picture)
    {
        var result = new float[3 * picture.Width * picture.Height];
        Write(picture, 0, 0, picture.Width, picture.Height, result);
        return result;
    }

    /// <summary>Cuts pictures into square tiles, row by row, one picture after the other.</summary>
    /// <param name="size">Side of a tile in pixels; it divides the sides of every picture.</param>
    /// <param name="pictures">In the order of their tiles.</param>
    /// <returns>[tiles, 3, size, size].</returns>
    public float[] Tiles(int size, params ReadOnlySpan<Picture> pictures)
    {
        var samples = 0L;
        foreach (var picture in pictures)
            samples += picture.Rgb.Length;
        var result = new float[samples];
        var (tile, at) = (3 * size * size, 0);
        foreach (var picture in pictures)
        {
            for (var top = 0; top < picture.Height; top += size)
            {
                for (var left = 0; left < picture.Width; left += size, at += tile)
                    Write(picture, left, top, size, size, result.AsSpan(at, tile));
            }
        }
        return result;
    }

    private void Write(Picture picture, int left, int top, int width, int height, Span<float> target)
    {
        for (var channel = 0; channel < 3; channel++)
        {
            var values = table[channel];
            for (var y = 0; y < height; y++)
            {
                var row = picture.Rgb.AsSpan(3 * ((top + y) * picture.Width + left), 3 * width);
                var to = target.Slice((channel * height + y) * width, width);
                for (var x = 0; x < to.Length; x++)
                    to[x] = values[row[3 * x + channel]];
            }
        }
    }

    /// <summary>The reference multiplies in double precision, rounds to single, and normalises in single precision.</summary>
    private static float Value(int level, int channel, double? factor, (float[] Mean, float[] Std)? normalization)
    {
        var value = factor is { } f ? (float)(level * f) : level;
        return normalization is { } n ? (value - n.Mean[channel]) / n.Std[channel] : value;
    }
}
