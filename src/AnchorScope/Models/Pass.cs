using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// One batched forward pass through the decoder. Each run is a block of rows that joins the pass at the first layer it needs, before or
/// after that layer's attention. Blocks are ordered by where they join, so the rows of a layer, and those of its attention, are always the
/// first ones.
/// </summary>
internal sealed class Pass
{
    private readonly RowBlock[] _runs;

    /// <summary>A pass of <paramref name="runs"/> through a decoder of <paramref name="shape"/> on <paramref name="compute"/>.</summary>
    public Pass(DecoderShape shape, IEnumerable<RowBlock> runs, Compute compute)
    {
        Shape = shape;
        Compute = compute;
        _runs = [.. runs];
        if (_runs.Length > 1) _runs = [.. _runs.OrderBy(run => run.FirstLayer).ThenBy(run => run.HeadOutputs is not null)];
        Attention = new AttentionWork[_runs.Length];
        foreach (var run in _runs)
        {
            run.Edits ??= EditIndex.Of(run.Intervention, shape, run.Start + run.Count);
            if (run.HeadOutputs is not null && run.Intervention.ChangesAttention(run.FirstLayer))
                throw new ArgumentException($"{run.Intervention.Name} changes attention in layer {run.FirstLayer} and cannot join after it",
                    nameof(runs));
            run.FirstRow = Rows;
            Rows += run.Count;
        }
    }

    /// <summary>Sizes of the decoder.</summary>
    public DecoderShape Shape { get; }

    /// <summary>Memory, threads and kernel.</summary>
    public Compute Compute { get; }

    /// <summary>Total number of rows of all runs.</summary>
    public int Rows { get; }

    /// <summary>First layer that any run needs.</summary>
    public int FirstLayer => _runs.Length == 0 ? 0 : _runs[0].FirstLayer;

    /// <summary>All runs, in the order of their rows.</summary>
    public IReadOnlyList<RowBlock> Runs => _runs;

    /// <summary>Number of rows of the runs that have joined by <paramref name="layer"/>.</summary>
    public int RowsAt(int layer) => RunsAt(layer) is { Length: > 0 } runs ? runs[^1].FirstRow + runs[^1].Count : 0;

    /// <summary>Number of rows in the attention of <paramref name="layer"/>: the first ones of <see cref="RowsAt"/>.</summary>
    public int AttendingAt(int layer)
    {
        var rows = RowsAt(layer);
        foreach (var run in RunsAt(layer))
        {
            if (run.FirstLayer == layer && run.HeadOutputs is not null) rows -= run.Count;
        }
        return rows;
    }

    /// <summary>Activations kept for the backward pass; null if there is none.</summary>
    public Tape? Tape { get; init; }

    internal ReadOnlySpan<RowBlock> RunsAt(int layer)
    {
        var count = _runs.Length;
        while (count > 0 && _runs[count - 1].FirstLayer > layer) count--;
        return _runs.AsSpan(0, count);
    }

    /// <summary>The attention work of each run in the current layer. Kept here so that it is allocated once per pass.</summary>
    internal AttentionWork[] Attention { get; }

    /// <summary>
    /// The forward hook: applies the edits of every run to its rows of <paramref name="activation"/>, then records what the run's traces
    /// request.
    /// </summary>
    /// <returns><paramref name="activation"/>, changed in place.</returns>
    public Tensor Hook(Site site, int layer, Tensor activation)
    {
        foreach (var run in RunsAt(layer))
        {
            // Runs that join after attention have no rows before it.
            if (run.FirstRow >= activation.Rows) break;
            foreach (var edit in run.Edits!.At(layer))
            {
                if (edit.Site == site && !edit.IsEdge) Apply(edit, run, activation);
            }
            // A counted loop, because an enumerator for each site and layer would be garbage in every decoding step.
            for (var i = 0; i < run.Traces.Count; i++)
            {
                if (run.Traces[i].Sites.Contains(site))
                    TraceRows.Keep(run.Traces[i], site, layer, activation.RowRange(run.FirstRow, run.Count), run.Start);
            }
        }
        return activation;
    }

    /// <summary>
    /// The backward hook: records the gradients that each run's <see cref="RowBlock.Derivatives"/> request, then propagates them through
    /// the edits, last edit first. Scale multiplies the gradient by its factor, Set makes it zero, Add leaves it unchanged.
    /// </summary>
    /// <returns><paramref name="derivatives"/>, changed in place.</returns>
    public Tensor HookBackward(Site site, int layer, Tensor derivatives)
    {
        foreach (var run in RunsAt(layer))
        {
            foreach (var trace in run.Derivatives)
            {
                if (trace.Sites.Contains(site))
                    TraceRows.Keep(trace, site, layer, derivatives.RowRange(run.FirstRow, run.Count), run.Start);
            }
            var edits = run.Edits!.At(layer);
            for (var i = edits.Length - 1; i >= 0; i--)
            {
                if (edits[i].Site == site && edits[i].Operation != Operation.Add) Apply(edits[i].Backward(), run, derivatives);
            }
        }
        return derivatives;
    }

    private void Apply(Edit edit, RowBlock run, Tensor activation)
    {
        var parts = edit.Heads ?? edit.Components;
        var width = edit.Heads is not null ? Shape.HeadSize : edit.Components is not null ? 1 : activation.Columns;
        var before = 0;
        foreach (var (from, to) in edit.Positions.Ranges(run.Start + run.Count))
        {
            for (var position = Math.Max(from, run.Start); position < to; position++)
            {
                var row = activation[run.FirstRow + position - run.Start];
                var vector = edit.Rows is { } rows ? rows[before + position - from] : edit.Vector;
                if (parts is null) Apply(edit, row, vector);
                for (var i = 0; i < (parts?.Count ?? 0); i++)
                {
                    // A vector as wide as a head applies to every named head. For neurons, and for a donor's row, it has one part for each.
                    var part = !vector.IsEmpty && (edit.Rows is not null || edit.Components is not null)
                        ? vector.Slice(i * width, width) : vector;
                    Apply(edit, row.Slice(parts![i] * width, width), part);
                }
            }
            before += to - from;
        }
    }

    private static void Apply(Edit edit, Span<float> values, ReadOnlySpan<float> vector)
    {
        switch (edit.Operation)
        {
            case Operation.Scale:
                foreach (ref var value in values) value *= edit.Factor;
                break;
            case Operation.Add:
                for (var i = 0; i < values.Length; i++) values[i] += edit.Factor * vector[i];
                break;
            default:
                vector.CopyTo(values);
                break;
        }
    }
}
