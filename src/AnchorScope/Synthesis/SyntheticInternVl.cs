using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>InternVL3 in its native layout: up to 12 tiles and a thumbnail, four patches per image token.</summary>
internal sealed class SyntheticInternVl : SyntheticFamily
{
    private const int PatchSize = 14;
    private const int Factor = 2;

    public override string Name => "internvl";

    public override int ImageTokens => 256;

    public override string ImageTokensOf => "image tokens of each tile";

    public override int TokenPixels => PatchSize * Factor;

    public override double MlpRatio => 18944.0 / 3584;

    public override IReadOnlyList<string> SpecialTokens { get; } = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>",
        "<IMG_CONTEXT>", "<video>"];

    public override IReadOnlyDictionary<string, string> NamedTokens { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["eos_token"] = "<|im_end|>", ["pad_token"] = "<|endoftext|>", ["start_image_token"] = "<img>", ["end_image_token"] = "</img>",
        ["context_image_token"] = "<IMG_CONTEXT>",
        ["video_token"] = "<video>",
    };

    public override string ChatTemplate => ChatMl("<IMG_CONTEXT>\n");

    internal override JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer)
    {
        var tower = Tower(shape, "internvl_vision", shape.Side * TokenPixels, PatchSize);
        foreach (var key in new[] { "image_size", "patch_size" }) tower[key] = new JsonArray((int)tower[key]!, (int)tower[key]!);
        foreach (var (key, value) in new (string, JsonNode)[]
        {
            ("attention_bias", true), ("hidden_act", "gelu"), ("layer_norm_eps", 1e-6),
            ("layer_scale_init_value", RandomTensors.LayerScale), ("norm_type", "layer_norm"), ("num_channels", 3),
            ("use_absolute_position_embeddings", true), ("use_mask_token", false), ("use_mean_pooling", true), ("use_qk_norm", false),
        }) tower[key] = value;
        return new()
        {
            ["architectures"] = new JsonArray("InternVLForConditionalGeneration"), ["model_type"] = "internvl",
            ["downsample_ratio"] = 1.0 / Factor, ["image_seq_length"] = shape.Side * shape.Side,
            ["image_token_id"] = tokenizer.Id("<IMG_CONTEXT>"), ["projector_hidden_act"] = "gelu",
            ["text_config"] = Decoder(shape, "qwen2", type, epsilon: 1e-6, theta: 1_000_000),
            ["vision_config"] = tower, ["vision_feature_layer"] = -1, ["vision_feature_select_strategy"] = "default",
        };
    }

    internal override JsonObject Preprocessor(SyntheticShape shape) => new()
    {
        ["image_processor_type"] = "GotOcr2ImageProcessorFast", ["processor_class"] = "InternVLProcessor", ["crop_to_patches"] = true,
        ["min_patches"] = 1, ["max_patches"] = 12, ["resample"] = 3,
        ["size"] = Square(shape.Side * TokenPixels), ["image_mean"] = Channels(0.485, 0.456, 0.406),
        ["image_std"] = Channels(0.229, 0.224, 0.225),
    };

    internal override JsonObject ProcessorConfig(SyntheticShape shape) =>
        new() { ["processor_class"] = "InternVLProcessor", ["image_seq_length"] = shape.Side * shape.Side };
}
