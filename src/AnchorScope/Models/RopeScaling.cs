using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// Frequencies of rotary embeddings that were stretched to longer prompts, each in float32 and in the order of operations of the reference
/// library. Frequencies are
/// [d_head / 2], highest first.
/// </summary>
internal static class RopeScaling
{
    /// <summary>All frequencies divided by <paramref name="factor"/>: positions are pressed together.</summary>
    public static float[] Linear(float[] frequencies, double factor) => [.. frequencies.Select(f => f / (float)factor)];

    /// <summary>
    /// Llama 3.1: waves longer than <paramref name="original"/> / <paramref name="low"/> positions are stretched, those shorter than
    /// <paramref name="original"/> /
    /// <paramref name="high"/> are left, those between are mixed.
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

    /// <summary>YaRN (Peng et al. 2023): pairs that turn often within <paramref name="original"/> positions are left, those that turn
    /// seldom are stretched.</summary>
    /// <param name="fast">Turns from which a pair is left.</param>
    /// <param name="slow">Turns up to which a pair is stretched by <paramref name="factor"/>.</param>
    /// <param name="truncate">Whether the pairs where the ramp begins and ends are whole numbers.</param>
    public static float[] Yarn(float[] frequencies, double theta, double factor, double fast, double slow, int original, bool truncate)
    {
        var size = 2 * frequencies.Length;
        var (from, to) = (PairOf(fast), PairOf(slow));
        if (truncate) (from, to) = (Math.Floor(from), Math.Ceiling(to));
        (from, to) = (Math.Max(from, 0), Math.Min(to, size - 1));
        if (from == to) to += 0.001; // a ramp has a length
        return [.. Rope.Wavelengths(size, theta).Select((wave, i) =>
        {
            var left = 1 - Math.Clamp((i - (float)from) / (float)(to - from), 0, 1);
            return 1f / ((float)factor * wave) * (1 - left) + 1f / wave * left;
        })];

        // The pair that turns so often within the original length.
        double PairOf(double turns) => size * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    /// <summary>LongRoPE: every pair has a factor of its own.</summary>
    /// <param name="factors">[d_head / 2].</param>
    public static float[] Long(int headSize, double theta, float[] factors) =>
        [.. Rope.Wavelengths(headSize, theta).Select((wave, i) => 1f / (factors[i] * wave))];
}
