using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Whether amplifying the necessary heads helps: at a factor chosen on other runs it repairs failed test runs, more of them than amplifying
/// random heads does; the whole set gains; and accuracy does not drop on runs without a conflict.
/// </summary>
internal static class AmplificationFinding
{
    private const string What = "share of failed test runs repaired at the factor that gained most on other runs, above 0; "
        + "change of MFR of the whole test set, above 0; and more repaired than by "
        + "random sets of the same number of heads, each at the factor that repaired most for it on those runs";

    /// <summary>Fewest failed runs for a claim. With fewer, the interval of a share spans more than 40 points.</summary>
    private const int FewestFailed = 20;

    public static Claim Claim(Diagnosis diagnosis, FindingRuns runs, HeadPlan plan)
    {
        var (test, choice, margin) = (runs.Test, diagnosis.AmplificationChoice, diagnosis.EquivalenceMargin);
        var failed = test.Where(r => r.Failed);
        if (failed.Runs.Count == 0) return Without(FindingStatus.Unclear, "No run failed, so amplification had nothing to repair");
        if (failed.Runs.Count < FewestFailed || failed.IsFew)
            return Without(
                FindingStatus.Unclear, $"{Capital(Plural.OutOf(failed.Runs.Count, test.Runs.Count, "run"))} failed, too few to say what "
                    + $"amplification repairs ({FewestFailed} are needed)");
        if (choice.Net.Count == 0)
            return Without(
                FindingStatus.Unclear, "Whether amplification repairs anything cannot be determined: no factor above 1 was tried");
        if (choice.Factor is not { } factor)
            return Without(
                choice.Net.High < margin ? FindingStatus.Absent : FindingStatus.Unclear,
                $"Amplifying these heads gains nothing at any factor on the {choice.Set} split, on which the factor is chosen: "
                    + $"at best {Wording.Change(choice.Net)}", choice.Net);
        var gained = ConditionId.Gain(HeadPlan.Tested, factor);
        var repaired = failed.Share(r => r.Follows(gained));
        var net = test.Difference(r => r.Follows(gained) - r.Follows(ConditionId.Baseline));
        var control = runs.Control?.Difference(r => r.Follows(gained) - r.Follows(ConditionId.Baseline)).Difference;
        var harmless = control is { } without && without.Low > -margin;
        var text = FormattableString.Invariant(
            $"Amplifying these heads {factor:R} times, the factor that gains most on the {choice.Set} split, repairs ")
            + $"{Wording.Percent(repaired.Mean)} of {Wording.Count(failed.Runs.Count, "failed run")} ({Wording.Interval(repaired)})";
        var whole = $"; the whole test set changes by {Wording.Change(net.Difference)}"
            + (control is { } c
                ? $", samples without a conflict by {Wording.Change(c)}{(harmless ? "" : ", which is not shown to be harmless")}"
                : "; without samples that have no conflict, harm was not checked");
        if (repaired.High <= margin)
            return Without(FindingStatus.Absent, $"{text}, within {Wording.Margin(margin)} of none{whole}", repaired);
        var draws = plan.Draws(HeadPlan.Random);
        if (draws.Count == 0)
            return Without(FindingStatus.Unclear,
                $"{text}, but no random set was amplified for comparison, so whether other heads do as much is unknown{whole}", repaired);
        double Drawn(int i) => failed.Runs.Average(r => r.Follows(ConditionId.Gain(draws[i], choice.Drawn[i])));
        var rank = choice.Drawn.Count == 0 ? new PermutationRank(draws.Count, draws.Count)
            : PermutationRank.Of(repaired.Mean, Enumerable.Range(0, draws.Count).Select(Drawn));
        List<int> reached = [.. Enumerable.Range(0, choice.Matched.Count).Where(i => choice.Matched[i] is not null)];
        var matched = PermutationRank.Of(repaired.Mean,
            reached.Select(i => runs.Matched.Runs.Average(r => r.Follows(ConditionId.MatchedGain(i)))));
        var random = failed.DrawnShare([.. draws.Select(d => ConditionId.Gain(d, factor))], (r, condition) => r.Follows(condition));
        var beyond = ProportionDifference.SquareAndAdd(repaired, random);
        var compared = $"; random heads repair {Wording.Percent(random.Mean)} at the same factor "
            + $"({Wording.Interval(random)}); {Wording.Rank(rank, "repair")}, each at its own factor; "
            + Matched(matched, choice.Matched.Count - reached.Count);
        var p = new[] { failed.Difference(r => r.Follows(gained)).P, net.P, rank.P }.Max();
        return new Claim(What, p, beyond,
            holds => Said(holds && matched.P <= MultipleComparisons.Level, new Evidence
            {
                Text = text,
                Compared = compared,
                Whole = whole,
                Net = net.Difference,
                Harmless = harmless,
                Beyond = beyond,
                Rank = rank,
                Matched = matched,
                Margin = margin,
                Samples = test.Clusters.Count,
            }))
        {
            Draws = rank, Samples = failed.Clusters.Count,
        };
    }

    private sealed record Evidence
    {
        /// <summary>Beginning of the sentence: what the chosen factor repairs.</summary>
        public required string Text { get; init; }

        /// <summary>Part of the sentence: what random heads repair.</summary>
        public required string Compared { get; init; }

        /// <summary>End of the sentence: the change of the whole test set and of samples without a conflict.</summary>
        public required string Whole { get; init; }

        /// <summary>Change of MFR of the whole test set.</summary>
        public required Estimate Net { get; init; }

        /// <summary>Whether samples without a conflict are shown to lose no more than the margin.</summary>
        public required bool Harmless { get; init; }

        /// <summary>Share of failed runs repaired, minus that of random heads at the same factor.</summary>
        public required Estimate Beyond { get; init; }

        /// <summary>Rank among random sets of the same number of heads.</summary>
        public required PermutationRank Rank { get; init; }

        /// <summary>Rank among random sets that change the residual stream as much.</summary>
        public required PermutationRank Matched { get; init; }

        /// <summary>Equivalence margin.</summary>
        public required double Margin { get; init; }

        /// <summary>Number of test samples.</summary>
        public required int Samples { get; init; }
    }

    /// <param name="more">Whether more runs are repaired than by random heads of either kind.</param>
    private static Saying Said(bool more, Evidence found)
    {
        var (text, compared, whole) = (found.Text, found.Compared, found.Whole);
        var (net, beyond, rank, matched) = (found.Net, found.Beyond, found.Rank, found.Matched);
        if (more && beyond.Low > 0 && net.Low > 0 && found.Harmless) return new Saying(FindingStatus.Present, text + compared + whole);
        if (Decision.IsAbsent(beyond, found.Margin))
            return new Saying(
                FindingStatus.Absent, $"{text}, within {Wording.Margin(found.Margin)} of what random heads do{compared}{whole}");
        if (net.High < 0) return new Saying(FindingStatus.Absent, $"{text}, but breaks more than that{compared}{whole}");
        if (beyond.Low <= 0)
        {
            var needed = Decision.Needed(beyond, found.Samples, found.Margin);
            return new Saying(
                FindingStatus.Unclear, $"{text}, which is not distinguishable from random heads (difference "
                    + $"{Wording.Change(beyond)}; {Wording.Needed(needed)}){compared}{whole}", needed);
        }
        // More samples may not help, so the sentence names what is missing.
        var but = !(net.Low > 0) ? "but no net gain of the whole set is shown"
            : !found.Harmless ? "but that it is harmless is not shown"
            : rank.AtLeast == 0 && matched.AtLeast == 0 && matched.P <= MultipleComparisons.Level
                ? $"but {Wording.Count(rank.Draws, "draw", "is", "are")} too few for a claim after correction for four tests "
                    + $"({FindingWriter.DrawsNeeded} are enough)"
                : matched.AtLeast == 0 && matched.P > MultipleComparisons.Level
            ? "but too few random sets change the residual stream as much to compare with"
                : "but too many random sets do as much for a claim after correction for four tests";
        return new Saying(FindingStatus.Unclear, $"{text}, {but}{compared}{whole}");
    }

    private static string Matched(PermutationRank matched, int never) => matched.Draws == 0
        ? "none changes the residual stream as much at any factor"
        : $"{Wording.Rank(matched, "repair")}, each at a factor that changes the residual stream as much"
            + (never > 0 ? $" ({Plural.Of(never, "other", "never does", "never do")})" : "");

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static Claim Without(FindingStatus status, string text, Estimate? effect = null) =>
        Studies.Claim.Without(What, status, text, effect);
}
