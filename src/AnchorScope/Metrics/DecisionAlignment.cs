namespace AnchorScope.Metrics;

/// <summary>
/// LDAR: the share of runs in which a layer's signal already favours the modality of the model's final decision. "Layer-wise alignment of
/// anchor signals with the final decision" is printed in the paper; this formula is a reconstruction.
/// </summary>
public static class DecisionAlignment
{
    /// <summary>1 if layer and decision favour the same modality, otherwise 0. A difference of exactly 0 counts as text.</summary>
    /// <param name="layer">Phi_vision - Phi_text at a layer.</param>
    /// <param name="decision">logit of the vision answer - logit of the text answer at the output.</param>
    public static double Of(double layer, double decision) => layer > 0 == decision > 0 ? 1 : 0;
}
