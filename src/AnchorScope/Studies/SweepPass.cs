using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>What a variant has to compute: where it can first differ from the baseline, and where the last thing is read.</summary>
/// <param name="Layer">First layer.</param>
/// <param name="Position">First position.</param>
/// <param name="BehindAttention">Whether it starts behind the attention of its first layer.</param>
/// <param name="EndLayer">The layer behind the last one.</param>
/// <param name="EndPosition">The position behind the last one.</param>
public sealed record Corner(int Layer, int Position, bool BehindAttention, int EndLayer, int EndPosition)
{
    /// <summary>Rows in a pass; 0 where nothing that is read can differ from the baseline's output.</summary>
    public int Rows => Layer >= EndLayer ? 0 : EndPosition - Position;

    /// <summary>The corner of <paramref name="intervention"/>, moved to where the first thing is read if that comes earlier.</summary>
    public static Corner Of(Intervention intervention, Decoder decoder, Prompt prompt, IReadOnlyList<Readout> readouts)
    {
        var (layers, positions) = (readouts.Select(r => r.LayerIn(decoder)).ToList(), readouts.Select(r => r.PositionIn(prompt)).ToList());
        if (intervention.Edits.Count == 0 && readouts.All(r => r == Readout.Output)) return new Corner(decoder.Shape.Layers, prompt.Length, false, decoder.Shape.Layers, prompt.Length);
        var (layer, first) = (Math.Min(intervention.FirstLayer, layers.Min()), layers.Min());
        return new Corner(layer, Math.Min(intervention.FirstPosition, positions.Min()), intervention.StartsBehindAttention && intervention.FirstLayer <= first, layers.Max() + 1, positions.Max() + 1);
    }
}

/// <summary>A variant in a pass.</summary>
/// <param name="Index">Which one of the sweep.</param>
internal sealed record PlannedVariant(int Index, Variant Variant, Corner Corner)
{
    public Run ToRun(Trace? trace)
    {
        var (baseline, intervention) = Variant;
        var count = Corner.EndPosition - Corner.Position;
        return new Run(baseline.ResidPre(Corner.Layer, Corner.Position).RowRange(0, count), baseline.Prompt.Coordinates.AsMemory(Corner.Position, count), Corner.Position, intervention)
        {
            FirstLayer = Corner.Layer,
            HeadOutputs = Corner.BehindAttention ? baseline.HeadOut(Corner.Layer, Corner.Position).RowRange(0, count) : null,
            Past = baseline.KeyValues,
            Traces = trace is null ? [] : [trace],
        };
    }
}

/// <summary>Variants that go through the decoder together.</summary>
public sealed class SweepPass
{
    private readonly List<PlannedVariant> _variants;

    internal SweepPass(List<PlannedVariant> variants) => _variants = variants;

    /// <summary>How many variants.</summary>
    public int Count => _variants.Count;

    /// <summary>Rows of all of them.</summary>
    public int Rows => _variants.Sum(v => v.Corner.Rows);

    /// <summary>Runs the pass; <paramref name="take"/> is called for each of its variants.</summary>
    public void Run(Decoder decoder, IReadOnlyList<Readout> readouts, Compute compute, TakeReadouts take)
    {
        var mark = compute.Arena.Here();
        var changing = new List<PlannedVariant>();
        foreach (var variant in _variants)
        {
            if (variant.Corner.Rows > 0) changing.Add(variant);
            else take(variant.Index, [.. readouts.Select(_ => Tensor.From(compute.Arena, variant.Variant.Baseline.LastLogits, 1, decoder.VocabularySize))]);
        }
        // One place that is read of each, its last row: nothing else of the last layer is needed. Otherwise every row is carried to the end.
        var onlyLast = readouts.All(r => r.LayerIn(decoder) == readouts[0].LayerIn(decoder) && r.Position == readouts[0].Position);
        if (changing.Count > 0 && onlyLast) Last(decoder, changing, readouts, compute, take);
        else if (changing.Count > 0) Several(decoder, changing, readouts, compute, take);
        compute.Arena.Release(mark);
    }

    private static void Last(Decoder decoder, List<PlannedVariant> variants, IReadOnlyList<Readout> readouts, Compute compute, TakeReadouts take)
    {
        var pass = new Pass(decoder.Shape, variants.Select(v => v.ToRun(null)), compute);
        var resid = decoder.ForwardLast(pass, variants[0].Corner.EndLayer);
        Tensor[] read = [.. readouts.Select(r => r.Of(decoder, resid, compute))];
        // The plan's order is that of the pass.
        for (var i = 0; i < variants.Count; i++) take(variants[i].Index, [.. read.Select(r => r.RowRange(i, 1))]);
    }

    private static void Several(Decoder decoder, List<PlannedVariant> variants, IReadOnlyList<Readout> readouts, Compute compute, TakeReadouts take)
    {
        int[][] positions = [.. variants.Select(v => readouts.Select(r => r.PositionIn(v.Variant.Baseline.Prompt)).Distinct().Order().ToArray())];
        Trace[] traces = [.. positions.Select(p => new Trace([Site.ResidPost], p))];
        var pass = new Pass(decoder.Shape, variants.Select((v, i) => v.ToRun(traces[i])), compute);
        decoder.Forward(pass, variants[0].Corner.EndLayer);
        var width = decoder.Shape.ModelSize;
        for (var i = 0; i < variants.Count; i++)
        {
            var read = new Tensor[readouts.Count];
            for (var j = 0; j < read.Length; j++)
            {
                var row = Array.BinarySearch(positions[i], readouts[j].PositionIn(variants[i].Variant.Baseline.Prompt));
                var resid = Tensor.From(compute.Arena, traces[i][Site.ResidPost, readouts[j].LayerIn(decoder)].AsSpan(row * width, width), 1, width);
                read[j] = readouts[j].Of(decoder, resid, compute);
            }
            take(variants[i].Index, read);
        }
    }
}
