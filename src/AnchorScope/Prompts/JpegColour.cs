namespace AnchorScope.Prompts;

/// <summary>
/// Converts component samples to RGB: with libjpeg's 16-bit fixed-point tables, then for four components with Pillow's conversion.
/// </summary>
internal sealed class JpegColour
{
    // Contributions of a chroma sample. Those to red and blue are rounded; the two contributions to green are added before rounding.
    private static readonly int[] RedOfCr = Chroma(1.40200, rounded: true);
    private static readonly int[] BlueOfCb = Chroma(1.77200, rounded: true);
    private static readonly int[] GreenOfCr = Chroma(-0.71414, rounded: false);
    private static readonly int[] GreenOfCb = Chroma(-0.34414, rounded: false);

    private readonly int components;
    private readonly bool lumaChroma;

    /// <param name="components">Components of the frame, in order.</param>
    /// <param name="jfif">Whether there is a JFIF segment.</param>
    /// <param name="adobeTransform">The transform of the Adobe segment; null without that segment.</param>
    public JpegColour(IReadOnlyList<JpegComponent> components, bool jfif, int? adobeTransform)
    {
        this.components = components.Count;
        lumaChroma = (components.Count, adobeTransform) switch
        {
            (1, _) => false,
            (3, _) when jfif => true,
            (_, not null) => adobeTransform != 0,
            (3, null) => !components.Select(component => component.Id).SequenceEqual("RGB"u8.ToArray()),
            _ => false,
        };
    }

    /// <param name="rows">[component][width], upsampled to the picture's size.</param>
    /// <param name="rgb">[width, 3].</param>
    public void Row(byte[][] rows, Span<byte> rgb)
    {
        for (var x = 0; x < rows[0].Length; x++)
        {
            var pixel = rgb.Slice(3 * x, 3);
            if (components == 1)
            {
                pixel.Fill(rows[0][x]);
                continue;
            }
            if (lumaChroma)
            {
                int luma = rows[0][x], cb = rows[1][x], cr = rows[2][x];
                pixel[0] = Clamp(luma + RedOfCr[cr]);
                pixel[1] = Clamp(luma + ((GreenOfCb[cb] + GreenOfCr[cr] + Half) >> 16));
                pixel[2] = Clamp(luma + BlueOfCb[cb]);
            }
            else
            {
                pixel[0] = rows[0][x];
                pixel[1] = rows[1][x];
                pixel[2] = rows[2][x];
            }
            if (components == 4)
                Inks(pixel, rows[3][x]);
        }
    }

    private const int Half = 1 << 15;

    /// <summary>
    /// Pillow treats every four-component file as Adobe's inverted inks, in which 255 is no ink. The first three components of YCCK come
    /// out of the luma and chroma conversion as 255 minus the stored ink.
    /// </summary>
    private void Inks(Span<byte> pixel, byte storedBlack)
    {
        for (var c = 0; c < 3; c++)
        {
            var ink = lumaChroma ? pixel[c] : 255 - pixel[c];
            var product = ink * storedBlack + 128; // divided by 255, rounded
            pixel[c] = Clamp(storedBlack - ((product + (product >> 8)) >> 8));
        }
    }

    private static byte Clamp(int value) => (byte)Math.Clamp(value, 0, 255);

    private static int[] Chroma(double factor, bool rounded)
    {
        var scaled = Math.Sign(factor) * (int)(Math.Abs(factor) * 65536 + 0.5);
        return Enumerable.Range(-128, 256).Select(x => rounded ? (scaled * x + Half) >> 16 : scaled * x).ToArray();
    }
}
