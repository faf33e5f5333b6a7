using AnchorScope.Engines;

namespace AnchorScope.Studies;

/// <summary>A variant in a pass.</summary>
internal sealed record PlannedVariant(IRecordedRun Recorded, Change Change)
{
    public Corner Corner => Change.Corner;

    /// <param name="trunk">Index in the pass of this variant's trunk, or null.</param>
    public RunPlan ToPlan(int? trunk) => new(Recorded, Change.Intervention)
    {
        Position = Corner.Position, EndPosition = Corner.EndPosition, Layer = Corner.Layer,
        AfterAttention = Corner.AfterAttention, Trunk = trunk,
    };
}

/// <summary>Variants that share one pass.</summary>
internal sealed class SweepPass
{
    private readonly List<PlannedVariant> _variants;
    private readonly IReadOnlyList<Readout> _readouts;

    internal SweepPass(List<PlannedVariant> variants, IReadOnlyList<Readout> readouts) => (_variants, _readouts) = (variants, readouts);

    /// <summary>Number of variants.</summary>
    public int Count => _variants.Sum(v => v.Change.Variants.Count);

    /// <summary>Total number of rows of the variants.</summary>
    public int Rows => _variants.Sum(v => v.Corner.Rows);

    /// <summary>Runs the pass and calls <paramref name="take"/> for each variant and readout.</summary>
    public void Run(ISession session, TakeLogits take)
    {
        var changing = new List<PlannedVariant>();
        foreach (var variant in _variants)
        {
            if (variant.Corner.Rows > 0) changing.Add(variant);
            // The readouts cannot differ from the recorded run's output.
            else for (var j = 0; j < _readouts.Count; j++) Take(variant, j, variant.Recorded.LastLogits, take);
        }
        if (changing.Count > 0)
            session.Run(Plans(changing), _readouts, (run, readout, logits) => Take(changing[run], readout, logits, take));
    }

    /// <summary>A trunk precedes the variants that leave it, because it joins the pass at a lower layer.</summary>
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
