using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>
/// The files of a family other than the weights, as in published checkpoints: the keys of config.json, the processor, the special tokens.
/// Tensors are not listed, because they are those that the family's reader requests.
/// </summary>
internal abstract class SyntheticFamily
{
    private const int LongestText = 32768;

    /// <summary>All families.</summary>
    public static IReadOnlyList<SyntheticFamily> All { get; } =
    [
        new SyntheticLlava(), new SyntheticLlavaOneVision(), new SyntheticQwenVl("qwen2-vl", "qwen2_vl", windows: false),
        new SyntheticQwenVl("qwen2.5-vl", "qwen2_5_vl", windows: true),
        new SyntheticInternVl(), new SyntheticSmolVlm(),
    ];

    /// <summary>The value of <c>--family</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Default number of image tokens, as in the published models.</summary>
    public abstract int ImageTokens { get; }

    /// <summary>What this number of image tokens refers to.</summary>
    public abstract string ImageTokensOf { get; }

    /// <summary>Side of an image token in pixels.</summary>
    public abstract int TokenPixels { get; }

    /// <summary>d_mlp / d_model if d_mlp is not given.</summary>
    public abstract double MlpRatio { get; }

    /// <summary>The same for the vision tower.</summary>
    public virtual double VisionMlpRatio => 4;

    /// <summary>Special tokens, which follow the tokens of the 256 bytes in this order.</summary>
    public abstract IReadOnlyList<string> SpecialTokens { get; }

    /// <summary>Names of special tokens in tokenizer_config.json, including <c>eos_token</c>, which ends an answer.</summary>
    public abstract IReadOnlyDictionary<string, string> NamedTokens { get; }

    /// <summary>Token that the tokenizer adds before a text, or null.</summary>
    public virtual string? First => null;

    /// <summary>The chat template, in Jinja, written for this project.</summary>
    public abstract string ChatTemplate { get; }

    /// <summary>config.json without the keys that all families have.</summary>
    internal abstract JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer);

    /// <summary>preprocessor_config.json without the keys that all families have.</summary>
    internal abstract JsonObject Preprocessor(SyntheticShape shape);

    /// <summary>
    /// processor_config.json, from which the reference's processor determines the number of image tokens of a picture; null if it needs
    /// none.
    /// </summary>
    internal virtual JsonObject? ProcessorConfig(SyntheticShape shape) => null;

    /// <summary>
    /// Names of tensors [width of the tower] that the reference has but no computation reads: the norm after the last layer.
    /// </summary>
    internal virtual IReadOnlyList<string> Carried => [];

    /// <summary>Checks requirements of this family on the sizes.</summary>
    /// <exception cref="InputException">A requirement is violated; the message names the option.</exception>
    internal virtual void Check(SyntheticShape shape)
    {
    }

    /// <exception cref="InputException">There is no family with this name.</exception>
    public static SyntheticFamily Of(string name) =>
        All.FirstOrDefault(family => family.Name == name)
            ?? throw new InputException($"--family: expected one of {string.Join(", ", All.Select(family => family.Name))}, found {name}");

    /// <summary>The keys of a decoder, for a separate section or for the root.</summary>
    private protected static JsonObject Decoder(SyntheticShape shape, string modelType, string type, double epsilon, double theta) => new()
    {
        ["model_type"] = modelType, ["vocab_size"] = shape.Vocabulary, ["hidden_size"] = shape.Width, ["intermediate_size"] = shape.MlpSize,
        ["num_hidden_layers"] = shape.Layers,
        ["num_attention_heads"] = shape.Heads, ["num_key_value_heads"] = shape.KeyHeads, ["hidden_act"] = "silu",
        ["max_position_embeddings"] = LongestText, ["rms_norm_eps"] = epsilon,
        ["rope_theta"] = theta, ["tie_word_embeddings"] = false, ["torch_dtype"] = type,
    };

    /// <summary>The keys that CLIP, SigLIP and InternViT have in common.</summary>
    private protected static JsonObject Tower(SyntheticShape shape, string modelType, int imageSize, int patchSize) => new()
    {
        ["model_type"] = modelType, ["hidden_size"] = shape.VisionWidth, ["intermediate_size"] = shape.VisionMlpSize,
        ["num_hidden_layers"] = shape.VisionLayers,
        ["num_attention_heads"] = shape.VisionHeads, ["image_size"] = imageSize, ["patch_size"] = patchSize,
    };

    /// <summary>Three numbers, one for each channel.</summary>
    private protected static JsonArray Channels(params ReadOnlySpan<double> values) =>
        [.. values.ToArray().Select(value => (JsonNode)value)];

    /// <summary>OpenAI's mean.</summary>
    private protected static JsonArray ClipMean => Channels(0.48145466, 0.4578275, 0.40821073);

    /// <summary>OpenAI's deviation.</summary>
    private protected static JsonArray ClipStd => Channels(0.26862954, 0.26130258, 0.27577711);

    /// <summary>SigLIP's mean and deviation.</summary>
    private protected static JsonArray Halves => Channels(0.5, 0.5, 0.5);

    private protected static JsonObject Square(int side) => new() { ["height"] = side, ["width"] = side };

    /// <summary>The template of families that mark messages as ChatML does.</summary>
    /// <param name="image">Text of a picture.</param>
    private protected static string ChatMl(string image) =>
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}{% if part['type'] "
            + "== 'image' %}" + image
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt "
            + "%}<|im_start|>assistant\n{% endif %}";
}
