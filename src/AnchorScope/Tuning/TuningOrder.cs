namespace AnchorScope.Tuning;

/// <summary>Items in random order, each once per epoch. The item at an index depends only on the seed and the index.</summary>
internal sealed class TuningOrder(IReadOnlyList<TuningItem> items, ulong seed)
{
    private long _epoch = -1;
    private int[] _order = [];

    /// <summary><paramref name="count"/> items from an index on.</summary>
    public IEnumerable<TuningItem> From(long place, int count)
    {
        for (var i = place; i < place + count; i++)
        {
            if (i / items.Count != _epoch) Shuffle(i / items.Count);
            yield return items[_order[i % items.Count]];
        }
    }

    private void Shuffle(long epoch)
    {
        var random = new SplitMix(SplitMix.At(seed, (ulong)epoch));
        var keys = items.Select(_ => random.Next()).ToArray();
        (_epoch, _order) = (epoch, [.. Enumerable.Range(0, items.Count).OrderBy(i => keys[i])]);
    }
}
