namespace AnchorScope.Prompts;

/// <summary>
/// The inverse discrete cosine transform of 8x8 blocks in the integer form of Loeffler, Ligtenberg and Moschytz (1989) with 13-bit
/// constants, as in libjpeg's "islow": first columns, with 2 extra bits, then rows. Other transforms round differently.
/// </summary>
internal static class JpegTransform
{
    private const int ConstantBits = 13, ExtraBits = 2;

    /// <param name="coefficients">[8, 8] in natural order.</param>
    /// <param name="quantization">[8, 8] in natural order.</param>
    /// <param name="samples">Top left sample of the block in its plane.</param>
    /// <param name="stride">Samples from one row of the plane to the next.</param>
    public static void Inverse(ReadOnlySpan<short> coefficients, ReadOnlySpan<ushort> quantization, Span<byte> samples, int stride)
    {
        Span<int> work = stackalloc int[64];
        for (var i = 0; i < 64; i++)
            work[i] = coefficients[i] * quantization[i];
        for (var column = 0; column < 8; column++)
            Line(work[column..], 8, ConstantBits - ExtraBits);
        for (var row = 0; row < 8; row++)
        {
            var line = work.Slice(8 * row, 8);
            Line(line, 1, ConstantBits + ExtraBits + 3);
            for (var x = 0; x < 8; x++)
                samples[row * stride + x] = (byte)Math.Clamp(line[x] + 128, 0, 255);
        }
    }

    /// <summary>
    /// Transforms eight values <paramref name="step"/> apart, in place. The result is divided by 2^<paramref name="shift"/>, rounded.
    /// </summary>
    private static void Line(Span<int> v, int step, int shift)
    {
        int v0 = v[0], v1 = v[step], v2 = v[2 * step], v3 = v[3 * step];
        int v4 = v[4 * step], v5 = v[5 * step], v6 = v[6 * step], v7 = v[7 * step];

        var even = (v2 + v6) * 4433;                                     // 0.541196100
        int low = even - v6 * 15137, high = even + v2 * 6270;            // 1.847759065, 0.765366865
        int sum = (v0 + v4) << ConstantBits, difference = (v0 - v4) << ConstantBits;
        int e0 = sum + high, e1 = difference + low, e2 = difference - low, e3 = sum - high;

        var odd = (v7 + v3 + v5 + v1) * 9633;                            // 1.175875602
        int a = (v7 + v1) * -7373, b = (v5 + v3) * -20995;               // -0.899976223, -2.562915447
        int c = odd + (v7 + v3) * -16069, d = odd + (v5 + v1) * -3196;   // -1.961570560, -0.390180644
        var o3 = v7 * 2446 + a + c;                                      // 0.298631336
        var o2 = v5 * 16819 + b + d;                                     // 2.053119869
        var o1 = v3 * 25172 + b + c;                                     // 3.072711026
        var o0 = v1 * 12299 + a + d;                                     // 1.501321110

        var half = 1 << (shift - 1);
        v[0] = (e0 + o0 + half) >> shift;
        v[step] = (e1 + o1 + half) >> shift;
        v[2 * step] = (e2 + o2 + half) >> shift;
        v[3 * step] = (e3 + o3 + half) >> shift;
        v[4 * step] = (e3 - o3 + half) >> shift;
        v[5 * step] = (e2 - o2 + half) >> shift;
        v[6 * step] = (e1 - o1 + half) >> shift;
        v[7 * step] = (e0 - o0 + half) >> shift;
    }
}
