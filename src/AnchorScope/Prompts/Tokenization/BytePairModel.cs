using System.Globalization;
using System.Text;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Byte-pair encoding: a word starts as its characters, and the neighbouring pair with the lowest rank is merged until none is
/// left (Sennrich et al. 2016); ties go to the left. A heap over a linked list makes that O(n log n), which matters where a whole
/// document is one word.
/// </summary>
internal sealed class BytePairModel : TokenModel
{
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> merges = [];
    private readonly Dictionary<int, int> idOfRune = [];
    private readonly int?[] idOfByte = new int?[256];
    private readonly int? unknownId;
    private readonly bool fuseUnknown;
    private readonly bool wholeWordsFirst;

    public BytePairModel(JsonField model, IReadOnlyDictionary<string, int> addedIds) : base(model)
    {
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Find(name) is { } affix && affix.Text().Length > 0) throw affix.Unsupported("values: null or \"\"");
        if (model.Find("dropout") is { } dropout && dropout.Value.ToString() is not ("0" or "0.0"))
            throw dropout.Unsupported("values: null or 0, because encoding must not be random");

        unknownId = UnknownId(model, addedIds);
        fuseUnknown = model.Flag("fuse_unk", false);
        wholeWordsFirst = model.Flag("ignore_merges", false);
        ReadMerges(model.Get("merges"));
        foreach (var (token, id) in Vocabulary)
            if (token.Length > 0 && Rune.TryGetRuneAt(token, 0, out var rune) && rune.Utf16SequenceLength == token.Length)
                idOfRune[rune.Value] = id;
        if (!model.Flag("byte_fallback", false)) return;
        for (var value = 0; value < 256; value++)
            if (Vocabulary.TryGetValue(string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>"), out var id)) idOfByte[value] = id;
    }

    public override void Encode(string word, List<WordToken> tokens)
    {
        if (wholeWordsFirst && Vocabulary.TryGetValue(word, out var whole))
            tokens.Add(new(whole, 0, word.Length));
        else
            Merge(Symbols(word), tokens);
    }

    // A hundred thousand and more in real files: looked up as parts of one string, without a string for each part.
    private void ReadMerges(JsonField field)
    {
        var known = Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        var joined = Array.Empty<char>();
        if (field.Value.ValueKind != System.Text.Json.JsonValueKind.Array) throw field.Expected("an array");
        merges.EnsureCapacity(field.Value.GetArrayLength());
        var rank = 0;
        foreach (var element in field.Value.EnumerateArray())
        {
            var merge = new JsonField(field.File, field.Path, element);
            string first, second = "";
            if (merge.IsText) first = merge.Text();
            else if (At(merge).Items().Select(part => part.Text()).ToArray() is [var one, var two]) (first, second) = (one, two);
            else throw Wrong(merge);
            var space = second.Length > 0 ? first.Length : first.IndexOf(' ', StringComparison.Ordinal);
            if (space < 0 || (second.Length == 0 && first.IndexOf(' ', space + 1) >= 0)) throw Wrong(merge);
            var left = first.AsSpan(0, space);
            var right = second.Length > 0 ? second.AsSpan() : first.AsSpan(space + 1);
            var length = left.Length + right.Length;
            if (joined.Length < length) joined = new char[2 * length];
            left.CopyTo(joined);
            right.CopyTo(joined.AsSpan(left.Length));
            if (!known.TryGetValue(left, out var leftId) || !known.TryGetValue(right, out var rightId) || !known.TryGetValue(joined.AsSpan(0, length), out var id))
                throw At(merge).Expected("two tokens of the vocabulary whose concatenation is in it too");
            merges[(leftId, rightId)] = (rank++, id);
        }

        JsonField At(JsonField merge) => merge with { Path = $"{field.Path}[{rank}]" };
        InputException Wrong(JsonField merge) => At(merge).Expected("\"left right\" or [\"left\", \"right\"]");
    }

    // What is not in the vocabulary becomes the tokens of its bytes, or the unknown token, or nothing.
    private List<WordToken> Symbols(string word)
    {
        var symbols = new List<WordToken>(word.Length);
        Span<byte> utf8 = stackalloc byte[4];
        var afterUnknown = false;
        for (int i = 0, length; i < word.Length; i += length)
        {
            var rune = Rune.GetRuneAt(word, i);
            length = rune.Utf16SequenceLength;
            var isUnknown = false;
            if (idOfRune.TryGetValue(rune.Value, out var id))
                symbols.Add(new(id, i, i + length));
            else if (BytesKnown(utf8[..rune.EncodeToUtf8(utf8)]))
                foreach (var value in utf8[..rune.Utf8SequenceLength]) symbols.Add(new(idOfByte[value]!.Value, i, i + length));
            else if (unknownId is { } unknown)
            {
                isUnknown = true;
                if (afterUnknown && fuseUnknown) symbols[^1] = symbols[^1] with { End = i + length };
                else symbols.Add(new(unknown, i, i + length));
            }
            afterUnknown = isUnknown;
        }
        return symbols;
    }

    private bool BytesKnown(ReadOnlySpan<byte> utf8)
    {
        foreach (var value in utf8)
            if (idOfByte[value] is null) return false;
        return true;
    }

    private void Merge(List<WordToken> symbols, List<WordToken> tokens)
    {
        // previous and next link the symbols that are left; a symbol that was merged into its left neighbour has next -2.
        var (previous, next) = (new int[symbols.Count], new int[symbols.Count]);
        var queue = new PriorityQueue<(int Left, int Id), long>();
        for (var i = 0; i < symbols.Count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1 < symbols.Count ? i + 1 : -1;
            if (i > 0) Offer(i - 1, i);
        }
        while (queue.TryDequeue(out var candidate, out _))
        {
            var left = candidate.Left;
            var right = next[left];
            // The queue still holds pairs that an earlier merge has changed.
            if (right < 0) continue;
            if (!merges.TryGetValue((symbols[left].Id, symbols[right].Id), out var merge) || merge.Id != candidate.Id) continue;
            symbols[left] = new(merge.Id, symbols[left].Start, symbols[right].End);
            next[left] = next[right];
            next[right] = -2;
            if (next[left] >= 0)
            {
                previous[next[left]] = left;
                Offer(left, next[left]);
            }
            if (previous[left] >= 0) Offer(previous[left], left);
        }
        for (var i = symbols.Count > 0 ? 0 : -1; i >= 0; i = next[i]) tokens.Add(symbols[i]);

        void Offer(int left, int right)
        {
            if (merges.TryGetValue((symbols[left].Id, symbols[right].Id), out var merge))
                queue.Enqueue((left, merge.Id), ((long)merge.Rank << 32) | (uint)left);
        }
    }
}
