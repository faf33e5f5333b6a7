using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Sizes that the configurations of CLIP, SigLIP and InternViT have in common, read under their own keys and validated.</summary>
internal sealed record VisionSettings
{
    public required int Width { get; init; }

    public required int ImageSize { get; init; }

    public required int PatchSize { get; init; }

    /// <summary>Attention heads.</summary>
    public required int Heads { get; init; }

    public required int MlpSize { get; init; }

    public required int Layers { get; init; }

    public required double Epsilon { get; init; }

    public required Activation Activation { get; init; }

    /// <summary>CLIP: the reference's values for absent keys.</summary>
    public static VisionSettings Clip { get; } = new VisionSettings
    {
        Width = 768,
        ImageSize = 224,
        PatchSize = 32,
        Heads = 12,
        MlpSize = 3072,
        Layers = 12,
        Epsilon = 1e-5,
        Activation = Activation.QuickGelu,
    };

    /// <summary>SigLIP.</summary>
    public static VisionSettings Siglip { get; } = new VisionSettings
    {
        Width = 768,
        ImageSize = 224,
        PatchSize = 16,
        Heads = 12,
        MlpSize = 3072,
        Layers = 12,
        Epsilon = 1e-6,
        Activation = Activation.GeluTanh,
    };

    /// <summary>SmolVLM.</summary>
    public static VisionSettings Smol { get; } = new VisionSettings
    {
        Width = 1152,
        ImageSize = 224,
        PatchSize = 32,
        Heads = 16,
        MlpSize = 3072,
        Layers = 12,
        Epsilon = 1e-6,
        Activation = Activation.GeluTanh,
    };

    /// <summary>InternViT.</summary>
    public static VisionSettings Intern { get; } = new VisionSettings
    {
        Width = 1024,
        ImageSize = 448,
        PatchSize = 14,
        Heads = 16,
        MlpSize = 4096,
        Layers = 24,
        Epsilon = 1e-6,
        Activation = Activation.Gelu,
    };

    /// <summary>
    /// Patches per picture. As in a convolution without padding, pixels beyond the last whole patch are ignored: 384 pixels are 27 patches
    /// of 14.
    /// </summary>
    public int Patches => ImageSize / PatchSize * (ImageSize / PatchSize);

    /// <summary>Reads <paramref name="config"/> (vision_config). Absent keys get the values of <paramref name="defaults"/>.</summary>
    public static VisionSettings Read(ConfigSection config, VisionSettings defaults)
    {
        var name = config.Has("hidden_act") ? config.Text("hidden_act") : null;
        var read = new VisionSettings
        {
            Width = config.PositiveInt("hidden_size", defaults.Width),
            ImageSize = Square(config, "image_size", defaults.ImageSize),
            PatchSize = Square(config, "patch_size", defaults.PatchSize),
            Heads = config.PositiveInt("num_attention_heads", defaults.Heads),
            MlpSize = config.PositiveInt("intermediate_size", defaults.MlpSize),
            Layers = config.PositiveInt("num_hidden_layers", defaults.Layers),
            Epsilon = config.Number("layer_norm_eps", defaults.Epsilon),
            Activation = name is null
                ? defaults.Activation : Activations.Parse(name) ?? throw config.Unsupported("hidden_act", name, Activations.Names),
        };
        if (read.Width % read.Heads != 0)
            throw InputException.At(config.File, $"{config.Path}.num_attention_heads",
                $"a divisor of hidden_size {read.Width}", $"{read.Heads}");
        if (read.PatchSize > read.ImageSize)
            throw InputException.At(config.File, $"{config.Path}.patch_size", $"at most image_size {read.ImageSize}", $"{read.PatchSize}");
        if (config.PositiveInt("num_channels", 3) is var channels && channels != 3)
            throw InputException.At(config.File, $"{config.Path}.num_channels", "3", $"{channels}");
        return read;
    }

    /// <summary>The hidden state that the language model receives, as the number of layers before it.</summary>
    /// <param name="config">The root; a list of layers is an error, see <see cref="FeatureLayers"/>.</param>
    /// <param name="otherwise">Value if the key is absent; negative counts from the end, -1 is the last layer's output.</param>
    /// <param name="layers">Number of layers of the tower.</param>
    public static int FeatureLayer(ConfigSection config, string key, int otherwise, int layers)
    {
        if (IsList(config, key)) throw config.Unsupported(key, config.Json.GetProperty(key).GetRawText(), ["a single layer"]);
        return Before(config, key, config.Int(key, otherwise), layers);
    }

    /// <summary>Like <see cref="FeatureLayer"/>, but also accepts a list of layers, whose vectors are concatenated in its order.</summary>
    public static IReadOnlyList<int> FeatureLayers(ConfigSection config, string key, int otherwise, int layers)
    {
        if (!IsList(config, key)) return [FeatureLayer(config, key, otherwise, layers)];
        var listed = config.Ints(key);
        if (listed.Count == 0) throw InputException.At(config.File, key, "a layer or a list of layers", "an empty list");
        return [.. listed.Select(layer => Before(config, key, layer, layers))];
    }

    private static bool IsList(ConfigSection config, string key) =>
        config.Json.TryGetProperty(key, out var json) && json.ValueKind == System.Text.Json.JsonValueKind.Array;

    private static int Before(ConfigSection config, string key, int layer, int layers)
    {
        // Index 0 is the embedding.
        var count = layer < 0 ? layers + 1 + layer : layer;
        if (count < 0 || count > layers) throw InputException.At(config.File, key, $"{-layers - 1} to {layers}", $"{layer}");
        return count;
    }

    private static int Square(ConfigSection config, string key, int otherwise)
    {
        if (!config.Has(key) || config.Json.GetProperty(key).ValueKind != System.Text.Json.JsonValueKind.Array)
            return config.PositiveInt(key, otherwise);
        var sides = config.Ints(key);
        return sides.Count == 2 && sides[0] == sides[1] && sides[0] > 0
            ? sides[0]
            : throw InputException.At(config.File, $"{config.Path}.{key}", "a square, two equal numbers", string.Join(" x ", sides));
    }
}
