using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Byte-pair encoding: a word starts as its characters, and the adjacent pair with the lowest rank is merged until no pair can be merged
/// (Sennrich et al. 2016). Of equal ranks the leftmost pair is merged first.
/// </summary>
/// <remarks>
/// A whole document may be one word. It is first split where no merge can ever cross. A long piece is merged rank by rank with buckets
/// instead of a heap. Neither changes a token.
/// </remarks>
internal sealed class BytePairModel : TokenModel
{
    /// <summary>Number of symbols from which buckets, with a list for every rank, are faster than a heap.</summary>
    private const int Long = 20_000;

    /// <summary>Number of symbols up to which a scan of all pairs for every merge is fastest.</summary>
    private const int Short = 40;

    private readonly PairTable ranks;
    private readonly int[] idOfRank;
    private readonly PairTable joins;
    private readonly bool growing;
    private readonly Dictionary<int, int> idOfRune = [];
    private readonly int?[] idOfByte = new int?[256];
    private readonly int? unknownId;
    private readonly bool fuseUnknown;
    private readonly bool wholeWordsFirst;

    public BytePairModel(JsonField model, Dictionary<string, int> vocabulary, IReadOnlyDictionary<string, int> addedIds) : base(vocabulary)
    {
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Find(name) is { } affix && affix.Text().Length > 0) throw affix.Unsupported("values: null or \"\"");
        if (model.Find("dropout") is { } dropout && dropout.Value.ToString() is not ("0" or "0.0"))
            throw dropout.Unsupported("values: null or 0, because encoding must not be random");

        unknownId = UnknownId(model, addedIds);
        fuseUnknown = model.Flag("fuse_unk", false);
        wholeWordsFirst = model.Flag("ignore_merges", false);
        foreach (var (token, id) in Vocabulary)
            if (token.Length is 1 or 2 && Rune.TryGetRuneAt(token, 0, out var rune) && rune.Utf16SequenceLength == token.Length)
                idOfRune[rune.Value] = id;
        for (var value = 0; value < 256 && model.Flag("byte_fallback", false); value++)
            if (Vocabulary.TryGetValue(string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>"), out var id)) idOfByte[value] = id;
        var merges = ReadMerges(model.Get("merges"));
        (ranks, joins, idOfRank) = (new(merges.Count), new(1000), new int[merges.Count]);
        var (ends, bytes) = (Ends(), idOfByte.OfType<int>().ToHashSet());
        var firstUse = new int[ends.Length];
        Array.Fill(firstUse, int.MaxValue);
        for (var rank = merges.Count - 1; rank >= 0; rank--) firstUse[merges[rank].Left] = firstUse[merges[rank].Right] = rank;
        growing = true;
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right, id) = merges[rank];
            ranks[left, right] = rank;
            idOfRank[rank] = id;
            growing &= firstUse[id] > rank;
            joins[ends[left].Last, ends[right].First] = 1;
            // The token of a byte is a separate symbol, in addition to the symbol of its text.
            if (bytes.Count == 0) continue;
            if (bytes.Contains(left)) joins[left, ends[right].First] = 1;
            if (bytes.Contains(right)) joins[ends[left].Last, right] = 1;
            if (bytes.Contains(left) && bytes.Contains(right)) joins[left, right] = 1;
        }
    }

    public override int? Unknown => unknownId;

    /// <summary>First and last symbol of every token's text, by id; -1 for a symbol outside the vocabulary.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (int First, int Last)[] Ends()
    {
        var ends = new (int First, int Last)[Vocabulary.Count == 0 ? 0 : Vocabulary.Values.Max() + 1];
        foreach (var (token, id) in Vocabulary)
        {
            _ = Rune.DecodeFromUtf16(token, out var first, out _);
            _ = Rune.DecodeLastFromUtf16(token, out var last, out _);
            ends[id] = (idOfRune.GetValueOrDefault(first.Value, -1), idOfRune.GetValueOrDefault(last.Value, -1));
        }
        return ends;
    }

    public override void Encode(string word, List<WordToken> tokens)
    {
        if (wholeWordsFirst && Vocabulary.TryGetValue(word, out var whole))
            tokens.Add(new(whole, 0, word.Length));
        else
            Merge(Symbols(word), tokens);
    }

    // Real files have a hundred thousand merges or more, so the parts are looked up as spans of one string, without allocating a string for
    // each.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private List<(int Left, int Right, int Id)> ReadMerges(JsonField field)
    {
        var known = Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        var joined = Array.Empty<char>();
        if (field.Value.ValueKind != JsonValueKind.Array) throw field.Expected("an array");
        var merges = new List<(int, int, int)>(field.Value.GetArrayLength());
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
            if (!known.TryGetValue(left, out var leftId) || !known.TryGetValue(right, out var rightId)
                || !known.TryGetValue(joined.AsSpan(0, length), out var id))
                throw At(merge).Expected("two tokens of the vocabulary whose concatenation is in it too");
            merges.Add((leftId, rightId, id));
        }
        return merges;

        JsonField At(JsonField merge) => merge with { Path = $"{field.Path}[{merges.Count}]" };
        InputException Wrong(JsonField merge) => At(merge).Expected("\"left right\" or [\"left\", \"right\"]");
    }

    // A character outside the vocabulary becomes the tokens of its bytes, or the unknown token, or nothing. As in the reference, an unknown
    // token is written when the next known character comes: tokens of bytes after it are written before it, and do not end a sequence of
    // fused ones.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private List<WordToken> Symbols(string word)
    {
        var symbols = new List<WordToken>(word.Length);
        Span<byte> utf8 = stackalloc byte[4];
        WordToken? pending = null;
        for (int i = 0, length; i < word.Length; i += length)
        {
            var rune = Rune.GetRuneAt(word, i);
            length = rune.Utf16SequenceLength;
            if (idOfRune.TryGetValue(rune.Value, out var id))
            {
                if (pending is { } before) symbols.Add(before);
                pending = null;
                symbols.Add(new(id, i, i + length));
            }
            else if (BytesKnown(utf8[..rune.EncodeToUtf8(utf8)]))
            {
                foreach (var value in utf8[..rune.Utf8SequenceLength]) symbols.Add(new(idOfByte[value]!.Value, i, i + length));
            }
            else if (unknownId is { } unknown)
            {
                if (pending is { } open && !fuseUnknown) symbols.Add(open);
                pending = new(unknown, fuseUnknown && pending is { } row ? row.Start : i, i + length);
            }
        }
        if (pending is { } last) symbols.Add(last);
        return symbols;
    }

    private bool BytesKnown(ReadOnlySpan<byte> utf8)
    {
        foreach (var value in utf8)
            if (idOfByte[value] is null) return false;
        return true;
    }

    /// <summary>Merges piece by piece. Between two symbols that no merge joins, no merge can ever cross.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Merge(List<WordToken> symbols, List<WordToken> tokens)
    {
        var all = CollectionsMarshal.AsSpan(symbols);
        for (int from = 0, to; from < all.Length; from = to)
        {
            for (to = from + 1; to < all.Length && joins[all[to - 1].Id, all[to].Id] >= 0; to++)
            {
            }
            if (to - from == 1) tokens.Add(all[from]);
            else if (to - from >= Long && growing) new Buckets(this, all[from..to]).Merge(tokens);
            else if (to - from <= Short) ByScan(all[from..to], tokens);
            else ByHeap(all[from..to], tokens);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ByScan(Span<WordToken> symbols, List<WordToken> tokens)
    {
        // The rank of each symbol with its right neighbour; the highest value if there is no merge.
        Span<int> pairs = stackalloc int[Short];
        pairs = pairs[..(symbols.Length - 1)];
        for (var i = 0; i < pairs.Length; i++) pairs[i] = RankOf(symbols, i);
        while (!pairs.IsEmpty)
        {
            var best = pairs.IndexOf(TensorPrimitives.Min<int>(pairs));
            if (pairs[best] == int.MaxValue) break;
            symbols[best] = new(idOfRank[pairs[best]], symbols[best].Start, symbols[best + 1].End);
            symbols[(best + 2)..].CopyTo(symbols[(best + 1)..]);
            symbols = symbols[..^1];
            pairs[(best + 1)..].CopyTo(pairs[best..]);
            pairs = pairs[..^1];
            if (best < pairs.Length) pairs[best] = RankOf(symbols, best);
            if (best > 0) pairs[best - 1] = RankOf(symbols, best - 1);
        }
        foreach (var symbol in symbols) tokens.Add(symbol);
    }

    private int RankOf(Span<WordToken> symbols, int left) =>
        ranks[symbols[left].Id, symbols[left + 1].Id] is var rank and >= 0 ? rank : int.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ByHeap(Span<WordToken> symbols, List<WordToken> tokens)
    {
        // previous and next link the remaining symbols. A symbol that was merged into its left neighbour has next -2.
        var (previous, next) = (new int[symbols.Length], new int[symbols.Length]);
        var queue = new PriorityQueue<int, long>();
        for (var i = 0; i < symbols.Length; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1 < symbols.Length ? i + 1 : -1;
            if (i > 0) Offer(symbols, i - 1, i);
        }
        while (queue.TryDequeue(out var left, out var key))
        {
            var right = next[left];
            // The queue still contains pairs that an earlier merge has changed.
            if (right < 0) continue;
            var rank = ranks[symbols[left].Id, symbols[right].Id];
            if (rank != (int)(key >> 32)) continue;
            symbols[left] = new(idOfRank[rank], symbols[left].Start, symbols[right].End);
            next[left] = next[right];
            next[right] = -2;
            if (next[left] >= 0)
            {
                previous[next[left]] = left;
                Offer(symbols, left, next[left]);
            }
            if (previous[left] >= 0) Offer(symbols, previous[left], left);
        }
        for (var i = 0; i >= 0; i = next[i]) tokens.Add(symbols[i]);

        void Offer(Span<WordToken> symbols, int left, int right)
        {
            var rank = ranks[symbols[left].Id, symbols[right].Id];
            if (rank >= 0) queue.Enqueue(left, ((long)rank << 32) | (uint)left);
        }
    }

    /// <summary>
    /// For long pieces of a vocabulary in which the result of a merge takes part only in later merges: rank by rank, each from left to
    /// right.
    /// </summary>
    private readonly ref struct Buckets
    {
        private readonly BytePairModel model;
        private readonly Span<WordToken> symbols;
        private readonly int[] previous;
        private readonly int[] next;
        // Rank of the pair that begins at a symbol; -1 if it has none or the symbol was merged.
        private readonly int[] rankAt;
        private readonly List<(int Left, int Next)> entries;
        private readonly int[] newest;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public Buckets(BytePairModel model, Span<WordToken> symbols)
        {
            this.model = model;
            this.symbols = symbols;
            (previous, next, rankAt) = (new int[symbols.Length], new int[symbols.Length], new int[symbols.Length]);
            newest = new int[model.idOfRank.Length];
            Array.Fill(newest, -1);
            entries = new(symbols.Length);
            for (var i = 0; i < symbols.Length; i++) (previous[i], next[i]) = (i - 1, i + 1 < symbols.Length ? i + 1 : -1);
            for (var i = 0; i < symbols.Length; i++) Offer(i);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Merge(List<WordToken> tokens)
        {
            var lefts = new List<int>();
            for (var rank = 0; rank < newest.Length; rank++)
            {
                lefts.Clear();
                for (var entry = newest[rank]; entry >= 0; entry = entries[entry].Next) lefts.Add(entries[entry].Left);
                lefts.Sort();
                foreach (var left in lefts)
                {
                    if (rankAt[left] != rank) continue;
                    var right = next[left];
                    symbols[left] = new(model.idOfRank[rank], symbols[left].Start, symbols[right].End);
                    next[left] = next[right];
                    rankAt[right] = -1;
                    if (next[left] >= 0) previous[next[left]] = left;
                    Offer(left);
                    if (previous[left] >= 0) Offer(previous[left]);
                }
            }
            for (var i = 0; i >= 0; i = next[i]) tokens.Add(symbols[i]);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Offer(int left)
        {
            rankAt[left] = next[left] < 0 ? -1 : model.ranks[symbols[left].Id, symbols[next[left]].Id];
            if (rankAt[left] < 0) return;
            entries.Add((left, newest[rankAt[left]]));
            newest[rankAt[left]] = entries.Count - 1;
        }
    }
}
