using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Attention of every run of a pass over its past and its own keys, edges cut as its intervention says.</summary>
internal static unsafe class RunAttention
{
    /// <summary>Puts keys and values where each run keeps them and returns z [row, head x d_head].</summary>
    public static Tensor Forward(int layer, DecoderShape shape, Tensor q, Tensor k, Tensor v, Pass pass)
    {
        var (arena, team, _) = pass.Compute;
        var z = arena.Take(q.Rows, q.Columns);
        var runs = pass.RunsAt(layer).ToArray();
        var work = new Work[runs.Length];
        var longest = 0;
        var cost = 0L;
        for (var i = 0; i < runs.Length; i++)
        {
            var run = runs[i];
            var own = run.Own ?? KeyValues.ForOneLayer(arena, shape.KeyHeads, shape.HeadSize, run.Start, run.Count);
            own.Put(layer, k.RowRange(run.FirstRow, run.Count), v.RowRange(run.FirstRow, run.Count));
            if (own.Start > (run.Past?.Count ?? 0))
                throw new InvalidOperationException($"a run that keeps positions from {own.Start} on has a past of only {run.Past?.Count ?? 0}");
            var keys = own.Start + own.Count + run.Count;
            work[i] = new Work(run, own, keys, Cuts(run, layer, shape.Heads), run.Traces.Any(t => t.Sites.Contains(Site.AttnPattern)) ? new float[(long)shape.Heads * run.Count * keys] : []);
            longest = Math.Max(longest, keys);
            cost += 4L * run.Count * keys * shape.HeadSize;
        }
        var scratchFloats = AttentionKernel.ScratchFloats(longest);
        var scratch = arena.TakeFloats(scratchFloats * team.Size);
        team.For(runs.Length * shape.Heads, runs.Length == 0 ? 0 : cost / runs.Length, (item, member) =>
        {
            var (run, own, keys, cuts, pattern) = work[item / shape.Heads];
            var head = item % shape.Heads;
            var first = (long)run.FirstRow * q.Columns + head * shape.HeadSize;
            AttentionKernel.Head(
                q.Data + first, q.Columns, run.Count, run.Start, causal: true, layer, head / (shape.Heads / shape.KeyHeads),
                run.Past, own.Start, own, keys - own.Start, cuts.Length == 0 ? [] : cuts[cuts.Length == 1 ? 0 : head],
                z.Data + first, z.Columns,
                pattern.Length == 0 ? [] : pattern.AsSpan(head * run.Count * keys, run.Count * keys),
                scratch + scratchFloats * member);
        });
        foreach (var item in work)
        {
            foreach (var trace in item.Run.Traces)
            {
                if (trace.Sites.Contains(Site.AttnPattern)) trace.KeepPattern(layer, item.Pattern, shape.Heads, item.Run.Count, item.Keys, item.Run.Start);
            }
        }
        return z;
    }

    /// <summary>Removed edges by head: nothing, one list for all heads, or one for each.</summary>
    private static CutEdge[][] Cuts(Run run, int layer, int heads)
    {
        var edits = run.Intervention.Edits.Where(e => e.Layer == layer && e.Site == Site.AttnScores).ToList();
        if (edits.Count == 0) return [];
        if (edits.TrueForAll(e => e.Heads is null)) return [Edges(edits, run)];
        return [.. Enumerable.Range(0, heads).Select(head => Edges(edits.Where(e => e.Heads is null || e.Heads.Contains(head)), run))];
    }

    private static CutEdge[] Edges(IEnumerable<Edit> edits, Run run)
    {
        var end = run.Start + run.Count;
        return [.. (from edit in edits
                    from queries in edit.Positions.Ranges(end)
                    from query in Enumerable.Range(Math.Max(queries.From, run.Start), Math.Max(0, queries.To - Math.Max(queries.From, run.Start)))
                    from keys in edit.Keys.Ranges(query + 1)
                    orderby query
                    select new CutEdge(query, keys.From, keys.To))];
    }

    private sealed record Work(Run Run, KeyValues Own, int Keys, CutEdge[][] Cuts, float[] Pattern);
}
