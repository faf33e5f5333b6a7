using System.Text.Json;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>The special tokens that a checkpoint gives names to: members called <c>..._token</c>.</summary>
internal static class NamedTokens
{
    public static IReadOnlyDictionary<string, string> Read(string folder)
    {
        var tokens = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in (string[])["tokenizer_config.json", "special_tokens_map.json"])
        {
            var file = Path.Combine(folder, name);
            if (!File.Exists(file)) continue;
            var config = JsonField.Read(file);
            Collect(config, tokens);
            if (config.Find("extra_special_tokens") is { Value.ValueKind: JsonValueKind.Object } extra) Collect(extra, tokens);
        }
        return tokens;
    }

    // A value is the token or an object that holds it; add_bos_token and the like are flags.
    private static void Collect(JsonField config, Dictionary<string, string> tokens)
    {
        foreach (var (name, field) in config.Members())
        {
            if (!name.EndsWith("_token", StringComparison.Ordinal)) continue;
            if (field.IsText) tokens.TryAdd(name, field.Text());
            else if (field.Value.ValueKind == JsonValueKind.Object) tokens.TryAdd(name, field.Get("content").Text());
        }
    }
}
