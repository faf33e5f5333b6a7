using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>
/// Which heads choose the modality and which carry the decision. A set of heads arbitrates if the model gives its own run's other answer
/// once the heads' queries are replaced by those under the other instruction. Heads carry the decision if the model gives the donor's
/// answer once their outputs are replaced by the donor's.
/// </summary>
internal static class ArbiterFinding
{
    private const string What = "margin moved on the test split by the queries of the heads that the search on the ranking split chose: "
        + "above the threshold, more than random sets move, "
        + "to the receiver's other answer under crossed donors, and not with queries of the same instruction phrased otherwise";

    public static Claim Claim(Diagnosis diagnosis, MeasuredSet test)
    {
        var (found, carriers, choice) = (diagnosis.Interchange.Set("arbiters"), diagnosis.Interchange.Set("decision_carriers"),
            diagnosis.Interchange.Set("choice_carriers"));
        var passed = Passed(carriers, choice) + Place(diagnosis.Interchange.Place);
        if (test.IsFew)
            return Studies.Claim.Without(What, FindingStatus.Unclear, $"Which heads arbitrate cannot be determined: {Wording.These(test)}");
        if (found.Measured is not { } set)
        {
            var all = diagnosis.Interchange.AllQueries;
            if (all.Pairs == 0)
                return Studies.Claim.Without(What, FindingStatus.Unclear,
                    $"Which heads arbitrate cannot be determined: {NoPair(diagnosis.Interchange)}");
            return all.Moved.High < RoleRule.Least
                ? Studies.Claim.Without(What, FindingStatus.Absent,
                    "No head arbitrates by what it reads: with the queries of all heads taken from the other instruction the margin moves "
                        + $"by {Share(all.Moved)} of what that instruction moves{Mlp(diagnosis.Interchange)}{passed}", all.Moved)
                : Studies.Claim.Without(What, FindingStatus.Unclear,
                    "No small set of heads arbitrates by what it reads: no head's queries move the margin by "
                        + $"{InterchangeStudy.LeastGain:0.00} of what the other instruction moves, those of all heads "
                    + $"move {Share(all.Moved)} of it{passed}", all.Moved);
        }
        var text = $"With the queries of {Wording.Count(set.Heads.Count, "head")} ({string.Join(", ", set.Heads)}) taken from the other "
            + $"instruction, {Wording.Percent(set.Choice.Switched.Mean)} of "
            + $"{Wording.Count(set.Choice.Pairs, "pair", "gives", "give")} the receiver's other answer "
            + $"({Wording.Interval(set.Choice.Switched)}); with queries of another picture and note as well it is still the "
            + $"receiver's other answer, in {Wording.Percent(set.ChoiceCrossed.OwnOther.Mean)}, and not the donor's "
            + $"({Wording.Percent(set.ChoiceCrossed.Switched.Mean)})";
        if (found.Random is not { } rank)
            return Studies.Claim.Without(What, FindingStatus.Unclear,
                $"{text}, but no random set was exchanged for comparison, so whether other heads do as much is unknown{passed}",
                set.Choice.Moved);
        var moves = set.Choice.Moved.Low > RoleRule.Least && set.ChoiceCrossed.Choice.Low > 0;
        if (!moves)
            return Studies.Claim.Without(What, FindingStatus.Unclear,
                $"Which heads arbitrate cannot be determined: {Lower(text)}, which moves {Share(set.Choice.Moved)} of the margin{passed}",
                set.Choice.Moved);
        if (RoleRule.Moves(set.Phrasing))
            return Studies.Claim.Without(
                What, FindingStatus.Unclear,
                $"{text}, but queries of the same instruction phrased otherwise move the answer as well, by {Share(set.Phrasing.Moved)} of "
                    + $"what the other instruction moves: {Wording.Percent(set.Phrasing.Switched.Mean)} of "
                    + $"{Wording.Count(set.Phrasing.Pairs, "pair", "gives", "give")} the receiver's other answer "
                    + $"({Wording.Interval(set.Phrasing.Switched)}). "
                    + $"These heads hold the words of the instruction, not which modality it names{passed}", set.Choice.Moved);
        var census = $"{Plural.Few(rank.AtLeast)} of all {Plural.Of(rank.Draws, "other set")} of that size "
            + $"{(rank.AtLeast is 0 or 1 ? "moves" : "move")} as much";
        var compared = $"; {(found.Census ? census : Wording.Rank(rank, "move"))}, "
            + $"at most {found.RandomMoved:0.00} of the margin against {set.Choice.Moved.Mean:0.00}";
        // A census has no random draws. The only uncertainty is over the samples.
        var p = found.Census && rank.AtLeast == 0
            ? Normal.TwoSided(set.Choice.Moved.Mean / ((set.Choice.Moved.High - set.Choice.Moved.Low) / (2 * Normal.Z95))) : rank.P;
        return new Claim(What, p, set.Choice.Moved, holds => holds
            ? new Saying(FindingStatus.Present, $"{Subject(set.Heads.Count)}: {Lower(text)}{compared}{passed}")
            : new Saying(FindingStatus.Unclear, rank.AtLeast == 0 && !found.Census
                ? $"{text}, but {Wording.Count(rank.Draws, "draw", "is", "are")} too few for a claim after correction for four tests "
                    + $"({FindingWriter.DrawsNeeded} are enough){compared}{passed}"
                : $"{text}, but that is not distinguishable from random sets{compared}{passed}"))
        {
            Draws = rank,
        };
    }

    /// <summary>Why no run has a donor under the other instruction.</summary>
    private static string NoPair(InterchangeResult found)
    {
        var count = found.Pairs[^1].Factors.First(f => f.Factor == EnumName.Of(DonorFactor.Instruction));
        return $"of {Wording.Count(count.Runs, "run")} {Plural.Few(count.WithoutDonor)} "
            + $"{(count.WithoutDonor is 0 or 1 ? "has" : "have")} no donor under the other instruction, "
            + $"{Plural.Few(count.ReceiverFails)} {(count.ReceiverFails is 0 or 1 ? "fails" : "fail")} to follow the own one and "
            + $"{Plural.Few(count.DonorFails)} {(count.DonorFails is 0 or 1 ? "has" : "have")} a donor that does not give the other answer";
    }

    private static string Mlp(InterchangeResult found) => found.MlpDecides is { } layer
        ? $". The MLP of layer {layer} decides: no head's output up to it moves the margin, and with this MLP's output from a run with "
            + "another instruction, picture and note "
            + $"{Wording.Percent(found.Layers[layer].MlpCrossed.Switched.Mean)} give that run's answer"
        : "";

    private static string Passed(FoundSet decision, FoundSet choice)
    {
        var carriers = decision is { Found: true, Measured: { } d }
            ? $". {Wording.Count(d.Heads.Count, "other head", "carries", "carry")} the decision ({string.Join(", ", d.Heads)}): "
                + "with their outputs from a run with another instruction, picture and note "
                + $"{Wording.Percent(d.Content.Switched.Mean)} give that run's answer, and their queries switch "
                + $"{Wording.Percent(d.Choice.Switched.Mean)}"
            : "";
        var carried = choice is { Found: true, Measured: { } c }
            ? $". {Wording.Count(c.Heads.Count, "head", "carries", "carry")} the choice itself, "
                + $"without content ({string.Join(", ", c.Heads)}): with such outputs {Wording.Percent(c.Content.OwnOther.Mean)} give the "
                + "receiver's other answer"
            : "";
        return carriers + carried;
    }

    private static string Place(ChoicePlace place)
    {
        var (at, after) = (Wording.Percent(place.QueriesAtInstruction.Switched.Mean), Wording.Percent(place.QueriesBehind.Switched.Mean));
        return place.Where switch
        {
            "instruction" => $". The choice is made at the instruction's tokens: queries there alone switch {at}, those after it {after}",
            "behind" => $". The choice is made after the instruction: queries there alone switch {after}, those at its tokens {at}",
            "both" => $". The choice is made at the instruction's tokens and after them: queries there alone switch {at} and {after}",
            _ => "",
        };
    }

    private static string Subject(int heads) => heads == 1 ? "One head arbitrates" : "A few heads arbitrate together";

    private static string Share(Estimate moved) => $"{moved.Mean:0.00} ({moved.Low:0.00} to {moved.High:0.00})";

    private static string Lower(string text) => char.ToLowerInvariant(text[0]) + text[1..];
}
