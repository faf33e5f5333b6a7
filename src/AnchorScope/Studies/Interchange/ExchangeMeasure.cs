using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>What an exchange does to the answers of the pairs that can tell.</summary>
/// <param name="Pairs">Pairs in which the receiver follows its instruction and the donor gives an answer that the factor asks for.</param>
/// <param name="Moved">
/// Margin of the own answer over the target that the exchange takes, as a share of what the donor's own run takes: 0 nothing, 1 the donor's decision. A ratio of sums over the pairs.
/// Of the same instruction in other words: as a share of what the run under the other instruction takes.
/// </param>
/// <param name="Switched">Share that gives the donor's answer; of the same instruction in other words, the own other answer.</param>
/// <param name="OwnOther">Share that gives the own other answer: that of the other modality for the receiver's picture, note and question.</param>
/// <param name="Keeps">Share that gives the own answer still.</param>
/// <param name="Third">Share that gives none of them.</param>
/// <param name="Choice">Logits by which the exchange raises the own other answer over the donor's: above 0 a choice is moved, below 0 a content. NaN where both are one token.</param>
internal sealed record ExchangeEffect(int Pairs, Estimate Moved, Estimate Switched, Estimate OwnOther, Estimate Keeps, Estimate Third,
    Estimate Choice)
{
    /// <summary>No run has such a donor.</summary>
    public static ExchangeEffect NoPairs { get; } = new(0, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing);

    private static Estimate Nothing => new(double.NaN, double.NaN, double.NaN, 0);
}

/// <summary>Why runs give no pair.</summary>
/// <param name="Runs">Runs asked.</param>
/// <param name="WithoutDonor">No donor of equal lengths, or none at all for this factor.</param>
/// <param name="ReceiverFails">The receiver does not follow its instruction.</param>
/// <param name="DonorFails">The donor does not give an answer that tells: its own instructed one, or one that is neither of the receiver's.</param>
/// <param name="Pairs">Those that are left.</param>
internal sealed record PairCount(string Factor, int Runs, int WithoutDonor, int ReceiverFails, int DonorFails, int Pairs)
{
    /// <summary>The sample names a donor, and it does not fit.</summary>
    public int NamedUnfit { get; init; }
}

/// <summary>Reduces exchanges over the runs of a set.</summary>
internal static class ExchangeMeasure
{
    private const double LeastWay = 1e-8;

    /// <summary>The effect over all pairs of the set; a factor that no run has gives NaN and 0 pairs.</summary>
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
    /// Mean over the pairs of the share that the exchange restores of the way from the receiver's margin to that of the donor's run: a mean
    /// of ratios, where <see cref="ExchangeEffect.Moved"/> is a ratio of means. Pairs whose two margins are equal are left out; NaN without
    /// pairs.
    /// </summary>
    public static double Restored(MeasuredSet set, Exchange exchange)
    {
        var ratios = Pairs(set, exchange).Runs.Select(r => Way(r, exchange.Factor) is var way && Math.Abs(way) < LeastWay ? double.NaN : Taken(r, exchange) / way);
        return ratios.Where(ratio => !double.IsNaN(ratio)).DefaultIfEmpty(double.NaN).Average();
    }

    /// <summary><see cref="ExchangeEffect.Moved"/> alone.</summary>
    public static Estimate Moved(MeasuredSet set, Exchange exchange) => Ratio(Pairs(set, exchange), exchange);

    /// <summary>Two-sided p that the exchange moves nothing; NaN without pairs.</summary>
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

    /// <summary>What is taken from the margins of pairs, as a share of what their donors' runs take: a ratio of sums.</summary>
    public static Estimate ShareOfWay(MeasuredSet pairs, DonorFactor factor, Func<MeasuredRun, double> taken) => pairs.Ratio(taken, r => Way(r, factor));

    private static Estimate Ratio(MeasuredSet pairs, Exchange exchange) => ShareOfWay(pairs, exchange.Factor, r => Taken(r, exchange));

    /// <summary>What the donor's own run takes from the margin of a run.</summary>
    private static double Way(MeasuredRun run, DonorFactor factor) => Margin(Receiver(run, factor), factor) - Margin(Donor(run, Whole(factor)), factor);

    /// <summary>What the exchange takes from the margin of a run.</summary>
    private static double Taken(MeasuredRun run, Exchange exchange) =>
        Margin(Receiver(run, exchange.Factor), exchange.Factor) - Margin(run.Result.Outcomes[exchange.Condition], exchange.Factor);

    private static Outcome Donor(MeasuredRun run, DonorFactor factor) => run.Result.Outcomes[Exchange.DonorRun(factor)];

    private static Outcome Receiver(MeasuredRun run, DonorFactor factor) => run.Result.Outcomes[Exchange.Receiver(factor)];

    /// <summary>
    /// Whether picture, note and question are the receiver's own, so that its own other answer is what could be given instead.
    /// </summary>
    private static bool SameContent(DonorFactor factor) => factor is DonorFactor.Instruction or DonorFactor.Phrasing;

    /// <summary>The donor whose own run takes all that could be taken: the same instruction in other words takes nothing.</summary>
    private static DonorFactor Whole(DonorFactor factor) => factor == DonorFactor.Phrasing ? DonorFactor.Instruction : factor;

    /// <summary>Own answer over the target: the own other answer across instructions and phrasings, else the donor's.</summary>
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
