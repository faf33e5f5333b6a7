using AnchorScope.Engines;

namespace AnchorScope.Studies;

/// <summary>A variant in a pass.</summary>
internal sealed record PlannedVariant(IRecordedRun Recorded, Change Change)
{
    public Corner Corner => Change.Corner;

    /// <param name="trunk">Index in the pass of the change that this one leaves, or null.</param>
    public RunPlan ToPlan(int? trunk) => new(Recorded, Change.Intervention)
    {
        Position = Corner.Position, EndPosition = Corner.EndPosition, Layer = Corner.Layer, AfterAttention = Corner.AfterAttention, Trunk = trunk,
    };
}

/// <summary>Variants that go through the decoder together.</summary>
public sealed class SweepPass
{
    private readonly List<PlannedVariant> _variants;
    private readonly IReadOnlyList<Readout> _readouts;

    internal SweepPass(List<PlannedVariant> variants, IReadOnlyList<Readout> readouts) => (_variants, _readouts) = (variants, readouts);

    /// <summary>How many variants.</summary>
    public int Count => _variants.Sum(v => v.Change.Variants.Count);

    /// <summary>Rows of all of them.</summary>
    public int Rows => _variants.Sum(v => v.Corner.Rows);

    /// <summary>Runs the pass; <paramref name="take"/> is called for each of its variants.</summary>
    public void Run(ISession session, TakeLogits take)
    {
        var changing = new List<PlannedVariant>();
        foreach (var variant in _variants)
        {
            if (variant.Corner.Rows > 0) changing.Add(variant);
            // What is read cannot differ from the recorded run's output.
            else for (var j = 0; j < _readouts.Count; j++) Take(variant, j, variant.Recorded.LastLogits, take);
        }
        if (changing.Count > 0) session.Run(Plans(changing), _readouts, (run, readout, logits) => Take(changing[run], readout, logits, take));
    }

    /// <summary>A trunk comes before what leaves it, as it joins further down.</summary>
    private static RunPlan[] Plans(List<PlannedVariant> variants)
    {
        var index = new Dictionary<Change, int>();
        var plans = new RunPlan[variants.Count];
        for (var i = 0; i < plans.Length; i++)
        {
            plans[i] = variants[i].ToPlan(variants[i].Change.Trunk is { } trunk ? index[trunk] : null);
            index.Add(variants[i].Change, i);
        }
        return plans;
    }

    private static void Take(PlannedVariant variant, int readout, ReadOnlySpan<float> logits, TakeLogits take)
    {
        foreach (var index in variant.Change.Variants) take(index, readout, logits);
    }
}
