using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The effect of an exchange on the answers, over the informative pairs.</summary>
/// <param name="Pairs">Number of pairs in which the receiver follows its instruction and the donor gives an answer that the factor asks
/// for.</param>
/// <param name="Moved">Fall of the margin of the receiver's own answer over the target, as a share of the fall in the donor's own run: 0 is
/// no effect, 1 is the donor's decision. It is a ratio of sums over the pairs. For another phrasing of the same instruction, the fall in
/// the run under the other instruction is used instead.</param>
/// <param name="Switched">Share that gives the donor's answer; for another phrasing of the same instruction, the receiver's own other
/// answer.</param>
/// <param name="OwnOther">Share that gives the receiver's own other answer: that of the other modality for the receiver's picture, note and
/// question.</param>
/// <param name="Keeps">Share that still gives the receiver's own answer.</param>
/// <param name="Third">Share that gives none of them.</param>
/// <param name="Choice">Rise of the logit of the receiver's own other answer, relative to that of the donor's answer: above 0 a choice is
/// transferred, below 0 content. NaN if both answers are one token.</param>
internal sealed record ExchangeEffect(int Pairs, Estimate Moved, Estimate Switched, Estimate OwnOther, Estimate Keeps, Estimate Third,
    Estimate Choice)
{
    /// <summary>No run has such a donor.</summary>
    public static ExchangeEffect NoPairs { get; } = new(0, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing);

    private static Estimate Nothing => new(double.NaN, double.NaN, double.NaN, 0);
}

/// <summary>How many runs give an informative pair, and why the others do not.</summary>
/// <param name="Runs">Number of runs.</param>
/// <param name="WithoutDonor">No donor of equal lengths, or no donor for this factor.</param>
/// <param name="ReceiverFails">The receiver does not follow its instruction.</param>
/// <param name="DonorFails">The donor does not give an informative answer: its own instructed one, or one that is neither of the
/// receiver's.</param>
/// <param name="Pairs">Number of remaining pairs.</param>
internal sealed record PairCount(string Factor, int Runs, int WithoutDonor, int ReceiverFails, int DonorFails, int Pairs)
{
    /// <summary>The sample names a donor that does not fit.</summary>
    public int NamedUnfit { get; init; }
}

/// <summary>Reduces exchanges over the runs of a set.</summary>
internal static class ExchangeMeasure
{
    private const double LeastWay = 1e-8;

    /// <summary>The effect over all pairs of the set; NaN with 0 pairs if no run has this factor.</summary>
    public static ExchangeEffect Of(MeasuredSet set, Exchange exchange)
    {
        var pairs = Pairs(set, exchange);
        var (factor, condition) = (exchange.Factor, exchange.Condition);
        Outcome At(MeasuredRun r) => r.Result.Outcomes[condition];
        bool IsDonors(MeasuredRun r) => SameContent(factor) ? r.Competes(condition) == 1 : At(r).ArgMax == Donor(r, factor).ArgMax;
        return new ExchangeEffect(
            pairs.Runs.Count,
            Ratio(pairs, exchange),
            pairs.Share(r => IsDonors(r) ? 1 : 0),
            pairs.Share(r => r.Competes(condition)),
            pairs.Share(r => r.Follows(condition)),
            pairs.Share(r => r.Follows(condition) + r.Competes(condition) > 0 || IsDonors(r) ? 0 : 1),
            SameContent(factor) ? new Estimate(double.NaN, double.NaN, double.NaN, 0)
                : pairs.Mean(r => At(r).Competing - At(r).Donor - (Receiver(r, factor).Competing - Receiver(r, factor).Donor)));
    }

    /// <summary>
    /// Mean over the pairs of the share of the margin difference between receiver and donor run that the exchange closes. This is a mean of
    /// ratios, while <see cref="ExchangeEffect.Moved"/> is a ratio of means. Pairs with equal margins are left out; NaN without pairs.
    /// </summary>
    public static double Restored(MeasuredSet set, Exchange exchange)
    {
        var ratios = Pairs(set, exchange).Runs.Select(
            r => Way(r, exchange.Factor) is var way && Math.Abs(way) < LeastWay ? double.NaN : Taken(r, exchange) / way);
        return ratios.Where(ratio => !double.IsNaN(ratio)).DefaultIfEmpty(double.NaN).Average();
    }

    /// <summary>Only <see cref="ExchangeEffect.Moved"/>.</summary>
    public static Estimate Moved(MeasuredSet set, Exchange exchange) => Ratio(Pairs(set, exchange), exchange);

    /// <summary>Two-sided p of the hypothesis that the exchange has no effect on the margin; NaN without pairs.</summary>
    public static double P(MeasuredSet set, Exchange exchange)
    {
        var pairs = Pairs(set, exchange);
        return pairs.Runs.Count == 0 ? double.NaN : pairs.P(r => Taken(r, exchange));
    }

    /// <summary>How many runs give a pair, and why the others do not.</summary>
    public static PairCount Count(MeasuredSet set, DonorFactor factor)
    {
        var donated = set.Where(r => r.Has(Exchange.DonorRun(factor)));
        var following = donated.Where(r => !r.Failed);
        var pairs = following.Where(r => Tells(r, factor));
        var unfit = set.Runs.Count(r => !r.Has(Exchange.DonorRun(factor)) && DonorFinder.Applies(r.Run, factor)
            && r.Run.Sample.Donors.ContainsKey(EnumName.Of(factor)));
        return new PairCount(
            EnumName.Of(factor), set.Runs.Count, set.Runs.Count - donated.Runs.Count - unfit, donated.Runs.Count - following.Runs.Count,
            following.Runs.Count - pairs.Runs.Count, pairs.Runs.Count)
        {
            NamedUnfit = unfit,
        };
    }

    private static MeasuredSet Pairs(MeasuredSet set, Exchange exchange) =>
        set.Where(r => Tells(r, exchange.Factor) && r.Has(exchange.Condition));

    /// <summary>The pairs of a factor, whatever was exchanged.</summary>
    public static MeasuredSet PairsOf(MeasuredSet set, DonorFactor factor) => set.Where(r => Tells(r, factor));

    /// <summary>
    /// The fall <paramref name="taken"/> of the margins of pairs as a share of the fall in their donors' runs: a ratio of sums.
    /// </summary>
    public static Estimate ShareOfWay(MeasuredSet pairs, DonorFactor factor, Func<MeasuredRun, double> taken) =>
        pairs.Ratio(taken, r => Way(r, factor));

    private static Estimate Ratio(MeasuredSet pairs, Exchange exchange) => ShareOfWay(pairs, exchange.Factor, r => Taken(r, exchange));

    /// <summary>Fall of the margin from the receiver to the donor's own run.</summary>
    private static double Way(MeasuredRun run, DonorFactor factor) =>
        Margin(Receiver(run, factor), factor) - Margin(Donor(run, Whole(factor)), factor);

    /// <summary>Fall of the margin by the exchange.</summary>
    private static double Taken(MeasuredRun run, Exchange exchange) =>
        Margin(Receiver(run, exchange.Factor), exchange.Factor) - Margin(run.Result.Outcomes[exchange.Condition], exchange.Factor);

    private static Outcome Donor(MeasuredRun run, DonorFactor factor) => run.Result.Outcomes[Exchange.DonorRun(factor)];

    private static Outcome Receiver(MeasuredRun run, DonorFactor factor) => run.Result.Outcomes[Exchange.Receiver(factor)];

    /// <summary>
    /// Whether picture, note and question are the receiver's own, so that the alternative answer is the receiver's own other answer.
    /// </summary>
    private static bool SameContent(DonorFactor factor) => factor is DonorFactor.Instruction or DonorFactor.Phrasing;

    /// <summary>
    /// The donor whose own run gives the full fall of the margin. Another phrasing of the same instruction gives none, so the other
    /// instruction is used.
    /// </summary>
    private static DonorFactor Whole(DonorFactor factor) => factor == DonorFactor.Phrasing ? DonorFactor.Instruction : factor;

    /// <summary>
    /// Margin of the own answer over the target. The target is the own other answer across instructions and phrasings, otherwise the
    /// donor's answer.
    /// </summary>
    private static double Margin(Outcome outcome, DonorFactor factor) =>
        outcome.Following - (SameContent(factor) ? outcome.Competing : outcome.Donor);

    private static bool Tells(MeasuredRun run, DonorFactor factor)
    {
        if (!run.Has(Exchange.DonorRun(factor)) || run.Failed) return false;
        var given = Donor(run, factor).ArgMax;
        var (own, other) = (run.Entities.FollowingForms.Contains(given), run.Entities.CompetingForms.Contains(given));
        return factor switch
        {
            DonorFactor.Instruction => other,
            DonorFactor.Phrasing => own && Tells(run, DonorFactor.Instruction),
            _ => !own && !other,
        };
    }
}
