namespace AnchorScope.Metrics;

/// <summary>
/// MFR: the share of runs that give the instructed modality's answer; a run counts as 1 or 0. The ratio is printed in the paper, the
/// criterion of following is not: arg-max over the vocabulary, the larger of the two logits, or generated text.
/// </summary>
internal static class ModalityFollowing
{
    /// <summary>
    /// 1 if the likeliest token of the vocabulary is a first token of the answer, otherwise 0. A run can give neither answer.
    /// </summary>
    public static double ByArgMax(int argMax, IReadOnlyList<int> forms) => forms.Contains(argMax) ? 1 : 0;

    /// <summary>1 if logit(y_p) > logit(y_c), otherwise 0. Every run decides.</summary>
    public static double ByLarger(double margin) => margin > 0 ? 1 : 0;
}
