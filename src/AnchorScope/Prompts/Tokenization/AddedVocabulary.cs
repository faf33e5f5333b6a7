using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// The added tokens of a checkpoint, from tokenizer.json and tokenizer_config.json, with the ids of the reference. A token of the model's
/// vocabulary keeps its id; any other gets the next free id in the order of addition, whatever id the file states.
/// </summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<string, int> vocabulary;
    private readonly Dictionary<string, AddedToken> tokens = new(StringComparer.Ordinal);
    private readonly List<string> renumbered = [];
    private int highest = -1;

    private AddedVocabulary(Dictionary<string, int> vocabulary) => this.vocabulary = vocabulary;

    /// <summary>The tokens, with each content once.</summary>
    public IReadOnlyCollection<AddedToken> Tokens => tokens.Values;

    /// <summary>Ids by content.</summary>
    public Dictionary<string, int> Ids() => tokens.Values.ToDictionary(token => token.Content, token => token.Id, StringComparer.Ordinal);

    /// <summary>Warnings for the user, one line each.</summary>
    public IReadOnlyList<string> Warnings(string file) => renumbered.Count == 0 ? [] :
        [$"{file}: added tokens are numbered on from the end of the vocabulary, as the tokenizers library does: " +
            string.Join(", ", renumbered.Take(4)) +
            (renumbered.Count > 4 ? $", and {renumbered.Count - 4} more" : "")];

    /// <param name="file">tokenizer.json.</param>
    /// <param name="config">tokenizer_config.json.</param>
    /// <param name="named">Named special tokens such as bos_token.</param>
    /// <param name="vocabulary">Vocabulary of the model.</param>
    public static AddedVocabulary Read(JsonField file, JsonField? config, IReadOnlyDictionary<string, AddedToken> named, Dictionary<string,
        int> vocabulary)
    {
        var added = new AddedVocabulary(vocabulary);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var field in file.Find("added_tokens")?.Items() ?? [])
        {
            var (token, id) = (AddedToken.Read(field), TokenModel.ReadId(field.Get("id")));
            if (!seen.Add(token.Content)) throw field.Expected("every added token once");
            if (vocabulary.TryGetValue(token.Content, out var known)
                && known != id) throw field.Get("id").Expected($"{known}, the id in model.vocab");
            added.Add(token, id);
        }
        if (config is { } settings) added.AddConfigured(settings, named);
        else added.AddMissing(named.Values);
        return added;
    }

    /// <summary>The list of unnamed special tokens in a configuration; null if there is none.</summary>
    public static JsonField? Unnamed(JsonField config) => config.Find("extra_special_tokens") is { } extra
        ? extra.Value.ValueKind == JsonValueKind.Array ? extra : null
        : config.Find("additional_special_tokens");

    private void AddConfigured(JsonField config, IReadOnlyDictionary<string, AddedToken> named)
    {
        var decoder = (config.Find("added_tokens_decoder")?.Members() ?? []).Select(member =>
            (Id: Number(member.Name, member.Field), Token: AddedToken.Read(member.Field)));
        // A token that exists already gets the flags of the configuration.
        foreach (var (id, token) in decoder.OrderBy(entry => entry.Id))
            if (!tokens.TryGetValue(token.Content, out var present) || present with { Id = -1 } != token) Add(token, id);
        AddMissing(named.Values);
        AddMissing((Unnamed(config)?.Items() ?? []).Select(field => field.IsText ? AddedToken.Plain(field.Text())
            : AddedToken.Read(field)));
    }

    private void AddMissing(IEnumerable<AddedToken> wanted)
    {
        foreach (var token in wanted)
            if (!tokens.ContainsKey(token.Content)) Add(token, null);
    }

    private void Add(AddedToken token, int? written)
    {
        if (token.Content.Length == 0) return;
        var id = tokens.TryGetValue(token.Content, out var present) ? present.Id
            : vocabulary.TryGetValue(token.Content, out var known) ? known
            : highest >= vocabulary.Count || vocabulary.Count == 0 ? highest + 1 : vocabulary.Count;
        if (written is { } other && other != id)
            renumbered.Add(string.Create(CultureInfo.InvariantCulture, $"\"{token.Content}\" is {id} and not {other}"));
        tokens[token.Content] = token with { Id = id };
        highest = Math.Max(highest, id);
    }

    private static int Number(string id, JsonField field) =>
        int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : throw field.Expected("token ids as keys");
}
