using System.Security.Cryptography;
using System.Text;
using AnchorScope.Synthesis;

namespace AnchorScope.Training;

/// <summary>Initial values. Each tensor depends only on the seed and its name.</summary>
/// <param name="layers">Number of decoder layers of the model to initialise.</param>
internal sealed class Initialisation(ulong seed, DecoderSizes sizes, int layers, int visionLayers, int visionWidth)
{
    /// <summary>Standard deviation of o_proj and down_proj in added layers, which therefore start near the identity.</summary>
    private const double AddedDeviation = 0.01;

    private const double EmbeddingDeviation = 0.5, TowerDeviation = 0.02;

    /// <summary>Fills one tensor.</summary>
    /// <param name="added">Whether it belongs to a layer that is added to a trained model.</param>
    public void Fill(string name, long[] shape, Span<float> values, bool added)
    {
        var draws = new SplitMix(BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{name}"))));
        var inputs = shape.Length > 1 ? shape[^1] : sizes.Width;
        if (name.Contains("norm", StringComparison.Ordinal)) values.Fill(name.EndsWith(".bias", StringComparison.Ordinal) ? 0 : 1);
        else if (name.StartsWith("multi_modal_projector.", StringComparison.Ordinal))
            Uniform(draws, 1 / Math.Sqrt(name.Contains("linear_1", StringComparison.Ordinal) ? visionWidth : sizes.Width), values);
        else if (name.StartsWith("vision_tower.", StringComparison.Ordinal)) Tower(name, draws, values);
        else if (name.Contains("embed_tokens", StringComparison.Ordinal)) Normal(draws, EmbeddingDeviation, values);
        else if (name.Contains("o_proj", StringComparison.Ordinal) || name.Contains("down_proj", StringComparison.Ordinal))
            Normal(draws, added ? AddedDeviation : 1 / Math.Sqrt(sizes.Width * 2.0 * layers), values);
        else Uniform(draws, 1 / Math.Sqrt(inputs), values);
    }

    // As the reference library initialises a CLIP tower.
    private void Tower(string name, SplitMix draws, Span<float> values)
    {
        var (narrow, deep) = (1 / Math.Sqrt(visionWidth), 1 / Math.Sqrt(2.0 * visionLayers));
        if (name.EndsWith(".bias", StringComparison.Ordinal)) values.Clear();
        else if (name.Contains("class_embedding", StringComparison.Ordinal) || name.Contains("out_proj", StringComparison.Ordinal))
            Normal(draws, narrow, values);
        else if (name.Contains("fc1", StringComparison.Ordinal)) Normal(draws, narrow / Math.Sqrt(2), values);
        else Normal(draws, name.Contains("embedding", StringComparison.Ordinal) ? TowerDeviation : narrow * deep, values);
    }

    private static void Uniform(SplitMix draws, double most, Span<float> values)
    {
        foreach (ref var value in values) value = (float)(most * (2 * draws.Uniform() - 1));
    }

    private static void Normal(SplitMix draws, double deviation, Span<float> values)
    {
        var quantiles = NormalQuantiles.Times(deviation);
        foreach (ref var value in values) value = quantiles[draws.Next() >> 48];
    }
}
