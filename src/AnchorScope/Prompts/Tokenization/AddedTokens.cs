using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>An entry of tokenizer.json's <c>added_tokens</c>.</summary>
/// <param name="Id">Its id, in the model's vocabulary or above it.</param>
/// <param name="Content">The text of the token.</param>
/// <param name="Special">Whether it is omitted when decoding for reading.</param>
/// <param name="Normalized">Whether it is matched in normalised text, with its own content normalised, instead of in the original
/// text.</param>
/// <param name="LeftStrip">Whether it includes the white space on its left.</param>
/// <param name="RightStrip">Whether it includes the white space on its right.</param>
/// <param name="SingleWord">Whether it matches only if no word character is adjacent.</param>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool Normalized, bool LeftStrip, bool RightStrip, bool SingleWord)
{
    /// <summary>Reads the content and flags of an object. The id is not known yet.</summary>
    public static AddedToken Read(JsonField field)
    {
        var special = field.Flag("special", false);
        return new(
            -1, field.Get("content").Text(), special, field.Flag("normalized", !special),
            field.Flag("lstrip", false), field.Flag("rstrip", false), field.Flag("single_word", false));
    }

    /// <summary>A special token given only as text. It is matched in the original text.</summary>
    public static AddedToken Plain(string content) =>
        new(-1, content, Special: true, Normalized: false, LeftStrip: false, RightStrip: false, SingleWord: false);
}

/// <summary>Finds added tokens in text: the leftmost first, and of those the longest.</summary>
internal sealed class AddedTokens
{
    private readonly Node root = new();

    /// <param name="tokens">The tokens to find.</param>
    /// <param name="written">Returns the text to match for a token: its content, original or normalised.</param>
    public AddedTokens(IEnumerable<AddedToken> tokens, Func<AddedToken, string> written)
    {
        foreach (var token in tokens)
        {
            var node = root;
            foreach (var unit in written(token)) node = node.Step(unit);
            if (node != root) node.Token = token;
        }
    }

    /// <summary>Splits the text into pieces that are an added token or contain none. No piece is empty.</summary>
    public IEnumerable<(AlignedText Piece, AddedToken? Token)> Cut(AlignedText text)
    {
        var done = 0;
        foreach (var (from, to, token) in Matches(text.Text))
        {
            var (start, end) = (from, to);
            if (token.SingleWord && (EndsInWord(text.Text.AsSpan(0, start)) || StartsInWord(text.Text.AsSpan(end)))) continue;
            if (token.LeftStrip) start = text.Text.AsSpan(0, start).TrimEnd().Length;
            if (token.RightStrip) end = text.Length - text.Text.AsSpan(end).TrimStart().Length;
            // A neighbour may have taken white space that this token would include or even consists of.
            start = Math.Max(start, done);
            if (end <= start) continue;
            if (start > done) yield return (text.Slice(done, start - done), null);
            yield return (text.Slice(start, end - start), token);
            done = end;
        }
        if (done < text.Length) yield return (text.Slice(done, text.Length - done), null);
    }

    private IEnumerable<(int From, int To, AddedToken Token)> Matches(string text)
    {
        for (var from = 0; from < text.Length;)
        {
            var (to, token) = Longest(text, from);
            if (token is not null) yield return (from, to, token);
            from = token is null ? from + 1 : to;
        }
    }

    private (int To, AddedToken? Token) Longest(string text, int from)
    {
        var (to, found, node) = (from, (AddedToken?)null, root);
        for (var i = from; i < text.Length && node.Children.TryGetValue(text[i], out var child); i++)
        {
            node = child;
            if (node.Token is not null) (to, found) = (i + 1, node.Token);
        }
        return (to, found);
    }

    private static bool EndsInWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var rune, out _) == System.Buffers.OperationStatus.Done && CharacterClass.IsWord(rune);

    private static bool StartsInWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var rune, out _) == System.Buffers.OperationStatus.Done && CharacterClass.IsWord(rune);

    private sealed class Node
    {
        public Dictionary<char, Node> Children { get; } = [];

        public AddedToken? Token { get; set; }

        public Node Step(char unit)
        {
            if (!Children.TryGetValue(unit, out var child)) Children[unit] = child = new();
            return child;
        }
    }
}
