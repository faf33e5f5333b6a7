using AnchorScope.Prompts.Tokenization;

namespace AnchorScope.Prompts;

/// <summary>
/// Streams the text of tokens as they are generated. It returns only text that no later token can change, so never a part of a character.
/// All pieces together equal <see cref="Tokenizer.Decode"/> of all tokens.
/// </summary>
internal sealed class TokenStream
{
    private readonly Tokenizer _tokenizer;
    private readonly IDecoding _decoding;
    private readonly bool _skipSpecial;

    internal TokenStream(Tokenizer tokenizer, IDecoding decoding, bool skipSpecial) =>
        (_tokenizer, _decoding, _skipSpecial) = (tokenizer, decoding, skipSpecial);

    /// <summary>Adds the next token.</summary>
    /// <returns>The text that is final now and was not before; may be empty.</returns>
    public string Next(int id) => !_tokenizer.HasToken(id) || (_skipSpecial && _tokenizer.IsSpecial(id))
        ? "" : Text(_decoding.Next(Stretch.Whole(_tokenizer.TokenText(id))));

    /// <summary>The text that was held back, after the last token. Call it once.</summary>
    public string End() => Text(_decoding.End());

    private static string Text(IEnumerable<Stretch> stretches) => string.Concat(stretches.Select(stretch => stretch.Text));
}
