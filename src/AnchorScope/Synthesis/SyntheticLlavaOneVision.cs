using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>LLaVA-OneVision: the whole picture as one tile, then up to 6 x 6 tiles of it.</summary>
internal sealed class SyntheticLlavaOneVision : SyntheticFamily
{
    private const int PatchSize = 14;
    private const int MostTiles = 6;

    public override string Name => "llava-onevision";

    public override int ImageTokens => 729;

    public override string ImageTokensOf => "image tokens of each tile, which are then packed";

    public override int TokenPixels => PatchSize;

    public override double MlpRatio => 18944.0 / 3584;

    public override IReadOnlyList<string> SpecialTokens { get; } = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"];

    public override IReadOnlyDictionary<string, string> NamedTokens { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
            { ["eos_token"] = "<|im_end|>", ["pad_token"] = "<|endoftext|>", ["image_token"] = "<image>", ["video_token"] = "<video>" };

    public override string ChatTemplate => ChatMl("<image>\n");

    internal override JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer) => new()
    {
        ["architectures"] = new JsonArray("LlavaOnevisionForConditionalGeneration"), ["model_type"] = "llava_onevision",
        ["ignore_index"] = -100, ["image_grid_pinpoints"] = Pinpoints(shape),
        ["image_token_index"] = tokenizer.Id("<image>"), ["video_token_index"] = tokenizer.Id("<video>"), ["projector_hidden_act"] = "gelu",
        ["text_config"] = Decoder(shape, "qwen2", type, epsilon: 1e-6, theta: 1_000_000), ["use_image_newline_parameter"] = true,
        ["vision_aspect_ratio"] = "anyres_max_9",
        ["vision_config"] = Vision(shape), ["vision_feature_layer"] = -1, ["vision_feature_select_strategy"] = "full",
    };

    internal override JsonObject Preprocessor(SyntheticShape shape) => new()
    {
        ["image_processor_type"] = "LlavaOnevisionImageProcessor", ["processor_class"] = "LlavaOnevisionProcessor", ["do_pad"] = true,
        ["image_grid_pinpoints"] = Pinpoints(shape),
        ["resample"] = 3, ["size"] = Square(shape.Side * PatchSize), ["image_mean"] = Halves, ["image_std"] = Halves,
    };

    internal override JsonObject ProcessorConfig(SyntheticShape shape) => new()
    {
        ["processor_class"] = "LlavaOnevisionProcessor", ["image_token"] = "<image>", ["video_token"] = "<video>", ["num_image_tokens"] =
            shape.Side * shape.Side, ["vision_feature_select_strategy"] = "full",
        ["vision_aspect_ratio"] = "anyres_max_9",
    };

    internal override IReadOnlyList<string> Carried { get; } = ["vision_tower.vision_model.post_layernorm.weight",
        "vision_tower.vision_model.post_layernorm.bias"];

    private static JsonObject Vision(SyntheticShape shape)
    {
        var tower = Tower(shape, "siglip_vision_model", shape.Side * PatchSize, PatchSize);
        tower["vision_use_head"] = false; // the pooling head is not part of this model
        return tower;
    }

    private static JsonArray Pinpoints(SyntheticShape shape)
    {
        int[] sides = [.. Enumerable.Range(1, MostTiles).Select(tiles => tiles * shape.Side * PatchSize)];
        return [.. sides.SelectMany(height => sides.Select(width => (JsonNode)new JsonArray(height, width)))];
    }
}
