namespace AnchorScope.Metrics;

/// <summary>
/// MAM: Delta S^l = Phi_f(H^l) - Phi_c(H^l), the signal of the instructed answer minus that of its competitor, in logits. The formula is
/// printed in the paper.
/// </summary>
public static class ArbitrationMargin
{
    /// <summary>
    /// The change of the margin by the sublayers of one layer: attention first, then the MLP; their sum is the layer's change. Printed in
    /// the paper for the MLP.
    /// </summary>
    /// <param name="before">Margin of the stream before the layer.</param>
    /// <param name="between">Margin between attention and MLP.</param>
    /// <param name="after">Margin of the stream after the layer.</param>
    public static (double Attention, double Mlp) Increments(double before, double between, double after) =>
        (between - before, after - between);
}
