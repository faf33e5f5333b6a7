using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>A token of one word: its id and the UTF-16 range of the word that it covers.</summary>
internal readonly record struct WordToken(int Id, int Start, int End);

/// <summary>tokenizer.json's <c>model</c>: turns a word into tokens of the vocabulary.</summary>
internal abstract class TokenModel
{
    // Far above any vocabulary in use (about 256,000), but low enough to allocate a table indexed by id.
    private const int HighestId = 1 << 24;

    protected TokenModel(Dictionary<string, int> vocabulary) => Vocabulary = vocabulary;

    public Dictionary<string, int> Vocabulary { get; }

    /// <summary>The member <c>vocab</c>: ids by token.</summary>
    public static Dictionary<string, int> ReadVocabulary(JsonField model)
    {
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        var vocabulary = model.Get("vocab");
        if (vocabulary.Value.ValueKind == JsonValueKind.Object) tokens.EnsureCapacity(vocabulary.Value.GetPropertyCount());
        foreach (var (token, id) in vocabulary.Members())
            if (!tokens.TryAdd(token, id.Integer(0, HighestId))) throw id.Expected("every token once");
        return tokens;
    }

    /// <summary>The id of text outside the vocabulary; null if such text becomes bytes or nothing.</summary>
    public abstract int? Unknown { get; }

    /// <summary>Appends the word's tokens from left to right.</summary>
    public abstract void Encode(string word, List<WordToken> tokens);

    /// <param name="model">The <c>model</c> member.</param>
    /// <param name="vocabulary">The result of <see cref="ReadVocabulary"/> for it.</param>
    /// <param name="addedIds">Ids of the added tokens, one of which may be the unknown token.</param>
    public static TokenModel Read(JsonField model, Dictionary<string, int> vocabulary, IReadOnlyDictionary<string, int> addedIds)
    {
        // Files of the first versions do not state a type.
        var type = model.Find("type")?.Text() ?? (model.Find("merges") is null ? "WordLevel" : "BPE");
        return type switch
        {
            "BPE" => new BytePairModel(model, vocabulary, addedIds),
            "WordLevel" => new WordLevelModel(model, vocabulary, addedIds),
            _ => throw model.Get("type").Unsupported("models BPE, WordLevel"),
        };
    }

    public static int ReadId(JsonField field) => field.Integer(0, HighestId);

    /// <summary>The id of the token that <c>unk_token</c> names; null if it names none.</summary>
    protected int? UnknownId(JsonField model, IReadOnlyDictionary<string, int> addedIds)
    {
        if (model.Find("unk_token") is not { } unknown) return null;
        var token = unknown.Text();
        return Vocabulary.TryGetValue(token, out var id) || addedIds.TryGetValue(token, out id)
            ? id
            : throw unknown.Expected("a token of the vocabulary");
    }
}

/// <summary>Each word is one token, or unknown.</summary>
internal sealed class WordLevelModel : TokenModel
{
    private readonly int unknownId;

    public WordLevelModel(JsonField model, Dictionary<string, int> vocabulary, IReadOnlyDictionary<string, int> addedIds)
        : base(vocabulary) =>
        unknownId = UnknownId(model, addedIds) ??
            throw InputException.At(model.File, "model.unk_token", "a token of the vocabulary", "nothing");

    public override int? Unknown => unknownId;

    public override void Encode(string word, List<WordToken> tokens) =>
        tokens.Add(new(Vocabulary.GetValueOrDefault(word, unknownId), 0, word.Length));
}
