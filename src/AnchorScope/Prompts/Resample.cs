namespace AnchorScope.Prompts;

/// <summary>Resampling filters, with the numbers of Pillow and preprocessor_config.json.</summary>
internal enum Resampling
{
    Nearest = 0,
    Lanczos = 1,
    Bilinear = 2,
    Bicubic = 3,
    Box = 4,
}

/// <summary>
/// Resizes with the bits of Pillow's 8-bit resampling up to version 12. Filter weights are normalised in double precision and rounded to
/// 22-bit fixed point; each pass rounds and clamps to 8 bits. The horizontal pass is first (Pillow 13 chooses the order by size, which
/// gives other pixels). A pass that does not change the size is skipped. For downscaling, the filter is widened by the scale.
/// </summary>
internal static class Resample
{
    private const int FractionBits = 32 - 8 - 2;

    /// <exception cref="InputException">The result would have more than <see cref="Picture.MostPixels"/> pixels.</exception>
    public static Picture Resize(Picture picture, int width, int height, Resampling filter)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        // The picture between the two passes has the old height and the new width.
        if ((long)width * Math.Max(height, picture.Height) > Picture.MostPixels)
            throw new InputException(
                $"resizing a {picture.Width}x{picture.Height} picture to {width}x{height} needs more than {Picture.MostPixels} pixels");
        if ((width, height) == (picture.Width, picture.Height))
            return picture;
        if (filter == Resampling.Nearest)
            return Nearest(picture, width, height);
        var samples = picture.Rgb;
        if (width != picture.Width)
            samples = Horizontal(samples, picture.Width, picture.Height, width, new Weights(picture.Width, width, filter));
        if (height != picture.Height)
            samples = Vertical(samples, width, height, new Weights(picture.Height, height, filter));
        return new Picture(width, height, samples);
    }

    private static byte[] Horizontal(byte[] source, int sourceWidth, int height, int width, Weights weights)
    {
        var result = new byte[3 * width * height];
        for (var y = 0; y < height; y++)
        {
            var row = source.AsSpan(3 * y * sourceWidth, 3 * sourceWidth);
            var target = result.AsSpan(3 * y * width, 3 * width);
            for (var x = 0; x < width; x++)
            {
                var taps = weights.Of(x);
                var window = row.Slice(3 * weights.First(x), 3 * taps.Length);
                int red = 1 << (FractionBits - 1), green = red, blue = red;
                for (var k = 0; k < taps.Length; k++)
                {
                    red += taps[k] * window[3 * k];
                    green += taps[k] * window[3 * k + 1];
                    blue += taps[k] * window[3 * k + 2];
                }
                target[3 * x] = Round(red);
                target[3 * x + 1] = Round(green);
                target[3 * x + 2] = Round(blue);
            }
        }
        return result;
    }

    private static byte[] Vertical(byte[] source, int width, int height, Weights weights)
    {
        var result = new byte[3 * width * height];
        var sums = new int[3 * width];
        for (var y = 0; y < height; y++)
        {
            var taps = weights.Of(y);
            Array.Fill(sums, 1 << (FractionBits - 1));
            for (var k = 0; k < taps.Length; k++)
            {
                var row = source.AsSpan(sums.Length * (weights.First(y) + k), sums.Length);
                var weight = taps[k];
                for (var i = 0; i < row.Length; i++)
                    sums[i] += weight * row[i];
            }
            var target = result.AsSpan(sums.Length * y, sums.Length);
            for (var i = 0; i < target.Length; i++)
                target[i] = Round(sums[i]);
        }
        return result;
    }

    private static byte Round(int sum) => (byte)Math.Clamp(sum >> FractionBits, 0, 255);

    private static Picture Nearest(Picture picture, int width, int height)
    {
        int[] columns = Positions(picture.Width, width), rows = Positions(picture.Height, height);
        var result = new byte[3 * width * height];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                picture.Rgb.AsSpan(3 * (rows[y] * picture.Width + columns[x]), 3).CopyTo(result.AsSpan(3 * (y * width + x)));
        }
        return new Picture(width, height, result);

        static int[] Positions(int from, int to)
        {
            // Pillow adds the step pixel by pixel; a product would round differently.
            var positions = new int[to];
            double step = (double)from / to, position = step * 0.5;
            for (var i = 0; i < to; i++, position += step)
                positions[i] = Math.Min((int)position, from - 1);
            return positions;
        }
    }

    /// <summary>
    /// For each output position of one axis: the first input position that contributes, and the fixed-point weights from there on.
    /// </summary>
    private sealed class Weights
    {
        private readonly int longest;
        private readonly int[] first;
        private readonly int[] count;
        private readonly int[] weights;

        public Weights(int from, int to, Resampling filter)
        {
            var scale = (double)from / to;
            var widening = Math.Max(scale, 1.0);
            var support = Support(filter) * widening;
            longest = (int)Math.Ceiling(support) * 2 + 1;
            first = new int[to];
            count = new int[to];
            weights = new int[checked(to * longest)];
            var exact = new double[longest];
            for (var i = 0; i < to; i++)
            {
                var center = (i + 0.5) * scale;
                var low = Math.Max((int)(center - support + 0.5), 0);
                var high = Math.Min((int)(center + support + 0.5), from);
                var sum = 0.0;
                for (var k = 0; k < high - low; k++)
                {
                    exact[k] = Value(filter, (k + low - center + 0.5) * (1.0 / widening));
                    sum += exact[k];
                }
                first[i] = low;
                count[i] = high - low;
                for (var k = 0; k < high - low; k++)
                    weights[i * longest + k] = Fixed(sum != 0 ? exact[k] / sum : exact[k]);
            }
        }

        public int First(int position) => first[position];

        public ReadOnlySpan<int> Of(int position) => weights.AsSpan(position * longest, count[position]);

        private static int Fixed(double weight) => (int)(weight * (1 << FractionBits) + (weight < 0 ? -0.5 : 0.5));

        private static double Support(Resampling filter) => filter switch
        {
            Resampling.Box => 0.5,
            Resampling.Bilinear => 1,
            Resampling.Bicubic => 2,
            Resampling.Lanczos => 3,
            _ => throw new ArgumentOutOfRangeException(nameof(filter), filter, "no weighted filter"),
        };

        private static double Value(Resampling filter, double x)
        {
            const double A = -0.5; // Keys' bicubic parameter
            var distance = Math.Abs(x);
            return filter switch
            {
                Resampling.Box => x is > -0.5 and <= 0.5 ? 1 : 0,
                Resampling.Bilinear => distance < 1 ? 1 - distance : 0,
                Resampling.Bicubic when distance < 1 => ((A + 2) * distance - (A + 3)) * distance * distance + 1,
                Resampling.Bicubic => distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * A : 0,
                _ => x is >= -3 and < 3 ? Sinc(x) * Sinc(x / 3) : 0,
            };
        }

        private static double Sinc(double x) => x == 0 ? 1 : Math.Sin(x * Math.PI) / (x * Math.PI);
    }
}
