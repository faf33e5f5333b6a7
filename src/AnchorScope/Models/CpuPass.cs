using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Executes run plans as one pass through the decoder and reads the requested logits.</summary>
internal static class CpuPass
{
    /// <summary>Runs variants of recorded runs.</summary>
    public static void Run(Decoder decoder, IReadOnlyList<RunPlan> plans, IReadOnlyList<Readout> readouts, TakeLogits take, Compute compute)
    {
        var layers = readouts.Select(r => r.LayerIn(decoder.Shape)).ToList();
        // If all readouts are of the same layer and position, only the last row of each run is computed in the last layer. Otherwise every
        // row is computed to the end.
        if (layers.TrueForAll(layer => layer == layers[0]) && readouts.All(r => r.Position == readouts[0].Position))
            Last(decoder, plans, readouts, layers[0] + 1, take, compute);
        else Several(decoder, plans, readouts, layers.Max() + 1, take, compute);
    }

    /// <summary>Extends sequences by their next rows.</summary>
    public static void Step(
        Decoder decoder, CpuSequence[] sequences, IReadOnlyList<SequenceRows> rows, TakeLogits take, Compute compute)
    {
        if (sequences.Distinct().Count() < sequences.Length)
            throw new ArgumentException("the same sequence appears twice in the batch", nameof(rows));
        RowBlock[] runs = [.. sequences.Select((sequence, i) => sequence.Next(rows[i], compute.Arena))];
        for (var i = 0; i < runs.Length; i++) runs[i].Index = i;
        var pass = new Pass(decoder.Shape, runs, compute);
        var last = decoder.ForwardLast(pass);
        var choosing = pass.Runs.Select((run, row) => (run.Index, Row: row))
            .Where(r => sequences[r.Index].Chooses(rows[r.Index])).ToList();
        var resid = last;
        if (choosing.Count > 0 && choosing.Count < runs.Length)
        {
            // A piece of a prompt that is not complete yet needs no logits.
            resid = compute.Arena.Take(choosing.Count, last.Columns);
            for (var i = 0; i < choosing.Count; i++) last[choosing[i].Row].CopyTo(resid[i]);
        }
        var logits = choosing.Count == 0 ? default : decoder.Unembed(resid, compute);
        // Only now: a sequence whose pass was cancelled, or whose logits nobody took, computes its rows again.
        foreach (var index in Enumerable.Range(0, runs.Length).Except(choosing.Select(c => c.Index))) sequences[index].Advance(rows[index]);
        for (var i = 0; i < choosing.Count; i++)
        {
            var index = choosing[i].Index;
            sequences[index].Advance(rows[index]);
            take(index, 0, logits[i]);
        }
    }

    private static void Last(Decoder decoder, IReadOnlyList<RunPlan> plans, IReadOnlyList<Readout> readouts, int end,
        TakeLogits take, Compute compute)
    {
        var pass = new Pass(decoder.Shape, Runs(decoder, plans, null), compute);
        var resid = decoder.ForwardLast(pass, end);
        Tensor[] read = [.. readouts.Select(r => decoder.Unembed(resid, compute, r.FinalNorm, r.Tokens))];
        for (var row = 0; row < pass.Runs.Count; row++)
        {
            for (var j = 0; j < read.Length; j++) take(pass.Runs[row].Index, j, read[j][row]);
        }
    }

    private static void Several(Decoder decoder, IReadOnlyList<RunPlan> plans, IReadOnlyList<Readout> readouts, int end,
        TakeLogits take, Compute compute)
    {
        var width = decoder.Shape.ModelSize;
        int[][] positions = [.. plans.Select(p => readouts.Select(r => r.PositionIn(p.Recorded.Prompt)).Distinct().Order().ToArray())];
        Trace[] traces = [.. positions.Select(p => new Trace([Site.ResidPost], p))];
        decoder.Forward(new Pass(decoder.Shape, Runs(decoder, plans, traces), compute), end);
        for (var i = 0; i < plans.Count; i++)
        {
            for (var j = 0; j < readouts.Count; j++)
            {
                var mark = compute.Arena.Here();
                var row = Array.BinarySearch(positions[i], readouts[j].PositionIn(plans[i].Recorded.Prompt));
                var resid = Tensor.From(
                    compute.Arena, traces[i][Site.ResidPost, readouts[j].LayerIn(decoder.Shape)].AsSpan(row * width, width), 1, width);
                take(i, j, decoder.Unembed(resid, compute, readouts[j].FinalNorm, readouts[j].Tokens)[0]);
                compute.Arena.Release(mark);
            }
        }
    }

    private static RowBlock[] Runs(Decoder decoder, IReadOnlyList<RunPlan> plans, Trace[]? traces)
    {
        var runs = new RowBlock[plans.Count];
        for (var i = 0; i < runs.Length; i++)
        {
            var (plan, recorded) = (plans[i], RecordedRun.Of(plans[i].Recorded, decoder));
            var (prompt, count) = (recorded.Prompt, plan.EndPosition - plan.Position);
            // The residual stream taken over from a trunk has not been through the edits of this layer.
            var edits = plan.Trunk is null
                ? prompt.Steered(plan.Intervention, plan.Layer, plan.AfterAttention) : prompt.Steered(plan.Intervention);
            runs[i] = new RowBlock(
                recorded.ResidPre(plan.Layer, plan.Position).RowRange(0, count),
                prompt.Coordinates.AsMemory(plan.Position, count), plan.Position,
                EditIndex.Of(edits, decoder.Shape, prompt.Length))
            {
                Index = i,
                FirstLayer = plan.Layer,
                Trunk = plan.Trunk is { } trunk ? runs[trunk] : null,
                HeadOutputs = plan.AfterAttention ? recorded.HeadOut(plan.Layer, plan.Position).RowRange(0, count) : null,
                Past = recorded.KeyValues,
                Traces = traces is null ? [] : [traces[i]],
            };
        }
        return runs;
    }
}
