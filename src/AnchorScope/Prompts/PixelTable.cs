namespace AnchorScope.Prompts;

/// <summary>From 8-bit samples to what a vision tower takes: rescaled and normalised, one table of 256 values per channel.</summary>
internal sealed class PixelTable
{
    private readonly float[][] table;

    /// <param name="rescaleFactor">What samples of 0..255 are multiplied by; null for nothing.</param>
    /// <param name="normalization">Subtracted and divided by, each [3]; null for no normalisation.</param>
    public PixelTable(double? rescaleFactor, (float[] Mean, float[] Std)? normalization) =>
        table = [.. Enumerable.Range(0, 3).Select(channel =>
            Enumerable.Range(0, 256).Select(level => Value(level, channel, rescaleFactor, normalization)).ToArray())];

    /// <param name="channel">0 red, 1 green, 2 blue.</param>
    /// <returns>[256], by sample.</returns>
    public ReadOnlySpan<float> Of(int channel) => table[channel];

    /// <returns>[3, height, width].</returns>
    public float[] Planes(Picture picture)
    {
        var result = new float[3 * picture.Width * picture.Height];
        Write(picture, 0, 0, picture.Width, picture.Height, result);
        return result;
    }

    /// <summary>Cuts pictures into square tiles, each row by row, one picture after the other.</summary>
    /// <param name="size">Pixels in a tile's side; it divides the sides of every picture.</param>
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
