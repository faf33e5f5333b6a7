using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>LLaVA-1.5 as in its -hf checkpoints: every picture becomes one square of the same size.</summary>
internal sealed class SyntheticLlava : SyntheticFamily
{
    private const int PatchSize = 14;

    public override string Name => "llava";

    public override int ImageTokens => 576;

    public override string ImageTokensOf => "image tokens of every picture";

    public override int TokenPixels => PatchSize;

    public override double MlpRatio => 11008.0 / 4096;

    public override IReadOnlyList<string> SpecialTokens { get; } = ["<s>", "</s>", "<pad>", "<image>"];

    public override IReadOnlyDictionary<string, string> NamedTokens { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
            { ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["pad_token"] = "<pad>", ["image_token"] = "<image>" };

    public override string First => "<s>";

    public override string ChatTemplate =>
        "{% for message in messages %}{{ message['role'].upper() }}: {% for part in message['content'] %}{% if part['type'] == "
            + "'image' %}<image>\n"
        + "{% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}";

    internal override JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer) => new()
    {
        ["architectures"] = new JsonArray("LlavaForConditionalGeneration"), ["model_type"] = "llava", ["ignore_index"] = -100,
        ["image_seq_length"] = shape.Side * shape.Side,
        ["image_token_index"] = tokenizer.Id("<image>"), ["pad_token_id"] = tokenizer.Id("<pad>"), ["projector_hidden_act"] = "gelu",
        ["text_config"] = Decoder(shape, "llama", type, epsilon: 1e-5, theta: 10_000),
        ["vision_config"] = Tower(shape, "clip_vision_model", shape.Side * PatchSize, PatchSize),
        ["vision_feature_layer"] = -2, ["vision_feature_select_strategy"] = "default",
    };

    internal override JsonObject Preprocessor(SyntheticShape shape) => new()
    {
        ["image_processor_type"] = "CLIPImageProcessor", ["processor_class"] = "LlavaProcessor", ["do_center_crop"] = true,
        ["crop_size"] = Square(shape.Side * PatchSize), ["resample"] = 3,
        ["size"] = new JsonObject { ["shortest_edge"] = shape.Side * PatchSize }, ["image_mean"] = ClipMean, ["image_std"] = ClipStd,
    };

    internal override JsonObject ProcessorConfig(SyntheticShape shape) => new()
    {
        ["processor_class"] = "LlavaProcessor", ["image_token"] = "<image>", ["patch_size"] = PatchSize, ["num_additional_image_tokens"] =
            1, ["vision_feature_select_strategy"] = "default",
    };

    internal override IReadOnlyList<string> Carried { get; } = ["vision_tower.vision_model.post_layernorm.weight",
        "vision_tower.vision_model.post_layernorm.bias"];
}
