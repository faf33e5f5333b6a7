using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// Scaled frequencies of rotary embeddings for longer prompts. All are float32 [d_head / 2], highest first, computed in the order of
/// operations of the reference library.
/// </summary>
internal static class RopeScaling
{
    /// <summary>Linear scaling: all frequencies are divided by <paramref name="factor"/>.</summary>
    public static float[] Linear(float[] frequencies, double factor) => [.. frequencies.Select(f => f / (float)factor)];

    /// <summary>
    /// Llama 3.1: frequencies with wavelengths above <paramref name="original"/> / <paramref name="low"/> positions are divided by
    /// <paramref name="factor"/>, those with wavelengths below <paramref name="original"/> / <paramref name="high"/> are unchanged, those
    /// between are interpolated.
    /// </summary>
    public static float[] Llama3(float[] frequencies, double factor, double low, double high, int original)
    {
        var (longest, shortest) = ((float)(original / low), (float)(original / high));
        return [.. frequencies.Select(f =>
        {
            var wave = (float)(2 * Math.PI) / f;
            if (wave > longest) return f / (float)factor;
            if (wave < shortest) return f;
            var share = (original / wave - (float)low) / (float)(high - low);
            return (1 - share) * f / (float)factor + share * f;
        })];
    }

    /// <summary>
    /// YaRN (Peng et al. 2023): pairs with many rotations within <paramref name="original"/> positions are unchanged, pairs with few
    /// rotations are scaled, those between are interpolated.
    /// </summary>
    /// <param name="fast">Number of rotations from which a pair is unchanged.</param>
    /// <param name="slow">Number of rotations up to which a pair is scaled by <paramref name="factor"/>.</param>
    /// <param name="truncate">Whether the indices of the pairs at which the ramp begins and ends are rounded outwards.</param>
    public static float[] Yarn(float[] frequencies, double theta, double factor, double fast, double slow, int original, bool truncate)
    {
        var size = 2 * frequencies.Length;
        var (from, to) = (PairOf(fast), PairOf(slow));
        if (truncate) (from, to) = (Math.Floor(from), Math.Ceiling(to));
        (from, to) = (Math.Max(from, 0), Math.Min(to, size - 1));
        if (from == to) to += 0.001; // the ramp must not have length 0
        return [.. Rope.Wavelengths(size, theta).Select((wave, i) =>
        {
            var left = 1 - Math.Clamp((i - (float)from) / (float)(to - from), 0, 1);
            return 1f / ((float)factor * wave) * (1 - left) + 1f / wave * left;
        })];

        // The pair that makes this many rotations within the original length.
        double PairOf(double turns) => size * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    /// <summary>LongRoPE: a separate factor for each pair.</summary>
    /// <param name="factors">[d_head / 2].</param>
    public static float[] Long(int headSize, double theta, float[] factors) =>
        [.. Rope.Wavelengths(headSize, theta).Select((wave, i) => 1f / (factors[i] * wave))];
}
