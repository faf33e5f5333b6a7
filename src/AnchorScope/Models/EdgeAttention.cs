using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// Path patching: along an edge, some queries attend to keys or values of a donor run at some positions. Their attention is computed again
/// over separate keys and values, by the same kernel and in the same order, so an interchange with the run's own values gives the bits of
/// no edit.
/// </summary>
internal static unsafe class EdgeAttention
{
    /// <summary>
    /// Recomputes the rows of <paramref name="z"/> [row, head x d_head] that the run's edge edits change in <paramref name="layer"/>.
    /// </summary>
    /// <param name="inputs">Queries, keys and values of all rows of the pass.</param>
    public static void Forward(int layer, DecoderShape shape, AttentionRows inputs, Tensor z, in AttentionWork work, Compute compute)
    {
        if (HasEdges(work.Run, layer)) Recompute(layer, shape, inputs, z, work, compute);
    }

    // A separate method, because the closure of its lambdas is allocated on entry even without edges.
    private static void Recompute(int layer, DecoderShape shape, AttentionRows inputs, Tensor z, AttentionWork item, Compute compute)
    {
        Edit[] edits = [.. item.Run.Edits!.At(layer).ToArray().Where(e => e.IsEdge)];
        var mark = compute.Arena.Here();
        // Queries with the same set of edits share one set of keys and values.
        var groups = from position in Enumerable.Range(0, item.Run.Count)
                     from head in Enumerable.Range(0, shape.Heads)
                     let reaching = Reaching(edits, item.Run.Start + position, head)
                     where reaching != 0
                     group (position, head) by (reaching, KeyHead: head / (shape.Heads / shape.KeyHeads));
        var scratch = compute.Arena.TakeFloats(AttentionKernel.ScratchFloats(item.Keys));
        foreach (var sameKeys in groups.GroupBy(g => g.Key.reaching).OrderBy(g => g.Key))
        {
            var own = compute.Arena.Here();
            var replaced = Replaced(layer, shape, inputs, item, edits.Where((_, i) => (sameKeys.Key >> i & 1) == 1), compute.Arena);
            foreach (var group in sameKeys.OrderBy(g => g.Key.KeyHead))
            {
                foreach (var queries in group.Chunk(AttentionKernel.Rows))
                {
                    QueryRow[] rows = [
                        .. queries.Select(
                            at => RunAttention.Describe(item, shape, inputs.Query, z, at.position, at.head) with { Own = replaced })];
                    AttentionKernel.Attend(rows, layer, group.Key.KeyHead, null, 0, scratch);
                }
            }
            compute.Arena.Release(own);
        }
        compute.Arena.Release(mark);
    }

    private static bool HasEdges(RowBlock run, int layer)
    {
        foreach (var edit in run.Edits!.At(layer))
        {
            if (edit.IsEdge) return true;
        }
        return false;
    }

    /// <summary>The edits that apply to a query, as a bit mask.</summary>
    private static ulong Reaching(Edit[] edits, int position, int head)
    {
        var reaching = 0ul;
        for (var i = 0; i < edits.Length; i++)
        {
            if (edits[i].Positions.Contains(position) && edits[i].Heads?.Contains(head) != false) reaching |= 1ul << i;
        }
        return reaching;
    }

    /// <summary>All keys and values that the run attends to in this layer, with those replaced by <paramref name="edits"/>.</summary>
    private static KeyValues Replaced(int layer, DecoderShape shape, AttentionRows inputs, in AttentionWork item,
        IEnumerable<Edit> edits, Arena arena)
    {
        var (run, size, width) = (item.Run, shape.HeadSize, shape.KeyHeads * shape.HeadSize);
        var (keys, values) = (arena.Take(item.Keys, width), arena.Take(item.Keys, width));
        var before = item.Keys - run.Count;
        float* pastKeys = arena.TakeFloats((long)Math.Max(1, before + 16) * size),
            pastValues = arena.TakeFloats((long)Math.Max(1, before + 16) * size);
        var inPast = Math.Min(item.Own.Start, before);
        for (var head = 0; head < shape.KeyHeads; head++)
        {
            if (inPast > 0) Spread(run.Past!, layer, head, 0, inPast);
            if (before > inPast) Spread(item.Own, layer, head, inPast, before - inPast);
        }
        for (var i = 0; i < run.Count; i++)
        {
            inputs.Key[run.FirstRow + i].CopyTo(keys[before + i]);
            inputs.Value[run.FirstRow + i].CopyTo(values[before + i]);
        }
        foreach (var edit in edits)
        {
            var into = edit.Site == Site.Key ? keys : values;
            for (var i = 0; i < edit.Keys.List.Count && edit.Keys.List[i] < item.Keys; i++) edit.Rows![i].CopyTo(into[edit.Keys.List[i]]);
        }
        var replaced = KeyValues.ForOneLayer(arena, shape.KeyHeads, size, 0, item.Keys);
        replaced.Append(layer, keys, values);
        return replaced;

        void Spread(KeyValues from, int ofLayer, int head, int at, int count)
        {
            from.CopyRows(ofLayer, head, count, pastKeys, pastValues);
            for (var i = 0; i < count; i++)
            {
                new Span<float>(pastKeys + (long)i * size, size).CopyTo(keys[at + i][(head * size)..]);
                new Span<float>(pastValues + (long)i * size, size).CopyTo(values[at + i][(head * size)..]);
            }
        }
    }
}
