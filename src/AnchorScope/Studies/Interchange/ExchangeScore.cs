using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Head scores that are exchanges of the head's profile: the share of the margin that each head moves alone.</summary>
internal static class ExchangeScore
{
    /// <summary>The exchange that defines a score; null if the score is not an exchange.</summary>
    public static (DonorFactor Factor, HeadContent What)? Of(HeadScoreVariant score) => score switch
    {
        HeadScoreVariant.Choice => (DonorFactor.Instruction, HeadContent.Query),
        HeadScoreVariant.Content => (DonorFactor.Crossed, HeadContent.Z),
        HeadScoreVariant.Question => (DonorFactor.Question, HeadContent.Z),
        HeadScoreVariant.Picture => (DonorFactor.Picture, HeadContent.Z),
        HeadScoreVariant.Note => (DonorFactor.Note, HeadContent.Z),
        _ => null,
    };

    /// <summary>A head's score over all runs of <paramref name="profile"/> and by instruction; NaN if no run gives a pair.</summary>
    public static ByInstruction Of(MeasuredSet profile, (DonorFactor Factor, HeadContent What) kind, (int Layer, int Head) head) =>
        profile.By(set => ExchangeMeasure.Moved(set, new Exchange(kind.Factor, kind.What, [head])));

    /// <summary>Scores of all heads: over all runs, and by modality.</summary>
    /// <exception cref="InputException">No run gives a pair.</exception>
    public static (double[] All, double[] Vision, double[] Text) Of(
        MeasuredSet profile, HeadScoreVariant score, IEnumerable<(int Layer, int Head)> heads)
    {
        var scores = heads.Select(head => Of(profile, Of(score)!.Value, head)).ToList();
        if (scores.Exists(s => !double.IsFinite(s.All.Mean)))
            throw InputException.At(
                "--head-score", EnumName.Of(score),
                $"a pair of receiver and donor among the first {InterchangeStudy.ProfileSamples} conflicts of the ranking set", "none");
        return ([.. scores.Select(s => s.All.Mean)], [.. scores.Select(s => s.Vision.Mean)], [.. scores.Select(s => s.Text.Mean)]);
    }
}
