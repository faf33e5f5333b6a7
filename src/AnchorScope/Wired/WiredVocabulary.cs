using System.Text.Json.Nodes;

namespace AnchorScope.Wired;

/// <summary>The words of the wired models' world, one token each, and the tokenizer's files.</summary>
internal static class WiredVocabulary
{
    /// <summary>Values of the sky. Each is shown by the colour with the same index in <see cref="WiredPicture.Colour"/>.</summary>
    public static readonly IReadOnlyList<string> Skies = ["night", "rain", "aurora", "noon", "dusk", "dawn", "haze", "fog"];

    /// <summary>Values of the ground, by the same colours.</summary>
    public static readonly IReadOnlyList<string> Grounds = ["coal", "sea", "grass", "ice", "clay", "heather", "sand", "snow"];

    /// <summary>Verbs of instructions.</summary>
    public static readonly IReadOnlyList<string> Verbs = ["trust", "follow", "believe", "use"];

    /// <summary>The instruction's words for pictures.</summary>
    public static readonly IReadOnlyList<string> PictureWords = ["picture", "photo"];

    /// <summary>The instruction's words for text.</summary>
    public static readonly IReadOnlyList<string> TextWords = ["text", "words"];

    /// <summary>The instruction's last words.</summary>
    public static readonly IReadOnlyList<string> Tails = ["only", "alone"];

    /// <summary>The answer if neither modality is trusted.</summary>
    public const string Unsure = "unsure";

    /// <summary>Id of the image placeholder token.</summary>
    public const int ImageToken = 4;

    private static readonly string[] Special = ["<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<user>", "<end>", "<assistant>"];

    private static readonly string[] Others =
        [":", ".", "?", "and", "ground", "is", "note", "over", "sky", "the", "there", "under", Unsure, "what", "which"];

    /// <summary>All tokens in the order of their ids.</summary>
    public static readonly IReadOnlyList<string> Tokens =
    [
        .. Special,
        .. Skies.Concat(Grounds).Concat(Verbs).Concat(PictureWords).Concat(TextWords).Concat(Tails).Concat(Others)
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The 16 values: those of the sky, then those of the ground.</summary>
    public static IReadOnlyList<string> Values { get; } = [.. Skies, .. Grounds];

    /// <summary>The coordinates of the embedding of a word or special token, in addition to the constant one.</summary>
    public static IReadOnlyList<int> Features(string token)
    {
        if (Values.Contains(token)) return [Axes.Note, Axes.Value + Values.ToList().IndexOf(token)];
        if (PictureWords.Contains(token)) return [Axes.SaysPicture];
        if (TextWords.Contains(token)) return [Axes.SaysText];
        if (Tails.Contains(token)) return [Axes.Tail];
        return token switch
        {
            "<bos>" => [Axes.Start],
            "<end>" => [Axes.TurnEnd],
            "<assistant>" => [Axes.Last, Axes.Unsure],
            "sky" => [Axes.AskedSky],
            "ground" => [Axes.AskedGround],
            "?" => [Axes.QuestionEnd],
            _ => [],
        };
    }

    /// <summary>tokenizer.json.</summary>
    public static JsonObject Tokenizer() => new()
    {
        ["version"] = "1.0",
        ["truncation"] = null,
        ["padding"] = null,
        ["added_tokens"] = new JsonArray([.. Special.Select((content, id) => (JsonNode)AddedToken(content, id))]),
        ["normalizer"] = null,
        ["pre_tokenizer"] = new JsonObject { ["type"] = "WhitespaceSplit" },
        ["post_processor"] = new JsonObject
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray(Start(0), Part("A", 0)),
            ["pair"] = new JsonArray(Start(0), Part("A", 0), Start(0), Part("B", 0)),
            ["special_tokens"] = new JsonObject
            {
                ["<bos>"] = new JsonObject { ["id"] = "<bos>", ["ids"] = new JsonArray(1), ["tokens"] = new JsonArray("<bos>") },
            },
        },
        ["decoder"] = null,
        ["model"] = new JsonObject
        {
            ["type"] = "WordLevel",
            ["vocab"] = new JsonObject(Tokens.Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id))),
            ["unk_token"] = "<unk>",
        },
    };

    /// <summary>tokenizer_config.json.</summary>
    public static JsonObject TokenizerConfig()
    {
        var added = Special.Select((content, id) => KeyValuePair.Create($"{id}", (JsonNode?)Flags(new() { ["content"] = content })));
        var config = new JsonObject
        {
            ["add_bos_token"] = true,
            ["add_eos_token"] = false,
            ["added_tokens_decoder"] = new JsonObject(added),
        };
        foreach (var (key, value) in SpecialTokens()) config[key] = value!.DeepClone();
        config["extra_special_tokens"] = new JsonObject { ["image_token"] = "<image>" };
        config["clean_up_tokenization_spaces"] = false;
        config["model_max_length"] = 64;
        config["padding_side"] = "right";
        config["processor_class"] = "LlavaProcessor";
        config["tokenizer_class"] = "PreTrainedTokenizerFast";
        return config;
    }

    /// <summary>special_tokens_map.json.</summary>
    public static JsonObject SpecialTokens() => new()
    {
        ["bos_token"] = "<bos>",
        ["eos_token"] = "<eos>",
        ["pad_token"] = "<pad>",
        ["unk_token"] = "<unk>",
        ["image_token"] = "<image>",
    };

    private static JsonObject AddedToken(string content, int id) => Flags(new() { ["id"] = id, ["content"] = content });

    private static JsonObject Flags(JsonObject token)
    {
        foreach (var flag in new[] { "single_word", "lstrip", "rstrip", "normalized" }) token[flag] = false;
        token["special"] = true;
        return token;
    }

    private static JsonObject Start(int type) => new() { ["SpecialToken"] = new JsonObject { ["id"] = "<bos>", ["type_id"] = type } };

    private static JsonObject Part(string id, int type) => new() { ["Sequence"] = new JsonObject { ["id"] = id, ["type_id"] = type } };
}
