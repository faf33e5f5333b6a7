using System.Text.Json.Nodes;

namespace AnchorScope.Synthesis;

/// <summary>SmolVLM: up to 4 x 4 tiles, then the whole picture, sixteen patches per image token.</summary>
internal sealed class SyntheticSmolVlm : SyntheticFamily
{
    private const int PatchSize = 16;
    private const int Factor = 4;
    private const int TilesAlong = 4;
    private const int NamedTilesAlong = 6; // the published tokenizers have tokens for this many

    public override string Name => "smolvlm";

    public override int ImageTokens => 64;

    public override string ImageTokensOf => "image tokens of each tile";

    public override int TokenPixels => PatchSize * Factor;

    public override double MlpRatio => 1536.0 / 576;

    public override IReadOnlyList<string> SpecialTokens { get; } =
    [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
        .. from row in Enumerable.Range(1, NamedTilesAlong) from column in Enumerable.Range(1,
            NamedTilesAlong) select $"<row_{row}_col_{column}>",
    ];

    public override IReadOnlyDictionary<string, string> NamedTokens { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["eos_token"] = "<end_of_utterance>", ["pad_token"] = "<|im_end|>", ["fake_image_token"] = "<fake_token_around_image>",
        ["image_token"] = "<image>",
        ["end_of_utterance_token"] = "<end_of_utterance>", ["global_image_token"] = "<global-img>",
    };

    public override string ChatTemplate =>
        "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: {% for part in message['content'] %}{% if "
            + "part['type'] == 'image' %}<image>"
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt "
            + "%}Assistant:{% endif %}";

    internal override JsonObject Config(SyntheticShape shape, string type, ByteTokenizer tokenizer)
    {
        var text = Decoder(shape, "llama", type, epsilon: 1e-5, theta: 100_000);
        text["head_dim"] = shape.Width / shape.Heads;
        return new()
        {
            ["architectures"] = new JsonArray("SmolVLMForConditionalGeneration"), ["model_type"] = "smolvlm",
            ["image_token_id"] = tokenizer.Id("<image>"),
            ["pad_token_id"] = tokenizer.Id("<|im_end|>"), ["scale_factor"] = Factor, ["text_config"] = text,
            ["vision_config"] = Tower(shape, "smolvlm_vision", shape.Side * TokenPixels, PatchSize), ["vocab_size"] = shape.Vocabulary,
        };
    }

    internal override JsonObject Preprocessor(SyntheticShape shape) => new()
    {
        ["image_processor_type"] = "SmolVLMImageProcessor", ["processor_class"] = "SmolVLMProcessor", ["do_image_splitting"] = true,
        ["do_pad"] = true, ["resample"] = 1,
        ["max_image_size"] = new JsonObject { ["longest_edge"] = shape.Side * TokenPixels },
        ["size"] = new JsonObject { ["longest_edge"] = TilesAlong * shape.Side * TokenPixels },
        ["image_mean"] = Halves, ["image_std"] = Halves,
    };

    internal override JsonObject ProcessorConfig(SyntheticShape shape) =>
        new() { ["processor_class"] = "SmolVLMProcessor", ["image_seq_len"] = shape.Side * shape.Side };
}
