using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>The attention work of one run in the current layer.</summary>
/// <param name="Run">The run.</param>
/// <param name="Own">Its own keys and values.</param>
/// <param name="Keys">Number of positions that its last row attends to.</param>
/// <param name="Scores">Score edits: none, one list for all heads, or one list per head.</param>
/// <param name="Pattern">Destination of the probabilities [head, pos, key]; empty if they are not recorded.</param>
/// <param name="Recorded">Its positions, sorted; null: all positions of the run.</param>
/// <param name="Given">Replacement probabilities of a donor run by head and position of the run; null for none.</param>
internal readonly record struct AttentionWork(RowBlock Run, KeyValues Own, int Keys, ScoreEdit[][] Scores,
    float[] Pattern, int[]? Recorded, GivenPatterns? Given);

/// <summary>Attention of every run of a pass over its frozen prefix and its own keys, with the score edits of its intervention.</summary>
internal static unsafe class RunAttention
{
    /// <summary>
    /// Runs that share a prefix are split into several chunks of work beyond this number of rows, so that every thread gets some.
    /// </summary>
    private const int MostRows = 128;

    /// <summary>
    /// Appends keys and values to each run's own and returns z [row, head x d_head]. For runs that join after attention, whose rows are the
    /// last ones, z is copied from their recorded head outputs.
    /// </summary>
    public static Tensor Forward(int layer, DecoderShape shape, Tensor q, Tensor k, Tensor v, Pass pass)
    {
        var inputs = new AttentionRows(q, k, v);
        var arena = pass.Compute.Arena;
        var runs = pass.RunsAt(layer);
        var z = arena.Take(pass.RowsAt(layer), shape.Heads * shape.HeadSize);
        var work = pass.Attention;
        var (count, longest, cost) = (0, 0, 0L);
        foreach (var run in runs)
        {
            if (run.FirstRow >= q.Rows)
            {
                for (var i = 0; i < run.Count; i++) run.HeadOutputs!.Value[i].CopyTo(z[run.FirstRow + i]);
                continue;
            }
            work[count] = Work(run, layer, shape, k, v, arena);
            longest = Math.Max(longest, work[count].Keys);
            cost += 4L * run.Count * work[count].Keys * shape.HeadSize * (shape.Heads / shape.KeyHeads);
            count++;
        }
        if (count == 0) return z;
        var groups = (int*)arena.TakeFloats(count + 1);
        var parts = Group(work.AsSpan(0, count), groups);
        var scratchFloats = AttentionKernel.ScratchFloats(longest);
        var scratch = arena.TakeFloats(scratchFloats * pass.Compute.Team.Size);
        pass.Compute.Team.For(parts * shape.KeyHeads, cost / parts,
            new GroupAttention
            {
                Layer = layer,
                Shape = shape,
                Queries = q,
                Output = z,
                Work = work,
                FirstRuns = groups,
                Groups = parts,
                Scratch = scratch,
                ScratchFloats = scratchFloats,
            });
        for (var i = 0; i < count; i++) EdgeAttention.Forward(layer, shape, inputs, z, work[i], pass.Compute);
        for (var i = 0; i < count; i++)
        {
            foreach (var trace in work[i].Run.Traces)
            {
                if (trace.Sites.Contains(Site.AttnPattern))
                    trace.KeepPattern(Site.AttnPattern, layer, work[i].Pattern, shape.Heads, work[i].Run.Count,
                        work[i].Keys, work[i].Run.Start);
            }
        }
        return z;
    }

    /// <summary>
    /// Gradients with respect to queries, keys and values of the runs, from the gradient with respect to z. The prefix is frozen.
    /// </summary>
    public static AttentionRows Backward(int layer, DecoderShape shape, AttentionRows inputs, Tensor dz, Pass pass)
    {
        var (arena, runs, size) = (pass.Compute.Arena, pass.Runs, shape.HeadSize);
        if (runs.SelectMany(run => run.Intervention.Edits).FirstOrDefault(e => e.IsEdge || e.Site == Site.AttnPattern) is { } replaced)
            throw new ArgumentException(
                $"there are no gradients through an interchange of {SiteNames.Of(replaced.Site)} {(replaced.IsEdge ? "along an edge" : "")}"
                    .TrimEnd(), nameof(pass));
        var derivatives = new AttentionRows(arena.Take(dz.Rows, inputs.Query.Columns), arena.Take(dz.Rows, inputs.Key.Columns),
            arena.Take(dz.Rows, inputs.Value.Columns));
        var scores = runs.Select(run => Scores(run, layer, shape.Heads)).ToArray();
        var (longest, before, group) = (runs.Max(run => run.Count), runs.Max(run => run.Start), shape.Heads / shape.KeyHeads);
        // For each thread: keys and values of the prefix, and the scratch of the backward kernel.
        var pastFloats = 2L * before * size;
        var scratchFloats = pastFloats + AttentionGradient.ScratchFloats(longest, before, size);
        var scratch = arena.TakeFloats(scratchFloats * pass.Compute.Team.Size);
        float[][] noted = [
            .. runs.Select(run => run.Derivatives.Any(t => t.Sites.Contains(Site.AttnScores))
                ? GC.AllocateUninitializedArray<float>(shape.Heads * run.Count * (run.Start + run.Count), pinned: true) : [])];
        pass.Compute.Team.For(runs.Count * shape.KeyHeads, 10L * longest * (before + longest) * size * group, (item, member) =>
        {
            var (index, keyHead) = (item / shape.KeyHeads, item % shape.KeyHeads);
            var (run, own) = (runs[index], scores[index]);
            float* keys = scratch + scratchFloats * member, values = keys + (long)before * size;
            run.Past?.CopyRows(layer, keyHead, run.Start, keys, values);
            AttentionGradient.Of(
                inputs, dz, derivatives, new AttentionStretch(run.FirstRow, run.Count, keyHead, Causal: true), size, group,
                new AttentionPast(run.Start, (nint)keys, (nint)values),
                own.Length == 0 ? null : head => own[own.Length == 1 ? 0 : head],
                noted[index].Length == 0
                    ? null
                    : (float*)Marshal.UnsafeAddrOfPinnedArrayElement(noted[index], keyHead * group * run.Count * (run.Start + run.Count)),
                keys + pastFloats);
        });
        for (var i = 0; i < noted.Length; i++)
        {
            foreach (var trace in runs[i].Derivatives.Where(t => t.Sites.Contains(Site.AttnScores)))
                trace.KeepPattern(Site.AttnScores, layer, noted[i], shape.Heads, runs[i].Count,
                    runs[i].Start + runs[i].Count, runs[i].Start);
        }
        return derivatives;
    }

    private static AttentionWork Work(RowBlock run, int layer, DecoderShape shape, Tensor k, Tensor v, Arena arena)
    {
        var own = run.Own ?? KeyValues.ForOneLayer(arena, shape.KeyHeads, shape.HeadSize, run.Start, run.Count);
        own.Append(layer, k.RowRange(run.FirstRow, run.Count), v.RowRange(run.FirstRow, run.Count));
        if (own.Start > (run.Past?.Count ?? 0))
            throw new InvalidOperationException(
                $"a run that keeps positions from {own.Start} on has a prefix of only {run.Past?.Count ?? 0}");
        var keys = own.Start + own.Count + run.Count;
        var (recorded, positions) = Recorded(run);
        return new AttentionWork(run, own, keys, Scores(run, layer, shape.Heads),
            recorded ? GC.AllocateUninitializedArray<float>(shape.Heads * (positions?.Length ?? run.Count) * keys, pinned: true) : [],
            positions, GivenPatterns.Of(run, layer, shape.Heads, keys));
    }

    /// <summary>
    /// Whether probabilities are recorded, and at which positions: null for all of the run. One trace that names a few positions of a long
    /// prompt needs memory for these only.
    /// </summary>
    private static (bool Any, int[]? Positions) Recorded(RowBlock run)
    {
        var (count, positions) = (0, (int[]?)null);
        foreach (var trace in run.Traces)
        {
            if (!trace.Sites.Contains(Site.AttnPattern)) continue;
            positions = trace.SortedPositions;
            count++;
        }
        var few = count == 1 && positions is [var first, ..] && first >= run.Start && positions[^1] < run.Start + run.Count;
        return (count > 0, few ? positions : null);
    }

    /// <summary>Groups adjacent runs that share the same prefix, so that their queries read its keys and values together.</summary>
    /// <param name="first">Receives the index of the first run of each group, followed by the number of runs.</param>
    /// <returns>Number of groups.</returns>
    private static int Group(ReadOnlySpan<AttentionWork> work, int* first)
    {
        var (count, rows) = (0, 0);
        for (var i = 0; i < work.Length; i++)
        {
            if (i == 0 || rows + work[i].Run.Count > MostRows || work[i].Run.Past != work[i - 1].Run.Past
                || work[i].Own.Start != work[i - 1].Own.Start)
                (first[count++], rows) = (i, 0);
            rows += work[i].Run.Count;
        }
        first[count] = work.Length;
        return count;
    }

    private static ScoreEdit[][] Scores(RowBlock run, int layer, int heads)
    {
        var changed = false;
        foreach (var edit in run.Edits!.At(layer)) changed |= edit.Site == Site.AttnScores;
        return changed ? ScoreEdits(run, layer, heads) : [];
    }

    // A separate method, because the closure of its lambdas is allocated on entry even without edits.
    private static ScoreEdit[][] ScoreEdits(RowBlock run, int layer, int heads)
    {
        var edits = run.Edits!.At(layer).ToArray().Where(e => e.Site == Site.AttnScores).ToList();
        if (edits.TrueForAll(e => e.Heads is null)) return [Edges(edits, run)];
        return [.. Enumerable.Range(0, heads).Select(head => Edges(edits.Where(e => e.Heads is null || e.Heads.Contains(head)), run))];
    }

    private static ScoreEdit[] Edges(IEnumerable<Edit> edits, RowBlock run)
    {
        var end = run.Start + run.Count;
        return [.. (from edit in edits
                    from queries in edit.Positions.Ranges(end)
                    from query in Enumerable.Range(Math.Max(queries.From, run.Start),
                        Math.Max(0, queries.To - Math.Max(queries.From, run.Start)))
                    from keys in edit.Keys.Ranges(query + 1)
                    orderby query
                    select new ScoreEdit(query, keys.From, keys.To,
                        edit.Operation == Operation.Set ? float.NegativeInfinity : edit.Factor))];
    }

    /// <summary>
    /// One key/value head of one group: the queries of all its runs and of all heads that share the key/value head, in batches of the
    /// kernel's size.
    /// </summary>
    private readonly struct GroupAttention : ITeamWork
    {
        public required int Layer { get; init; }

        public required DecoderShape Shape { get; init; }

        /// <summary>Queries of all rows of the pass [row, head x d_head].</summary>
        public required Tensor Queries { get; init; }

        /// <summary>Destination of z [row, head x d_head].</summary>
        public required Tensor Output { get; init; }

        public required AttentionWork[] Work { get; init; }

        /// <summary>Index of the first run of each group, followed by the number of runs.</summary>
        public required int* FirstRuns { get; init; }

        /// <summary>Number of groups.</summary>
        public required int Groups { get; init; }

        /// <summary>Scratch of all threads, <see cref="ScratchFloats"/> for each.</summary>
        public required float* Scratch { get; init; }

        public required long ScratchFloats { get; init; }

        public void Do(int chunk, int member)
        {
            // Head by head, so that the keys of one head stay in cache while all groups attend to them.
            var (keyHead, group) = (chunk / Groups, chunk % Groups);
            var first = Work[FirstRuns[group]];
            var sharing = Shape.Heads / Shape.KeyHeads;
            var scratch = Scratch + ScratchFloats * member;
            var room = new QueryRows();
            Span<QueryRow> rows = room;
            var filled = 0;
            for (var index = FirstRuns[group]; index < FirstRuns[group + 1]; index++)
            {
                ref readonly var item = ref Work[index];
                for (var i = 0; i < item.Run.Count * sharing; i++)
                {
                    var (position, head) = (i / sharing, keyHead * sharing + i % sharing);
                    rows[filled] = Describe(item, Shape, Queries, Output, position, head);
                    if (++filled < AttentionKernel.Rows) continue;
                    AttentionKernel.Attend(rows, Layer, keyHead, first.Run.Past, first.Own.Start, scratch);
                    filled = 0;
                }
            }
            if (filled > 0) AttentionKernel.Attend(rows[..filled], Layer, keyHead, first.Run.Past, first.Own.Start, scratch);
        }
    }

    /// <summary>The query of one head at one position of a run.</summary>
    /// <param name="position">Counted from the run's first row.</param>
    internal static QueryRow Describe(in AttentionWork item, DecoderShape shape, Tensor q, Tensor z, int position, int head)
    {
        var at = (long)(item.Run.FirstRow + position) * q.Columns + head * shape.HeadSize;
        var (count, row) = item.Pattern.Length == 0 ? (0, -1)
            : item.Recorded is { } few ? (few.Length, Array.BinarySearch(few, item.Run.Start + position)) : (item.Run.Count, position);
        return new QueryRow
        {
            Query = q.Data + at,
            Output = z.Data + at,
            Position = item.Run.Start + position,
            Seen = item.Run.Start + position + 1,
            Own = item.Own,
            Scores = item.Scores.Length == 0 ? null : item.Scores[item.Scores.Length == 1 ? 0 : head],
            Keys = item.Keys,
            Given = item.Given is { } given ? given[head, position] : null,
            // The array is allocated pinned.
            Pattern = row < 0
                ? null
                : (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(item.Pattern))
                    + ((long)head * count + row) * item.Keys,
        };
    }

    [InlineArray(AttentionKernel.Rows)]
    private struct QueryRows
    {
        private QueryRow _first;
    }
}
