namespace AnchorScope.Metrics;

/// <summary>MAM: Delta S^l = Phi_f(H^l) - Phi_c(H^l), the instructed answer's signal minus its competitor's, in logits. Printed.</summary>
public static class ArbitrationMargin
{
    /// <summary>What the sublayers of one layer add to the margin: attention first, then the MLP; together the layer's change. Printed for the MLP.</summary>
    /// <param name="before">Margin of the stream entering the layer.</param>
    /// <param name="between">Margin between attention and MLP.</param>
    /// <param name="after">Margin of the stream leaving the layer.</param>
    public static (double Attention, double Mlp) Increments(double before, double between, double after) => (between - before, after - between);
}
