namespace AnchorScope.Metrics;

/// <summary>
/// MFR: the share of runs that give the instructed modality's answer; a run counts 1 or 0. The ratio is printed, what counts as
/// following is not: by arg-max over the vocabulary, by the larger of the two, or by generated text.
/// </summary>
internal static class ModalityFollowing
{
    /// <summary>1 where the likeliest token of the vocabulary is a first token of the answer; a run can give neither answer.</summary>
    public static double ByArgMax(int argMax, IReadOnlyList<int> forms) => forms.Contains(argMax) ? 1 : 0;

    /// <summary>1 where logit(y_p) > logit(y_c); every run decides.</summary>
    public static double ByLarger(double margin) => margin > 0 ? 1 : 0;
}
