using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Whether the decision is relayed by the instruction or read directly, and the numbers that support it.</summary>
/// <param name="Verdict">The conclusion.</param>
/// <param name="Threshold">Share of following (above chance) that a cut must remove for the edge to carry.</param>
/// <param name="Without">Share of runs that follow the instruction without a cut, in the chosen measure.</param>
/// <param name="Cuts">The three cuts; fewer if prompts lack an edge.</param>
/// <param name="Text">The conclusion as a sentence.</param>
internal sealed record RouteFinding(Route Verdict, double Threshold, Estimate Without, IReadOnlyList<RouteCut> Cuts, string Text);

/// <summary>One edge cut in all layers.</summary>
/// <param name="Edge">For instance "context->instruction".</param>
/// <param name="Left">Share of runs that follow under the cut.</param>
/// <param name="Lost">Share of the following without the cut (above chance, if the measure has a chance level) that the cut
/// removes.</param>
/// <param name="Carries">Whether this is more than the threshold; null if the interval includes the threshold.</param>
internal sealed record RouteCut(string Edge, Estimate Left, double Lost, bool? Carries)
{
    /// <summary>
    /// Following under the cut minus (1 - threshold) times following without it, both above chance. It is below 0 if the edge carries.
    /// </summary>
    public required Estimate Beyond { get; init; }
}

/// <summary>Derives a <see cref="RouteFinding"/> from the runs of the test set.</summary>
internal static class RouteReader
{
    public static RouteFinding Read(MeasuredSet test, RouteMeasure measure, AblationVariant ablation = AblationVariant.Zero)
    {
        var chance = measure == RouteMeasure.Larger ? 0.5 : 0;
        double Value(MeasuredRun run, string condition) => measure == RouteMeasure.Larger ? run.Larger(condition) : run.Follows(condition);
        var without = test.Share(r => Value(r, ConditionId.Baseline));
        RouteCut? Cut(string edge)
        {
            var condition = ConditionId.KnockoutAll(edge);
            if (test.Runs.Count == 0 || !test.Runs.All(r => r.Has(condition))) return null;
            var left = test.Share(r => Value(r, condition));
            var beyond = Beyond(left, without, chance, test.Correlation(r => Value(r, condition), r => Value(r, ConditionId.Baseline)));
            return new RouteCut(edge, left, (without.Mean - left.Mean) / (without.Mean - chance),
                RouteRule.Carries(beyond)) { Beyond = beyond };
        }
        RouteCut?[] cuts = [Cut("context->instruction"), Cut("instruction->suffix") ?? Cut("instruction->last"), Cut("context->last")];
        var (arbitrates, follows) = (test.Share(r => r.Larger(ConditionId.Baseline)).Low > 0.5,
            (without.Low - chance) / (1 - chance) > RouteRule.LeastFollowing);
        var verdict = arbitrates && follows && !test.IsFew ? RouteRule.Of(cuts[0]?.Carries, cuts[1]?.Carries, cuts[2]?.Carries)
            : Route.Undecided;
        var known = cuts.OfType<RouteCut>().ToList();
        var said = verdict switch
        {
            Route.Relay => "Relay: the instruction's tokens gather what picture and text say and pass it on; the answering position does "
                + "not read them itself",
            Route.Direct => "Direct: the answering position reads picture and text itself, not through the instruction's tokens",
            Route.Mixed => "Mixed: picture and text reach the answering position through the instruction's tokens and directly",
            _ => $"Undecided: {Why(arbitrates, follows, cuts.Contains(null), known, test)}",
        };
        return new RouteFinding(verdict, RouteRule.Threshold, without, known,
            Sentence(said, without, known, Wording.By(EnumName.Of(ablation))));
    }

    /// <summary>Following under a cut minus (1 - threshold) times following without it, both above chance.</summary>
    private static Estimate Beyond(Estimate left, Estimate without, double chance, double correlation)
    {
        var (kept, shift) = (1 - RouteRule.Threshold, chance * RouteRule.Threshold);
        var weighted = ProportionDifference.SquareAndAdd(left, without, kept, correlation);
        return new Estimate(weighted.Mean - shift, weighted.Low - shift, weighted.High - shift, weighted.Count);
    }

    private static string Why(bool arbitrates, bool follows, bool missing, IReadOnlyList<RouteCut> cuts, MeasuredSet test)
    {
        if (test.IsFew) return Wording.Few(test);
        if (!arbitrates) return "the model does not choose by the instruction";
        if (!follows) return "the model follows the instruction in too few runs";
        if (missing) return "the prompts lack one of the edges";
        if (cuts.All(c => c.Carries is not null) && cuts[0].Carries == false && cuts[2].Carries == false)
            return "neither route is needed alone";
        if (cuts.Any(c => c.Carries is null))
            return $"too close to the threshold for {Wording.Count(test.Clusters.Count, "sample")}, {Wording.Needed(Needed(cuts, test))}";
        return "the instruction's tokens gather what picture and text say, but the positions after them do not need it";
    }

    private static string Sentence(string said, Estimate without, IReadOnlyList<RouteCut> cuts, string by)
    {
        var numbers = string.Join(", ", cuts.Select(c => $"{c.Edge} {c.Left.Mean:0.00}"));
        return $"{said} (instructed answers {without.Mean:0.00}; with an edge cut{by} in all layers: {numbers}; a route is what takes more "
            + $"than {RouteRule.Threshold:0.00} of them).";
    }

    private static int Needed(IReadOnlyList<RouteCut> cuts, MeasuredSet test) =>
        cuts.Where(c => c.Carries is null).Max(c => Decision.Needed(c.Beyond, test.Clusters.Count, margin: 0));
}
