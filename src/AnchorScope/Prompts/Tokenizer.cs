using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts;

/// <summary>A token of an encoded text.</summary>
/// <param name="Id">Row of the embedding table.</param>
/// <param name="Start">First UTF-16 unit of the original text that it covers.</param>
/// <param name="End">One past the last unit it covers. Equal to <paramref name="Start"/> for a token without text: a special token added by
/// the post-processor, or a space inserted by the normaliser. Tokens that are bytes of one character all cover that character.</param>
public readonly record struct Token(int Id, int Start, int End);

/// <summary>Converts text to token ids and back, as specified by a checkpoint's tokenizer.json.</summary>
/// <remarks>
/// Follows Hugging Face's <c>tokenizers</c> library: added tokens split the original text; each piece between them is normalised, split
/// into words and encoded separately; special tokens are added around the whole. Added tokens are those of tokenizer.json, with flags and
/// further tokens from tokenizer_config.json (added_tokens_decoder, named tokens, extra_special_tokens, additional_special_tokens). The
/// file's truncation and padding are not applied. Unpaired surrogates are encoded as U+FFFD.
/// </remarks>
public sealed class Tokenizer
{
    private const int LongestCachedWord = 64;

    private readonly TokenModel model;
    private readonly Normalizer? normalizer;
    private readonly PreTokenizer? preTokenizer;
    private readonly TokenDecoder decoder = TokenDecoder.Spaced;
    private readonly SpecialTokenFrame frame = SpecialTokenFrame.None;
    private readonly AddedTokens rawTokens;
    private readonly AddedTokens normalizedTokens;
    private readonly Dictionary<string, int> ids;
    private readonly string?[] texts;
    private readonly HashSet<int> specialIds = [];

    private Tokenizer(JsonField file, JsonField? config, IReadOnlyDictionary<string, AddedToken> named, string sha256)
    {
        Sha256 = sha256;
        SpecialTokens = named.ToDictionary(entry => entry.Key, entry => entry.Value.Content, StringComparer.Ordinal);
        var modelField = file.Get("model");
        var vocabulary = TokenModel.ReadVocabulary(modelField);
        var added = AddedVocabulary.Read(file, config, named, vocabulary);
        Warnings = added.Warnings(file.File);
        model = TokenModel.Read(modelField, vocabulary, added.Ids());
        ids = new(model.Vocabulary, StringComparer.Ordinal);
        foreach (var token in added.Tokens)
        {
            ids.TryAdd(token.Content, token.Id);
            if (token.Special) specialIds.Add(token.Id);
        }
        texts = TextsById(file);

        if (file.Find("normalizer") is { } normalizerField) normalizer = Normalizer.Read(normalizerField);
        if (file.Find("pre_tokenizer") is { } preTokenizerField) preTokenizer = PreTokenizer.Read(preTokenizerField);
        if (file.Find("decoder") is { } decoderField) decoder = TokenDecoder.Read(decoderField);
        if (file.Find("post_processor") is { } frameField)
        {
            frame = SpecialTokenFrame.Read(frameField);
            foreach (var id in frame.Before.Concat(frame.After))
                if (!HasToken(id)) throw frameField.Expected($"ids of the vocabulary, {id} is not one");
        }
        rawTokens = new(added.Tokens.Where(token => !token.Normalized), token => token.Content);
        normalizedTokens = new(added.Tokens.Where(token => token.Normalized),
            token => Normalized(AlignedText.Original(token.Content)).Text);
    }

    /// <summary>Highest id + 1. Some ids below it may have no token; the embedding table may have more rows.</summary>
    public int VocabularySize => texts.Length;

    /// <summary>
    /// Named special tokens, for instance "bos_token" to "&lt;s&gt;", from tokenizer_config.json. If that has no added_tokens_decoder,
    /// special_tokens_map.json overrides it, as in the reference.
    /// </summary>
    public IReadOnlyDictionary<string, string> SpecialTokens { get; }

    /// <summary>Warnings about the files, one line each: added tokens whose id differs from the one in the file.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>The id of text outside the vocabulary; null if such text becomes bytes or nothing.</summary>
    public int? UnknownId => model.Unknown;

    /// <summary>A one-line warning that some tokens of a text are the unknown token.</summary>
    /// <param name="unknown">Number of tokens with <see cref="UnknownId"/>.</param>
    /// <param name="all">Number of tokens of the text.</param>
    public string UnknownWarning(long unknown, long all) =>
        string.Create(CultureInfo.InvariantCulture, $"{unknown} of {Plural.Of(all, "token")} of the text {(unknown == 1 ? "is" : "are")} "
            + $"{TokenText(UnknownId!.Value)}, ") +
        "the tokenizer's unknown token: that text does not reach the model";

    /// <summary>
    /// SHA-256 of tokenizer.json (or of its equivalent, if it is made from other files), 64 lower-case hexadecimal digits.
    /// </summary>
    public string Sha256 { get; }

    /// <summary>
    /// Reads the first of these that exists: tokenizer.json; vocab.json and merges.txt; SentencePiece's tokenizer.model. Also reads
    /// tokenizer_config.json and special_tokens_map.json if they exist.
    /// </summary>
    /// <exception cref="InputException">A file is missing, malformed, or needs a component that is not supported.</exception>
    public static Tokenizer Load(string folder)
    {
        var file = Path.Combine(folder, "tokenizer.json");
        var bytes = File.Exists(file) ? JsonField.ReadBytes(file)
            : VocabularyFiles.In(folder) ? VocabularyFiles.ToTokenizerJson(folder)
            : File.Exists(SentencePieceFile.PathIn(folder)) ? SentencePieceFile.ToTokenizerJson(folder)
            : throw new InputException(
                $"{file}: this file is needed and does not exist, nor do vocab.json and merges.txt, nor tokenizer.model");
        var configFile = Path.Combine(folder, "tokenizer_config.json");
        JsonField? config = File.Exists(configFile) ? JsonField.Read(configFile) : null;
        return new(JsonField.Parse(file, bytes), config, NamedTokens.Read(folder, config),
            Convert.ToHexStringLower(SHA256.HashData(bytes)));
    }

    /// <summary>
    /// Encodes a text to tokens in the order of the text. With <paramref name="addSpecial"/>, the post-processor's tokens are added around
    /// them.
    /// </summary>
    /// <exception cref="InputException">A regular expression of the file needs more than ten seconds for one match.</exception>
    public IReadOnlyList<Token> Encode(string text, bool addSpecial = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var tokens = new List<Token>();
        var words = new Dictionary<string, WordToken[]>(StringComparer.Ordinal); // of this text, most of which occur again
        if (addSpecial) tokens.AddRange(frame.Before.Select(id => new Token(id, 0, 0)));
        foreach (var (raw, rawToken) in rawTokens.Cut(AlignedText.Original(text)))
        {
            if (rawToken is not null)
            {
                tokens.Add(Whole(raw, rawToken.Id));
                continue;
            }
            foreach (var (piece, token) in normalizedTokens.Cut(Normalized(raw)))
            {
                if (token is not null) tokens.Add(Whole(piece, token.Id));
                else EncodePiece(piece, words, tokens);
            }
        }
        if (addSpecial) tokens.AddRange(frame.After.Select(id => new Token(id, text.Length, text.Length)));
        return tokens;
    }

    /// <summary>The text of the tokens, joined by the file's decoder; without a decoder, separated by spaces.</summary>
    /// <remarks>Ids without a token give no text, as in the reference, because embedding tables are often padded.</remarks>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true)
    {
        var stream = Stream(skipSpecial);
        var text = new StringBuilder();
        foreach (var id in ids) text.Append(stream.Next(id));
        return text.Append(stream.End()).ToString();
    }

    /// <summary>The same, token by token.</summary>
    internal TokenStream Stream(bool skipSpecial = true) => new(this, decoder.Begin(), skipSpecial);

    /// <summary>
    /// The bytes of a token that stands for bytes, which need not be whole characters (byte-level BPE, byte fallback); null: it stands for
    /// text.
    /// </summary>
    internal byte[]? RawBytes(int id) => HasToken(id) ? decoder.RawBytes(texts[id]!) : null;

    /// <summary>Whether the id has a token.</summary>
    public bool HasToken(int id) => (uint)id < (uint)texts.Length && texts[id] is not null;

    /// <summary>The token as written in the vocabulary, for instance "▁What".</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id has no token.</exception>
    public string TokenText(int id) =>
        HasToken(id) ? texts[id]! : throw new ArgumentOutOfRangeException(nameof(id), id, "no token of the vocabulary has this id");

    /// <summary>The id of a token written as in the vocabulary; null if there is none.</summary>
    public int? IdOf(string token) => ids.TryGetValue(token, out var id) ? id : null;

    /// <summary>Whether the file's added tokens mark this id as special.</summary>
    public bool IsSpecial(int id) => specialIds.Contains(id);

    private static Token Whole(AlignedText piece, int id) => new(id, piece.StartOf(0), piece.EndOf(piece.Length - 1));

    private AlignedText Normalized(AlignedText text) => normalizer?.Apply(text) ?? text;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void EncodePiece(AlignedText piece, Dictionary<string, WordToken[]> words, List<Token> tokens)
    {
        var fresh = new List<WordToken>();
        foreach (var word in preTokenizer?.Apply(piece) ?? [piece])
        {
            if (!words.TryGetValue(word.Text, out var encoded))
            {
                fresh.Clear();
                model.Encode(word.Text, fresh);
                encoded = [.. fresh];
                if (word.Length <= LongestCachedWord) words[word.Text] = encoded;
            }
            foreach (var token in encoded) tokens.Add(new(token.Id, word.StartOf(token.Start), word.EndOf(token.End - 1)));
        }
    }

    private string?[] TextsById(JsonField file)
    {
        var table = new string?[ids.Count == 0 ? 0 : ids.Values.Max() + 1];
        foreach (var (token, id) in ids)
        {
            if (table[id] is { } other)
                throw InputException.At(file.File, "model.vocab", "one token for each id", $"\"{other}\" and \"{token}\" for {id}");
            table[id] = token;
        }
        return table;
    }
}
