using AnchorScope.Prompts;

namespace AnchorScope.Wired;

/// <summary>
/// Pictures of a sky over a ground, each of one colour, and the weights that read them: a CLIP tower that passes on the colour and a
/// projector that names the value. Colours are corners of the RGB cube, so every value can be separated from all others by one half-space.
/// </summary>
internal static class WiredPicture
{
    /// <summary>Height and width of a picture and of the tower's input, in pixels.</summary>
    public const int Side = 8;

    /// <summary>Height and width of a patch.</summary>
    public const int Patch = 4;

    /// <summary>Width of the tower.</summary>
    public const int Width = 16;

    /// <summary>Layers of the tower. The features are those before the last one.</summary>
    public const int Layers = 2;

    /// <summary>Heads per layer of the tower.</summary>
    public const int Heads = 2;

    /// <summary>Neurons per layer of the tower.</summary>
    public const int MlpSize = 16;

    private const int Channels = 3;
    private const int Patches = Side / Patch * (Side / Patch);

    // The tower's coordinates: colour as -1 or 1, the same negated, upper half, the same negated; the class token has two separate ones.
    private const int Colours = 0;
    private const int Half = 6;
    private const int ClassToken = 8;

    // A neuron of the projector is 1 for its colour in its half, and 0 if one channel or the half differs.
    private const float Steepness = 6;

    /// <summary>Red, green and blue of value <paramref name="index"/> of either half, each 0 or 1.</summary>
    public static (int Red, int Green, int Blue) Colour(int index) => (index >> 2 & 1, index >> 1 & 1, index & 1);

    /// <summary>Draws the picture of a sky and a ground.</summary>
    public static Picture Draw(int sky, int ground)
    {
        var rgb = new byte[3 * Side * Side];
        for (var pixel = 0; pixel < Side * Side; pixel++)
        {
            var (red, green, blue) = Colour(pixel < Side * Side / 2 ? sky : ground);
            (rgb[3 * pixel], rgb[3 * pixel + 1], rgb[3 * pixel + 2]) = ((byte)(255 * red), (byte)(255 * green), (byte)(255 * blue));
        }
        return new Picture(Side, Side, rgb);
    }

    /// <summary>Writes the tower's and the projector's tensors.</summary>
    public static void Write(WiredTensors tensors)
    {
        const string tower = "vision_tower.vision_model.";
        tensors.Add(tower + "embeddings.patch_embedding.weight", PatchEmbedding(), Width, Channels, Patch, Patch);
        tensors.Add(tower + "embeddings.position_embedding.weight", Positions(), Patches + 1, Width);
        var token = new float[Width];
        (token[ClassToken], token[ClassToken + 1]) = (2, -2);
        tensors.Add(tower + "embeddings.class_embedding", token, Width);
        // Eight of sixteen coordinates are -1 or 1, which gives a standard deviation of 0.707; this gain cancels it.
        tensors.Add(tower + "pre_layrnorm.weight", Filled(0.70703125f), Width);
        tensors.Add(tower + "pre_layrnorm.bias", new float[Width], Width);
        for (var layer = 0; layer < Layers; layer++)
        {
            var at = $"{tower}encoder.layers.{layer}.";
            foreach (var norm in new[] { "layer_norm1", "layer_norm2" })
            {
                tensors.Add($"{at}{norm}.weight", Filled(1), Width);
                tensors.Add($"{at}{norm}.bias", new float[Width], Width);
            }
            foreach (var square in new[] { "q_proj", "k_proj", "v_proj", "out_proj" })
                tensors.AddNoise($"{at}self_attn.{square}", 0.1f, Width, Width, bias: true);
            tensors.AddNoise(at + "mlp.fc1", 0.1f, MlpSize, Width, bias: true);
            tensors.AddNoise(at + "mlp.fc2", 0.1f, Width, MlpSize, bias: true);
        }
        // The reference library has this norm, but LLaVA never applies it.
        tensors.Add(tower + "post_layernorm.weight", Filled(1), Width);
        tensors.Add(tower + "post_layernorm.bias", new float[Width], Width);
        WriteProjector(tensors);
    }

    private static void WriteProjector(WiredTensors tensors)
    {
        var values = WiredVocabulary.Values.Count;
        var (first, bias) = (tensors.Noise(0.1f, Axes.Width, Width), new float[Axes.Width]);
        var second = tensors.Noise(0.02f, Axes.Width, Axes.Width);
        for (var value = 0; value < values; value++)
        {
            var (upper, (red, green, blue)) = (value < values / 2, Colour(value % (values / 2)));
            int[] wanted = [red, green, blue];
            for (var channel = 0; channel < Channels; channel++)
            {
                var weight = Steepness / 2 * (2 * wanted[channel] - 1);
                (first[value * Width + Colours + channel], first[value * Width + Colours + Channels + channel]) = (weight, -weight);
            }
            var half = upper ? Steepness / 2 : -Steepness / 2;
            (first[value * Width + Half], first[value * Width + Half + 1]) = (half, -half);
            bias[value] = -3 * Steepness;
            for (var axis = 0; axis < Axes.Width; axis++) second[axis * Axes.Width + value] = 0;
            second[(Axes.Value + value) * Axes.Width + value] = 1 / Steepness;
        }
        var entering = new float[Axes.Width];
        (entering[Axes.Constant], entering[Axes.Picture]) = (WiredDecoder.Constant, 1);
        tensors.Add("multi_modal_projector.linear_1.weight", first, Axes.Width, Width);
        tensors.Add("multi_modal_projector.linear_1.bias", bias, Axes.Width);
        tensors.Add("multi_modal_projector.linear_2.weight", second, Axes.Width, Axes.Width);
        tensors.Add("multi_modal_projector.linear_2.bias", entering, Axes.Width);
    }

    /// <summary>The mean of each channel over the patch, and the same negated, so that the mean for the norm is 0.</summary>
    private static float[] PatchEmbedding()
    {
        const int size = Patch * Patch;
        var weight = new float[Width * Channels * size];
        for (var channel = 0; channel < Channels; channel++)
        {
            weight.AsSpan(((Colours + channel) * Channels + channel) * size, size).Fill(1f / size);
            weight.AsSpan(((Colours + Channels + channel) * Channels + channel) * size, size).Fill(-1f / size);
        }
        return weight;
    }

    private static float[] Positions()
    {
        var positions = new float[(Patches + 1) * Width];
        for (var patch = 0; patch < Patches; patch++)
        {
            var upper = patch < Patches / 2 ? 1 : -1;
            (positions[(patch + 1) * Width + Half], positions[(patch + 1) * Width + Half + 1]) = (upper, -upper);
        }
        return positions;
    }

    private static float[] Filled(float value)
    {
        var values = new float[Width];
        Array.Fill(values, value);
        return values;
    }
}
