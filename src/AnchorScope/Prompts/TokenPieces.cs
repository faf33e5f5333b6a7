using System.Text;

namespace AnchorScope.Prompts;

/// <summary>
/// The bytes that each token of an answer has in its text: one after the other, they are the UTF-8 bytes of the text. A token may be a part
/// of a character, and its text depends on whether it is the first one.
/// </summary>
internal sealed class TokenPieces
{
    private readonly Tokenizer _tokenizer;
    // Stands for what comes before a token that is not the first one.
    private readonly int[] _before;
    private readonly int _length;

    public TokenPieces(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _before = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(
            id => tokenizer.HasToken(id) && !tokenizer.IsSpecial(id) && tokenizer.RawBytes(id) is null
                && tokenizer.Decode([id]).Length > 0).Take(1)];
        _length = tokenizer.Decode(_before).Length;
    }

    /// <summary>The bytes of a token; null if it has none, because special tokens are not part of the text.</summary>
    /// <param name="first">Whether only special tokens come before it.</param>
    public byte[]? Of(int token, bool first) =>
        !_tokenizer.HasToken(token) || _tokenizer.IsSpecial(token) ? null
        : _tokenizer.RawBytes(token)
            ?? Encoding.UTF8.GetBytes(first ? _tokenizer.Decode([token]) : _tokenizer.Decode([.. _before, token])[_length..]);

    /// <summary>The text of a token; that of a special one is its name. Parts of characters are U+FFFD.</summary>
    public string TextOf(int token, bool first) =>
        Of(token, first) is { } bytes ? Encoding.UTF8.GetString(bytes) : _tokenizer.Decode([token], skipSpecial: false);
}
