using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>
/// The files beside the weights as one family has them on the hub: which keys its config.json has, what its processor is, which special
/// tokens it uses. Tensors are not listed: they are those that the family's own reader asks for.
/// </summary>
internal abstract class SyntheticFamily
{
    private const int LongestText = 32768;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<SyntheticFamily> All { get; } =
    [
        new SyntheticLlava(), new SyntheticLlavaOneVision(), new SyntheticQwenVl("qwen2-vl", "qwen2_vl", windows: false), new SyntheticQwenVl("qwen2.5-vl", "qwen2_5_vl", windows: true),
        new SyntheticInternVl(), new SyntheticSmolVlm(),
    ];

    /// <summary>As <c>--family</c> takes it.</summary>
    public abstract string Name { get; }

    /// <summary>Image tokens where none are asked for: those of the published models.</summary>
    public abstract int ImageTokens { get; }

    /// <summary>What has that many image tokens.</summary>
    public abstract string ImageTokensOf { get; }

    /// <summary>Pixels along the side of an image token.</summary>
    public abstract int TokenPixels { get; }

    /// <summary>d_mlp / d_model where d_mlp is not asked for.</summary>
    public abstract double MlpRatio { get; }

    /// <summary>The same for the vision tower.</summary>
    public virtual double VisionMlpRatio => 4;

    /// <summary>Behind the tokens of the 256 bytes, in this order.</summary>
    public abstract IReadOnlyList<string> SpecialTokens { get; }

    /// <summary>Names of special tokens in tokenizer_config.json, with <c>eos_token</c>, which ends an answer, among them.</summary>
    public abstract IReadOnlyDictionary<string, string> NamedTokens { get; }

    /// <summary>Token that the tokenizer puts in front of a text, or null.</summary>
    public virtual string? First => null;

    /// <summary>Jinja, in our own words.</summary>
    public abstract string ChatTemplate { get; }

    /// <summary>config.json without what every family has.</summary>
    internal abstract JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer);

    /// <summary>preprocessor_config.json without what every family has.</summary>
    internal abstract JsonObject Preprocessor(SyntheticShape shape);

    /// <summary>processor_config.json, from which the reference's processor knows how many image tokens a picture has; null where it needs
    /// none.</summary>
    internal virtual JsonObject? ProcessorConfig(SyntheticShape shape) => null;

    /// <summary>Tensors that the reference asks for and no computation reads, by name, each [width of the tower]: the norm behind the last
    /// layer.</summary>
    internal virtual IReadOnlyList<string> Carried => [];

    /// <summary>What only this family asks of the sizes.</summary>
    /// <exception cref="InputException">Names the option.</exception>
    internal virtual void Check(SyntheticShape shape)
    {
    }

    /// <exception cref="InputException">There is none of this name.</exception>
    public static SyntheticFamily Of(string name) =>
        All.FirstOrDefault(family => family.Name == name) ?? throw new InputException($"--family: expected one of {string.Join(", ", All.Select(family => family.Name))}, found {name}");

    /// <summary>The keys of a decoder, in a section of their own or at the root.</summary>
    private protected static JsonObject Decoder(SyntheticShape shape, string modelType, string type, double epsilon, double theta) => new()
    {
        ["model_type"] = modelType, ["vocab_size"] = shape.Vocabulary, ["hidden_size"] = shape.Width, ["intermediate_size"] = shape.MlpSize, ["num_hidden_layers"] = shape.Layers,
        ["num_attention_heads"] = shape.Heads, ["num_key_value_heads"] = shape.KeyHeads, ["hidden_act"] = "silu", ["max_position_embeddings"] = LongestText, ["rms_norm_eps"] = epsilon,
        ["rope_theta"] = theta, ["tie_word_embeddings"] = false, ["torch_dtype"] = type,
    };

    /// <summary>The keys that CLIP, SigLIP and InternViT have in common.</summary>
    private protected static JsonObject Tower(SyntheticShape shape, string modelType, int imageSize, int patchSize) => new()
    {
        ["model_type"] = modelType, ["hidden_size"] = shape.VisionWidth, ["intermediate_size"] = shape.VisionMlpSize, ["num_hidden_layers"] = shape.VisionLayers,
        ["num_attention_heads"] = shape.VisionHeads, ["image_size"] = imageSize, ["patch_size"] = patchSize,
    };

    /// <summary>Three numbers, one for each channel.</summary>
    private protected static JsonArray Channels(params ReadOnlySpan<double> values) => [.. values.ToArray().Select(value => (JsonNode)value)];

    /// <summary>OpenAI's mean.</summary>
    private protected static JsonArray ClipMean => Channels(0.48145466, 0.4578275, 0.40821073);

    /// <summary>OpenAI's deviation.</summary>
    private protected static JsonArray ClipStd => Channels(0.26862954, 0.26130258, 0.27577711);

    /// <summary>SigLIP's mean and deviation.</summary>
    private protected static JsonArray Halves => Channels(0.5, 0.5, 0.5);

    private protected static JsonObject Square(int side) => new() { ["height"] = side, ["width"] = side };

    /// <summary>The template of the families that mark turns as ChatML does.</summary>
    /// <param name="image">What stands for a picture.</param>
    private protected static string ChatMl(string image) =>
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}{% if part['type'] == 'image' %}" + image
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
}
