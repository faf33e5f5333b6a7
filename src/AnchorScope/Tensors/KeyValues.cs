namespace AnchorScope.Tensors;

/// <summary>
/// Keys (after the rotary embedding) and values of a range of positions, per layer: a frozen prefix that many runs share, or the positions
/// that one pass adds.
/// </summary>
/// <remarks>
/// Keys are stored in panels [pos/16][d_head][16], so a vector holds one coordinate of sixteen keys. Values are stored in panels
/// [d_head/16][pos][16], so that the same sixteen columns of all positions are contiguous.
/// </remarks>
internal sealed unsafe class KeyValues : IDisposable
{
    private readonly float* _data;
    private readonly bool _owned;
    private readonly int _slots;
    private readonly long _keyFloats;
    private readonly long _headFloats;
    private bool _freed;

    /// <summary>Allocates space for <paramref name="capacity"/> positions from <paramref name="start"/> on, in all layers.</summary>
    public KeyValues(int layers, int heads, int headSize, int start, int capacity)
        : this(layers, heads, headSize, start, capacity, null)
    {
    }

    private KeyValues(int slots, int heads, int headSize, int start, int capacity, Arena? arena)
    {
        (_slots, Heads, HeadSize, Start, Capacity) = (slots, heads, headSize, start, capacity);
        ValuePanel = (long)capacity * 16;
        (_keyFloats, _headFloats) = FloatsOf(headSize, capacity);
        var floats = Math.Max(1, slots * heads * _headFloats);
        _owned = arena is null;
        _data = arena is null ? (float*)LargeMemory.Take(floats * sizeof(float)) : arena.TakeFloats(floats);
        // Padding is read, but its results are discarded. Padding of values is multiplied, so it must not hold a signalling NaN.
        if (headSize % 16 == 0) return;
        for (long done = 0; done < floats; done += int.MaxValue / sizeof(float))
            new Span<float>(_data + done, (int)Math.Min(int.MaxValue / sizeof(float), floats - done)).Clear();
    }

    private KeyValues(KeyValues of, int count)
    {
        (_slots, Heads, HeadSize, Start, Capacity) = (of._slots, of.Heads, of.HeadSize, of.Start, of.Capacity);
        (ValuePanel, _keyFloats, _headFloats, Count) = (of.ValuePanel, of._keyFloats, of._headFloats, count);
        _data = of._data;
    }

    /// <summary>Key/value heads.</summary>
    public int Heads { get; }

    /// <summary>Width of a head (d_head).</summary>
    public int HeadSize { get; }

    /// <summary>First position held.</summary>
    public int Start { get; }

    /// <summary>Maximum number of positions.</summary>
    public int Capacity { get; }

    /// <summary>Number of positions held by every layer.</summary>
    public int Count { get; private set; }

    /// <summary>Floats from one panel of values to the next.</summary>
    public long ValuePanel { get; }

    /// <summary>Memory for one layer at a time: enough for a pass that never reads the keys and values of an earlier layer again.</summary>
    public static KeyValues ForOneLayer(Arena arena, int heads, int headSize, int start, int capacity) =>
        new(1, heads, headSize, start, capacity, arena);

    /// <summary>Space in all layers, in memory of <paramref name="arena"/>, which successive generations reuse.</summary>
    internal static KeyValues In(Arena arena, int layers, int heads, int headSize, int start, int capacity) =>
        new(layers, heads, headSize, start, capacity, arena);

    /// <summary>The first <paramref name="count"/> positions, in the same memory, which the caller keeps alive.</summary>
    public KeyValues First(int count) => new(this, Math.Min(count, Count));

    /// <summary>Bytes per layer.</summary>
    public static long BytesOf(int heads, int headSize, int capacity) => sizeof(float) * heads * FloatsOf(headSize, capacity).Head;

    private static (long Keys, long Head) FloatsOf(int headSize, int capacity)
    {
        var keys = ((long)capacity + 15) / 16 * 16 * headSize;
        return (keys, keys + (headSize + 15L) / 16 * 16 * capacity);
    }

    /// <summary>Key panels of one head in one layer.</summary>
    public float* Keys(int layer, int head) => _data + ((_slots == 1 ? 0L : layer) * Heads + head) * _headFloats;

    /// <summary>Value panels of one head in one layer.</summary>
    public float* Values(int layer, int head) => Keys(layer, head) + _keyFloats;

    /// <summary>Writes keys and values [rows, heads x d_head] of one layer after the positions already held.</summary>
    public void Append(int layer, Tensor keys, Tensor values)
    {
        if (keys.Rows > Capacity - Count)
            throw new InvalidOperationException($"{keys.Rows} more positions do not fit after {Count} of {Capacity}");
        for (var head = 0; head < Heads; head++)
        {
            for (var row = 0; row < keys.Rows;)
                row += PutKeys(keys.RowRange(row, keys.Rows - row), head * HeadSize, Keys(layer, head), Count + row);
            for (var row = 0; row < keys.Rows; row++)
            {
                var value = new Span<float>(values.Data + (long)row * values.Columns + head * HeadSize, HeadSize);
                var target = Values(layer, head) + (long)(Count + row) * 16;
                for (var d = 0; d < HeadSize; d += 16, target += ValuePanel)
                    value[d..Math.Min(d + 16, HeadSize)].CopyTo(new Span<float>(target, 16));
            }
        }
    }

    /// <summary>
    /// Writes the first row to position <paramref name="at"/>, or the first four rows where they fill an aligned quarter of a panel.
    /// </summary>
    /// <returns>Number of rows written.</returns>
    private int PutKeys(Tensor rows, int column, float* keys, int at)
    {
        var count = rows.Rows < 4 || at % 4 != 0 ? 1 : 4;
        Transpose.Of(rows.Data + column, rows.Columns, count, HeadSize, keys + (long)(at / 16) * 16 * HeadSize + at % 16, 16);
        return count;
    }

    /// <summary>
    /// Copies, in one layer, the positions of <paramref name="other"/> from the first one that is missing here to its end, after those
    /// held.
    /// </summary>
    public void CopyFrom(int layer, KeyValues other)
    {
        var (from, count) = (Start + Count - other.Start, other.Start + other.Count - Start - Count);
        if (from < 0 || count > Capacity - Count)
            throw new ArgumentException($"positions {Start + Count} to {other.Start + other.Count} of keys that start at "
                + $"{other.Start} do not fit after {Count} of {Capacity}", nameof(other));
        if (count <= 0) return;
        for (var head = 0; head < Heads; head++)
        {
            CopyKeys(other.Keys(layer, head), from, Keys(layer, head), count);
            float* source = other.Values(layer, head) + (long)from * 16, target = Values(layer, head) + (long)Count * 16;
            // The same sixteen columns of successive positions are contiguous.
            for (var d = 0; d < HeadSize; d += 16, source += other.ValuePanel, target += ValuePanel)
                Buffer.MemoryCopy(source, target, (long)count * 16 * sizeof(float), (long)count * 16 * sizeof(float));
        }
    }

    private void CopyKeys(float* source, int from, float* target, int count)
    {
        // Where the panels of both begin together, a panel is copied as a whole.
        var whole = from % 16 == 0 && Count % 16 == 0 ? count / 16 * 16 : 0;
        var bytes = (long)whole * HeadSize * sizeof(float);
        Buffer.MemoryCopy(source + (long)from * HeadSize, target + (long)Count * HeadSize, bytes, bytes);
        for (var i = whole; i < count; i++)
        {
            var (at, there) = (Count + i, from + i);
            var key = target + (long)(at / 16) * 16 * HeadSize + at % 16;
            var other = source + (long)(there / 16) * 16 * HeadSize + there % 16;
            for (var d = 0; d < HeadSize; d++) key[d * 16] = other[d * 16];
        }
    }

    /// <summary>Copies the first <paramref name="count"/> positions of one head, row-major [count, d_head].</summary>
    internal void CopyRows(int layer, int head, int count, float* keys, float* values)
    {
        for (var at = 0; at < count; at += 16)
            Transpose.Of(Keys(layer, head) + (long)at * HeadSize, 16, HeadSize, Math.Min(16, count - at),
                keys + (long)at * HeadSize, HeadSize);
        for (var at = 0; at < count; at++)
        {
            var source = Values(layer, head) + (long)at * 16;
            for (var d = 0; d < HeadSize; d += 16, source += ValuePanel)
                new Span<float>(source, Math.Min(16, HeadSize - d)).CopyTo(new Span<float>(values + (long)at * HeadSize + d, 16));
        }
    }

    /// <summary>Counts <paramref name="positions"/> more as held. Call it once every layer has appended them.</summary>
    public void Advance(int positions) => Count += positions;

    /// <summary>
    /// Counts only the first <paramref name="positions"/> as held. A pass that was cancelled may have counted positions that not every
    /// layer has.
    /// </summary>
    public void Keep(int positions) => Count = Math.Min(Count, positions);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_owned && !_freed) LargeMemory.Free(_data);
        _freed = true;
    }
}
