namespace AnchorScope.Metrics;

/// <summary>
/// I_NSSD: the signed change of the distribution over {y_p, y_c} when an edge is cut. Negative means that the edge supports following the
/// instruction. In nats, or probabilities for the delta_p variants. Name and sign are printed in the paper, the formula is not.
/// </summary>
public static class StructuralDivergence
{
    /// <summary>I_NSSD of one run; exactly 0 if nothing changed.</summary>
    /// <param name="margin">logit(y_p) - logit(y_c) without the cut.</param>
    /// <param name="cutMargin">logit(y_p) - logit(y_c) with the cut.</param>
    /// <param name="logP">ln p(y_p) over the vocabulary, without the cut.</param>
    /// <param name="cutLogP">ln p(y_p) over the vocabulary, with the cut.</param>
    /// <param name="vocabularyKl">KL(P || P') over the vocabulary.</param>
    public static double Of(
        NssdVariant variant, double margin, double cutMargin, double logP = 0, double cutLogP = 0, double vocabularyKl = 0)
    {
        var sign = Math.Sign(cutMargin - margin);
        return variant switch
        {
            NssdVariant.SignedKl => sign == 0 ? 0 : sign * Kl(margin, cutMargin),
            NssdVariant.LogRatio => LogSigmoid(cutMargin) - LogSigmoid(margin),
            NssdVariant.SignedJs => sign == 0 ? 0 : sign * Js(margin, cutMargin),
            NssdVariant.DeltaP => Sigmoid(cutMargin) - Sigmoid(margin),
            NssdVariant.RelativeDeltaP => Math.Exp(LogSigmoid(cutMargin) - LogSigmoid(margin)) - 1,
            NssdVariant.FullVocabSignedKl => Math.Sign(cutLogP - logP) * vocabularyKl,
            _ => cutLogP - logP,
        };
    }

    /// <summary>p~ = p(y_p) / (p(y_p) + p(y_c)) from the margin.</summary>
    public static double Sigmoid(double margin) => 1 / (1 + Math.Exp(-margin));

    /// <summary>ln p~, without overflow for large margins of either sign.</summary>
    public static double LogSigmoid(double margin) => margin >= 0 ? -Log1P(Math.Exp(-margin)) : margin - Log1P(Math.Exp(margin));

    /// <summary>KL divergence between the two-answer distributions of two margins, at least 0.</summary>
    private static double Kl(double a, double b) => Math.Max(
        0, Sigmoid(a) * (LogSigmoid(a) - LogSigmoid(b)) + Sigmoid(-a) * (LogSigmoid(-a) - LogSigmoid(-b)));

    private static double Js(double a, double b)
    {
        var (p, q) = (Sigmoid(a), Sigmoid(b));
        var mean = (p + q) / 2;
        return Math.Max(0, (Entropy(mean) - (Entropy(p) + Entropy(q)) / 2));
    }

    private static double Entropy(double p) => (p > 0 ? -p * Math.Log(p) : 0) + (p < 1 ? -(1 - p) * Log1P(-p) : 0);

    /// <summary>ln(1 + x) with full precision for small x.</summary>
    private static double Log1P(double x)
    {
        var u = 1 + x;
        return u == 1 ? x : Math.Log(u) * x / (u - 1);
    }
}
