using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// The named special tokens of a checkpoint: members called <c>..._token</c>, and those of <c>extra_special_tokens</c> if that is an
/// object.
/// </summary>
internal static class NamedTokens
{
    // Names that every tokenizer of the reference has, in the order in which it adds tokens that are not in the vocabulary.
    private static readonly string[] Common = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <summary>
    /// Reads them from tokenizer_config.json. If that has no added_tokens_decoder, special_tokens_map.json overrides it, as in the
    /// reference.
    /// </summary>
    public static IReadOnlyDictionary<string, AddedToken> Read(string folder, JsonField? config)
    {
        var tokens = new OrderedDictionary<string, AddedToken>(StringComparer.Ordinal);
        if (config is { } settings) Collect(settings, tokens);
        var map = Path.Combine(folder, "special_tokens_map.json");
        if (config?.Find("added_tokens_decoder") is null && File.Exists(map)) Collect(JsonField.Read(map), tokens);
        var ordered = new OrderedDictionary<string, AddedToken>(StringComparer.Ordinal);
        foreach (var name in Common.Concat(tokens.Keys))
            if (tokens.TryGetValue(name, out var token)) ordered.TryAdd(name, token);
        return ordered;
    }

    // A value is the token or an object that contains it; add_bos_token and similar members are flags.
    private static void Collect(JsonField config, OrderedDictionary<string, AddedToken> tokens)
    {
        var extra = config.Find("extra_special_tokens") is { Value.ValueKind: JsonValueKind.Object } named ? named.Members() : [];
        foreach (var (name, field) in config.Members().Where(member =>
            member.Name.EndsWith("_token", StringComparison.Ordinal)).Concat(extra))
        {
            if (field.IsText) tokens[name] = AddedToken.Plain(field.Text());
            else if (field.Value.ValueKind == JsonValueKind.Object) tokens[name] = AddedToken.Read(field) with { Special = true };
        }
    }
}
