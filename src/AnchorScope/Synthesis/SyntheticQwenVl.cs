using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>
/// Qwen2-VL and Qwen2.5-VL. Pictures keep their aspect ratio, so the number of image tokens can only be fixed for square pictures.
/// </summary>
/// <param name="windows">Whether it is Qwen2.5-VL.</param>
internal sealed class SyntheticQwenVl(string name, string modelType, bool windows) : SyntheticFamily
{
    private const int PatchSize = 14;
    private const int Merge = 2;

    // The layers of the published towers with full attention: 7, 15, 23, 31.
    private const int FullAttentionEvery = 8;

    public override string Name => name;

    public override int ImageTokens => 256;

    public override string ImageTokensOf => "image tokens of a square picture; others have about as many";

    public override int TokenPixels => PatchSize * Merge;

    public override double MlpRatio => 18944.0 / 3584;

    public override double VisionMlpRatio => windows ? 3420.0 / 1280 : 4;

    public override IReadOnlyList<string> SpecialTokens { get; } =
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
            "<|image_pad|>", "<|video_pad|>"];

    public override IReadOnlyDictionary<string, string> NamedTokens { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal) { ["eos_token"] = "<|im_end|>", ["pad_token"] = "<|endoftext|>" };

    public override string ChatTemplate => ChatMl("<|vision_start|><|image_pad|><|vision_end|>");

    internal override void Check(SyntheticShape shape)
    {
        SynthesisOptions.Require("--heads", shape.Width / shape.Heads >= 6,
            $"at most {shape.Width / 6}, heads of a size of 6 or more (their halves are shared by time, row and column)", shape.Heads);
        SynthesisOptions.Require("--vision-heads", shape.VisionWidth / shape.VisionHeads % 4 == 0,
            $"heads of a size divisible by 4 in --vision-hidden {shape.VisionWidth}", shape.VisionHeads);
        if (!windows)
            SynthesisOptions.Require("--vision-mlp", shape.VisionMlpSize % shape.VisionWidth == 0,
                $"a multiple of --vision-hidden {shape.VisionWidth}", shape.VisionMlpSize);
    }

    internal override JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer)
    {
        var config = Decoder(shape, modelType, type, epsilon: 1e-6, theta: 1_000_000);
        config["architectures"] = new JsonArray(windows ? "Qwen2_5_VLForConditionalGeneration" : "Qwen2VLForConditionalGeneration");
        foreach (var (key, token) in new[] { ("vision_start", "vision_start"), ("vision_end", "vision_end"), ("vision", "vision_pad"),
            ("image", "image_pad"), ("video", "video_pad") })
            config[key + "_token_id"] = tokenizer.Id($"<|{token}|>");
        // The defaults are beyond the end of a small vocabulary.
        (config["bos_token_id"], config["eos_token_id"]) = (tokenizer.Id("<|endoftext|>"), tokenizer.Id("<|im_end|>"));
        config["use_sliding_window"] = false;
        var half = shape.Width / shape.Heads / 2;
        var plane = half * 3 / 8;
        config["rope_scaling"] = new JsonObject { ["type"] = "mrope", ["mrope_section"] = new JsonArray(half - 2 * plane, plane, plane) };
        config["vision_config"] = new JsonObject
        {
            ["depth"] = shape.VisionLayers, ["num_heads"] = shape.VisionHeads, ["in_chans"] = 3, ["patch_size"] = PatchSize,
            ["spatial_patch_size"] = PatchSize, ["spatial_merge_size"] = Merge,
            ["temporal_patch_size"] = 2,
        };
        foreach (var (key, value) in windows ? Windows(shape) : Whole(shape)) config["vision_config"]![key] = value;
        return config;
    }

    internal override JsonObject Preprocessor(SyntheticShape shape)
    {
        // The range accepts only squares of n x n tokens: half a row of tokens on either side separates n from its neighbours.
        var (square, slack) = (shape.Side * TokenPixels * shape.Side * TokenPixels, shape.Side * TokenPixels);
        return new()
        {
            ["image_processor_type"] = "Qwen2VLImageProcessor", ["processor_class"] = windows ? "Qwen2_5_VLProcessor" : "Qwen2VLProcessor",
            ["patch_size"] = PatchSize, ["merge_size"] = Merge,
            ["temporal_patch_size"] = 2, ["min_pixels"] = square - slack, ["max_pixels"] = square + slack,
            ["image_mean"] = ClipMean, ["image_std"] = ClipStd,
        };
    }

    private static (string Key, JsonNode Value)[] Whole(SyntheticShape shape) =>
        [("embed_dim", shape.VisionWidth), ("hidden_size", shape.Width), ("mlp_ratio", shape.VisionMlpSize / shape.VisionWidth)];

    private static (string Key, JsonNode Value)[] Windows(SyntheticShape shape)
    {
        var full = Enumerable.Range(0, shape.VisionLayers)
            .Where(layer => layer % FullAttentionEvery == FullAttentionEvery - 1 || layer == shape.VisionLayers - 1);
        return
        [
            ("hidden_size", shape.VisionWidth), ("out_hidden_size", shape.Width), ("intermediate_size", shape.VisionMlpSize),
            ("hidden_act", "silu"), ("window_size", 112),
            ("fullatt_block_indexes", new JsonArray([.. full.Select(layer => (JsonNode)layer)])), ("tokens_per_second", 2),
        ];
    }
}
