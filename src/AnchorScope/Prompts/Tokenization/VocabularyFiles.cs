using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Converts the older files of a byte-level BPE tokenizer, vocab.json and merges.txt, to the equivalent tokenizer.json. Neither file
/// contains the split pattern, so only tokenizer classes with a known pattern are supported.
/// </summary>
internal static class VocabularyFiles
{
    private const string QwenSplit =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly string[] Supported = ["Qwen2Tokenizer", "Qwen2TokenizerFast"];

    /// <summary>Whether <paramref name="folder"/> has both files.</summary>
    public static bool In(string folder) =>
        File.Exists(Path.Combine(folder, "vocab.json")) && File.Exists(Path.Combine(folder, "merges.txt"));

    /// <summary>tokenizer.json as UTF-8.</summary>
    /// <exception cref="InputException">A file is malformed, or the pattern of the tokenizer's class is not known.</exception>
    public static byte[] ToTokenizerJson(string folder)
    {
        var configFile = Path.Combine(folder, "tokenizer_config.json");
        if (!File.Exists(configFile))
            throw new InputException($"{configFile}: this file is needed beside vocab.json and merges.txt and does not exist");
        var config = JsonField.Read(configFile);
        var type = config.Get("tokenizer_class");
        if (!Supported.Contains(type.Text())) throw type.Unsupported($"classes without tokenizer.json: {string.Join(", ", Supported)}");
        var byteLevel = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = config.Flag("add_prefix_space", false),
            ["trim_offsets"] = false, ["use_regex"] = false };
        var root = new JsonObject
        {
            ["added_tokens"] = Added(config),
            ["normalizer"] = new JsonObject { ["type"] = "NFC" },
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = QwenSplit }, ["behavior"] = "Isolated",
                        ["invert"] = false }, byteLevel),
            },
            ["decoder"] = byteLevel.DeepClone(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = JsonNode.Parse(JsonField.Read(Path.Combine(folder, "vocab.json")).Value.GetRawText()),
                ["merges"] = new JsonArray([.. Merges(Path.Combine(folder, "merges.txt")).Select(m => (JsonNode)m)]),
            },
        };
        return JsonSerializer.SerializeToUtf8Bytes<JsonNode>(root);
    }

    /// <summary>added_tokens_decoder of tokenizer_config.json in the format of tokenizer.json.</summary>
    public static JsonArray Added(JsonField config)
    {
        var added = new JsonArray();
        if (config.Find("added_tokens_decoder") is not { } list) return added;
        foreach (var (id, field) in list.Members())
        {
            if (!int.TryParse(id, out var number) || number < 0) throw field.Expected("token ids as keys");
            var token = AddedToken(number, field.Get("content").Text(), special: false);
            foreach (var flag in new[] { "single_word", "lstrip", "rstrip", "normalized", "special" })
                token[flag] = field.Flag(flag, false);
            added.Add(token);
        }
        return added;
    }

    /// <summary>An added token that is matched in the original text.</summary>
    public static JsonObject AddedToken(int id, string content, bool special) =>
        new()
            { ["id"] = id, ["content"] = content, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
                ["normalized"] = false, ["special"] = special };

    private static List<string> Merges(string file)
    {
        string text;
        try
        {
            text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(JsonField.ReadBytes(file));
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{file}: expected UTF-8 text: {e.Message}", e);
        }
        // The first line may contain a version. Lines are split only at line ends, because tokens can represent all bytes.
        return [.. text.Split('\n').Select(line => line.TrimEnd('\r'))
            .Where((line, i) => line.Length > 0 && !(i == 0 && line.StartsWith("#version", StringComparison.Ordinal)))];
    }
}
