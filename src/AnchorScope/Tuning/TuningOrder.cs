namespace AnchorScope.Tuning;

/// <summary>Items in a random order, all of them before any comes again. What comes at a place follows from the seed and the place alone.</summary>
internal sealed class TuningOrder(IReadOnlyList<TuningItem> items, ulong seed)
{
    private long _epoch = -1;
    private int[] _order = [];

    /// <summary>As many as <paramref name="count"/> from a place on.</summary>
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
