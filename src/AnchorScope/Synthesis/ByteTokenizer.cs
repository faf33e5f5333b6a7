using System.Text.Json.Nodes;
using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Synthesis;

/// <summary>A byte-level BPE tokenizer without merges: every byte of a text is a token, and special tokens follow the 256 bytes.</summary>
internal sealed class ByteTokenizer(IReadOnlyList<string> special)
{
    private const int Bytes = 256;

    /// <summary>Number of tokens.</summary>
    public int Size => Bytes + special.Count;

    /// <summary>Id of a special token.</summary>
    public int Id(string token) => Enumerable.Range(0, special.Count).First(i => special[i] == token) + Bytes;

    /// <summary>tokenizer.json.</summary>
    /// <param name="first">Special token before every text, or null.</param>
    public JsonObject File(string? first)
    {
        var vocabulary = new JsonObject();
        for (var value = 0; value < Bytes; value++) vocabulary[ByteAlphabet.Of((byte)value).ToString()] = value;
        return new()
        {
            ["version"] = "1.0", ["truncation"] = null, ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. special.Select(token => (JsonNode)new JsonObject
            {
                ["id"] = Id(token), ["content"] = token, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
                ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = null, ["pre_tokenizer"] = ByteLevel(), ["post_processor"] = first is null ? ByteLevel() : Frame(first),
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null, ["fuse_unk"] = false, ["byte_fallback"] = false,
                ["ignore_merges"] = false, ["vocab"] = vocabulary, ["merges"] = new JsonArray(),
            },
        };
    }

    /// <summary>tokenizer_config.json.</summary>
    public JsonObject Config(IReadOnlyDictionary<string, string> named)
    {
        var config = new JsonObject
            { ["tokenizer_class"] = "PreTrainedTokenizerFast", ["clean_up_tokenization_spaces"] = false, ["add_prefix_space"] = false };
        foreach (var (name, token) in named) config[name] = token;
        config["additional_special_tokens"] = new JsonArray([.. special.Select(token => (JsonNode)token)]);
        return config;
    }

    private static JsonObject ByteLevel() =>
        new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = true };

    private JsonObject Frame(string token)
    {
        JsonObject Special() => new() { ["SpecialToken"] = new JsonObject { ["id"] = token, ["type_id"] = 0 } };
        JsonObject Text(string which) => new() { ["Sequence"] = new JsonObject { ["id"] = which, ["type_id"] = 0 } };
        return new()
        {
            ["type"] = "TemplateProcessing", ["single"] = new JsonArray(Special(), Text("A")),
            ["pair"] = new JsonArray(Special(), Text("A"), Special(), Text("B")),
            ["special_tokens"] = new JsonObject
                { [token] = new JsonObject { ["id"] = token, ["ids"] = new JsonArray(Id(token)), ["tokens"] = new JsonArray(token) } },
        };
    }
}
