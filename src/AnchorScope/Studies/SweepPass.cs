using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>A variant in a pass.</summary>
internal sealed record PlannedVariant(Baseline Baseline, Change Change)
{
    public Corner Corner => Change.Corner;

    /// <param name="trunk">Of the change that this one leaves, or null.</param>
    public Run ToRun(Run? trunk, Trace? trace)
    {
        var (prompt, count) = (Baseline.Prompt, Corner.EndPosition - Corner.Position);
        // What a trunk hands over has not been through the first layer's edits.
        var intervention = trunk is null ? prompt.Steered(Change.Intervention, Corner.Layer, Corner.BehindAttention) : prompt.Steered(Change.Intervention);
        return new Run(Baseline.ResidPre(Corner.Layer, Corner.Position).RowRange(0, count), prompt.Coordinates.AsMemory(Corner.Position, count), Corner.Position, intervention)
        {
            FirstLayer = Corner.Layer,
            Trunk = trunk,
            HeadOutputs = Corner.BehindAttention ? Baseline.HeadOut(Corner.Layer, Corner.Position).RowRange(0, count) : null,
            Past = Baseline.KeyValues,
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
    public int Count => _variants.Sum(v => v.Change.Variants.Count);

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
            else Take(variant, [.. readouts.Select(_ => Tensor.From(compute.Arena, variant.Baseline.LastLogits, 1, decoder.VocabularySize))], take);
        }
        // One place that is read of each, its last row: nothing else of the last layer is needed. Otherwise every row is carried to the end.
        var onlyLast = readouts.All(r => r.LayerIn(decoder) == readouts[0].LayerIn(decoder) && r.Position == readouts[0].Position);
        if (changing.Count > 0 && onlyLast) Last(decoder, changing, readouts, compute, take);
        else if (changing.Count > 0) Several(decoder, changing, readouts, compute, take);
        compute.Arena.Release(mark);
    }

    private static void Last(Decoder decoder, List<PlannedVariant> variants, IReadOnlyList<Readout> readouts, Compute compute, TakeReadouts take)
    {
        var pass = new Pass(decoder.Shape, Runs(variants, _ => null), compute);
        var resid = decoder.ForwardLast(pass, variants[0].Corner.EndLayer);
        Tensor[] read = [.. readouts.Select(r => r.Of(decoder, resid, compute))];
        // The plan's order is that of the pass.
        for (var i = 0; i < variants.Count; i++) Take(variants[i], [.. read.Select(r => r.RowRange(i, 1))], take);
    }

    private static void Several(Decoder decoder, List<PlannedVariant> variants, IReadOnlyList<Readout> readouts, Compute compute, TakeReadouts take)
    {
        int[][] positions = [.. variants.Select(v => readouts.Select(r => r.PositionIn(v.Baseline.Prompt)).Distinct().Order().ToArray())];
        Trace[] traces = [.. positions.Select(p => new Trace([Site.ResidPost], p))];
        var pass = new Pass(decoder.Shape, Runs(variants, i => traces[i]), compute);
        decoder.Forward(pass, variants[0].Corner.EndLayer);
        var width = decoder.Shape.ModelSize;
        for (var i = 0; i < variants.Count; i++)
        {
            var read = new Tensor[readouts.Count];
            for (var j = 0; j < read.Length; j++)
            {
                var row = Array.BinarySearch(positions[i], readouts[j].PositionIn(variants[i].Baseline.Prompt));
                var resid = Tensor.From(compute.Arena, traces[i][Site.ResidPost, readouts[j].LayerIn(decoder)].AsSpan(row * width, width), 1, width);
                read[j] = readouts[j].Of(decoder, resid, compute);
            }
            Take(variants[i], read, take);
        }
    }

    /// <summary>A trunk comes before what leaves it, as it joins further down.</summary>
    private static IEnumerable<Run> Runs(List<PlannedVariant> variants, Func<int, Trace?> trace)
    {
        var runs = new Dictionary<Change, Run>();
        for (var i = 0; i < variants.Count; i++)
            runs.Add(variants[i].Change, variants[i].ToRun(variants[i].Change.Trunk is { } trunk ? runs[trunk] : null, trace(i)));
        return runs.Values;
    }

    private static void Take(PlannedVariant variant, Tensor[] read, TakeReadouts take)
    {
        foreach (var index in variant.Change.Variants) take(index, read);
    }
}
