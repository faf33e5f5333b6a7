using AnchorScope.Checkpoints;
namespace AnchorScope.Prompts;

/// <summary>A decoded picture: 8-bit sRGB samples without alpha, as in Pillow's <c>convert("RGB")</c>.</summary>
public sealed class Picture
{
    /// <summary>Maximum number of pixels (Pillow's own limit against decompression bombs).</summary>
    public const long MostPixels = 178_956_970;

    /// <summary>A picture from decoded samples.</summary>
    /// <param name="width">Pixels per row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="rgb">[height, width, 3]; not copied.</param>
    public Picture(int width, int height, byte[] rgb)
    {
        ArgumentNullException.ThrowIfNull(rgb);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (rgb.LongLength != 3L * width * height)
            throw new ArgumentException($"a {width}x{height} picture has {3L * width * height} samples, not {rgb.LongLength}", nameof(rgb));
        Width = width;
        Height = height;
        Rgb = rgb;
    }

    /// <summary>Pixels per row.</summary>
    public int Width { get; }

    /// <summary>Number of rows.</summary>
    public int Height { get; }

    /// <summary>[height, width, 3], row by row from the top left.</summary>
    public byte[] Rgb { get; }

    /// <summary>Reads a picture file; see <see cref="Decode"/>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="applyOrientation">Whether to rotate the picture upright by its EXIF or XMP orientation.</param>
    /// <exception cref="InputException">The file cannot be read, or <see cref="Decode"/> rejects its content.</exception>
    public static Picture Load(string path, bool applyOrientation = true)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: picture cannot be read: {FileError.Reason(e)}", e);
        }
        return Decode(bytes, path, applyOrientation);
    }

    /// <summary>
    /// Decodes a PNG (every colour type and depth), a JPEG (baseline or progressive, 8-bit Huffman), a WebP, the first picture of a GIF, a
    /// BMP or a TIFF to exactly Pillow's samples. Variants of these formats that would give other samples are an error. Alpha is dropped,
    /// not composited.
    /// </summary>
    /// <param name="bytes">The whole file.</param>
    /// <param name="name">Name of the picture in errors.</param>
    /// <param name="applyOrientation">Whether to rotate the picture upright by its EXIF or XMP orientation, as the reference does for
    /// files.</param>
    /// <exception cref="InputException">The format is another one, data is damaged or truncated, or there are more than
    /// <see cref="MostPixels"/> pixels.</exception>
    public static Picture Decode(ReadOnlySpan<byte> bytes, string name, bool applyOrientation = true) =>
        DecodeWithin(PictureLimit.Files, bytes, name, applyOrientation);

    /// <summary>The same for a picture from somebody else, of a limited size.</summary>
    internal static Picture DecodeWithin(PictureLimit limit, ReadOnlySpan<byte> bytes, string name, bool applyOrientation = true)
    {
        try
        {
            var format = PictureFormat.Of(bytes);
            int orientation;
            var picture = format switch
            {
                "PNG" => PngReader.Decode(bytes, limit, out orientation),
                "JPEG" => new JpegReader(limit).Decode(bytes, out orientation),
                PictureFormat.WebP or PictureFormat.Gif or PictureFormat.Bmp => SkiaReader.Decode(bytes, format, limit, out orientation),
                PictureFormat.Tiff => TiffReader.Decode(bytes, limit, out orientation),
                _ => throw new InvalidDataException($"expected a PNG, JPEG, WebP, GIF, BMP or TIFF picture, found {format}"),
            };
            return applyOrientation ? picture.Upright(orientation) : picture;
        }
        catch (InvalidDataException e)
        {
            throw new InputException($"{name}: {e.Message}", e);
        }
    }

    /// <summary>Resizes with Pillow's arithmetic; see <see cref="Resample"/>.</summary>
    internal Picture Resize(int width, int height, Resampling filter) => Resample.Resize(this, width, height, filter);

    /// <summary>The picture as a PNG file (8-bit RGB).</summary>
    public byte[] ToPng() => PngWriter.Encode(this);

    /// <summary>
    /// Cuts out the centre, or pads with black where the picture is smaller, with the rounding of CLIPImageProcessor: an odd row or column
    /// is removed on the right and at the bottom, or added on the left and at the top.
    /// </summary>
    public Picture CenterCrop(int width, int height)
    {
        var cropped = new byte[checked(3 * width * height)];
        int left = Offset(Width, width), top = Offset(Height, height);
        int firstX = Math.Max(0, -left), endX = Math.Min(width, Width - left);
        for (var y = Math.Max(0, -top); y < Math.Min(height, Height - top); y++)
        {
            Rgb.AsSpan(3 * ((y + top) * Width + firstX + left), 3 * (endX - firstX))
                .CopyTo(cropped.AsSpan(3 * (y * width + firstX)));
        }
        return new Picture(width, height, cropped);

        static int Offset(int have, int want) => have >= want ? (have - want) / 2 : -((want - have + 1) / 2);
    }

    private Picture Upright(int orientation)
    {
        if (orientation is < 2 or > 8)
            return this;
        var (width, height) = orientation >= 5 ? (Height, Width) : (Width, Height);
        var turned = new byte[Rgb.Length];
        var at = 0;
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++, at += 3)
            {
                var (fromX, fromY) = orientation switch
                {
                    2 => (Width - 1 - x, y),
                    3 => (Width - 1 - x, Height - 1 - y),
                    4 => (x, Height - 1 - y),
                    5 => (y, x),
                    6 => (y, Height - 1 - x),
                    7 => (Width - 1 - y, Height - 1 - x),
                    _ => (Width - 1 - y, x),
                };
                var from = 3 * (fromY * Width + fromX);
                turned[at] = Rgb[from];
                turned[at + 1] = Rgb[from + 1];
                turned[at + 2] = Rgb[from + 2];
            }
        }
        return new Picture(width, height, turned);
    }
}
