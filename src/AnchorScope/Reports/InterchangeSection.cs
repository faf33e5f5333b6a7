using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The section of a report about which heads choose and which carry.</summary>
internal static class InterchangeSection
{
    private const string NoPairs = "no pairs";

    private static readonly string[] FactorNames = [.. InterchangeFigures.Factors.Select(f => f.Name)];

    private static readonly (string Key, string Name)[] Names =
        [("arbiters", "arbiters"), ("decision_carriers", "decision carriers"), ("choice_carriers", "choice carriers")];

    public static void Write(HtmlPage page, InterchangeResult result, IReadOnlyDictionary<string, Figure> figures)
    {
        page.Heading(2, "Who chooses and who carries");
        page.Paragraph(
            "Heads are given activations of a donor run, which differs from their own run in one factor: the instruction, the question, "
            + "the picture or the note. The queries of a head are what it chooses to read by; its output z is what it writes. Heads "
            + "choose if the answer changes with a donor's queries, and carry what a donor's output brings with it.");
        page.Paragraph(
            "A crossed donor has the other instruction and another picture and note, which tells a choice from a content. If a choice is "
            + "moved, the model gives the receiver's other answer, what the other modality says in its own prompt; if a content is "
            + "moved, it "
            + "gives the donor's answer. Moved is the change of the margin as a share of the change in the donor's own run: 0 is nothing, "
            + "1 the donor's decision.");
        Sets(page, result);
        page.Figure(figures["sets"],
            "Share of the test pairs that a set switches as it grew, head by head. Arbiters: queries of the other instruction, receiver's "
            + "other answer. Decision carriers: outputs of crossed donors, donor's answer. Choice carriers: outputs of crossed donors, "
            + "receiver's other answer. Dotted line: one half.", "sets.svg");
        Roles(page, result);
        page.Figure(figures["profiles"],
            "Share of the margin that every head moves alone, ranking set, all maps on one scale. Choice: queries of the other "
            + "instruction. Content: output of a crossed donor. Question, picture, note: output of a run with another one. "
            + "Phrasing, a control: queries of the same instruction phrased otherwise, as a share of what the other instruction moves. "
            + "Last map: roles by letter; cells without a letter have none.", "profiles.svg");
        page.Figure(figures["layers"],
            "All heads of a layer, or its MLP, exchanged together; test set. What is moved: queries of the other instruction; outputs and "
            + "MLP of crossed donors. Choice or content: by how many logits a crossed donor raises the receiver's other answer over the "
            + "donor's.", "layers.svg");
        Place(page, result.Place);
        ByGradient(page, result);
        Ablations(page, result);
        Pairs(page, result);
        page.Details($"Profiles of all {Plural.Of(result.Heads.Count, "head")}", p =>
            Profiles(p, [.. result.Heads], "Every head (layer.head). " + ProfileCaption));
    }

    private static void Sets(HtmlPage page, InterchangeResult result)
    {
        var sets = Names.Select(n => (n.Name, Set: result.Set(n.Key))).ToList();
        page.Table(["Set", "Heads", "Exchanged", "Switched", "Half", "90 %", .. Column.Under("Random sets", "Most", "p", "Draws")],
            [.. sets.Select(s => Searched(s.Name, s.Set))],
            "Sets searched on the ranking set, measured on the test set. Switched: share of pairs that give the donor's answer; for choice "
            + "carriers, the receiver's other answer. "
            + "Half, 90 %: fewest heads of the growing set that switch so many pairs; – where none do. "
            + "Random sets: the most that one of the same number of heads moves, and p of the rank of the set among them.",
            numeric: [3, 4, 5, 6, 7, 8]);
        page.Table(["Set", "Exchanged", "Pairs", "Keeps", "Receiver's other", "Donor's", "Third", "Moved"],
            [
                .. sets.Where(s => s.Set.Measured is not null).SelectMany(s => Measured(s.Name, s.Set.Measured!)),
                .. Measured("necessary heads", result.Necessary),
                Row("all heads", OtherInstruction("queries"), result.AllQueries, sameAnswer: true),
                Row("all heads", OtherInstruction("outputs"), result.AllOutputs, sameAnswer: true),
            ],
            "What the sets do under other exchanges, test set; for comparison the necessary heads, the best 5 % by their score "
            + $"({string.Join(' ', result.Necessary.Heads)}). Shares of pairs that keep their answer, give the receiver's other "
            + "answer, the "
            + "donor's, or a third one. Under the other instruction the donor's answer is the receiver's other one. Other words: the same "
            + "instruction phrased otherwise, a control under which an arbiter's queries keep the answer; there moved is a share of what "
            + "the other instruction moves.",
            numeric: [2, 3, 4, 5, 6, 7]);
    }

    private static void Place(HtmlPage page, ChoicePlace place)
    {
        page.Heading(3, "At the instruction or after it?");
        page.Paragraph(place.QueriesAtInstruction.Pairs < Clusters.Fewest
            ? $"{Plural.Of(place.QueriesAtInstruction.Pairs, "pair", "says", "say")} nothing of where the choice is made."
            : place.Where switch
            {
                "instruction" =>
                    "The choice is made at the instruction's tokens, by what they read; what follows takes over what they pass on.",
                "behind" => "The choice is made after the instruction, by what the tokens there read.",
                "both" => "The choice is made both at the instruction's tokens and after them.",
                "neither" => "Queries of the other instruction move the margin neither at the instruction's tokens nor after them.",
                _ => "Where the choice is made cannot be determined.",
            });
        page.Table(["Set", "Exchanged", "Pairs", "Keeps", "Receiver's other", "Donor's", "Third", "Moved"],
            [
                Row("all heads, at the instruction alone", OtherInstruction("queries"), place.QueriesAtInstruction, sameAnswer: true),
                Row("all heads, after it alone", OtherInstruction("queries"), place.QueriesBehind, sameAnswer: true),
                Row("what the instruction passes on", "keys and values, crossed", place.PassedOnCrossed),
            ],
            "Test set. What the instruction passes on: its keys and values in all layers, for the queries after it alone (path patching). "
                + "They give the donor's answer where a decision is passed on, "
                + "the receiver's other answer where a choice is.", numeric: [2, 3, 4, 5, 6, 7]);
    }

    private static void ByGradient(HtmlPage page, InterchangeResult result)
    {
        var set = result.ByGradient;
        if (set.Heads.Count == 0) return;
        page.Details($"Heads by gradient ({Plural.Of(set.Steps.Count, "row")})", p =>
        {
            p.Table(["Heads", "Added", "Estimated", "Receiver's other", "Moved"],
                [.. set.Steps.Zip(set.Heads, (step, head) => (string[])
                    [$"{step.Heads}", $"{head.Layer}.{head.Head}", Numbers.Interval(head.Moved), Numbers.Interval(step.Test.Switched),
                        Numbers.Interval(step.Test.Moved)])],
                "Queries of the other instruction estimated for all heads at once: integrated gradients of "
                    + $"{InterchangeAttribution.Steps} steps from the receiver's queries to the donor's, all heads together, "
                    + "on the ranking "
                    + "set. Estimated: share of the margin that the added head moves. Receiver's other, moved: so many of the first heads "
                    + "exchanged exactly, test set.", numeric: [0, 2, 3, 4]);
            p.Paragraph($"Of these {Plural.Of(set.Heads.Count, "head")} {Plural.Few(set.Shared)} {(set.Shared is 0 or 1 ? "is" : "are")} "
                + $"among the arbiters that the search found; rank correlation of all estimates with the exact effects of single heads: "
                + $"{Numbers.Of(set.RankCorrelation)}.");
        });
    }

    private static string[] Searched(string name, FoundSet set) => set.Measured is null
        ? [name, "none found", Words(set.Exchanged), .. Enumerable.Repeat(Numbers.Missing, 6)]
        :
        [
            set.Found ? name : $"{name}, not confirmed", string.Join(' ', set.Heads), Words(set.Exchanged), Numbers.Interval(set.Aim),
            Fewest(set.Half), Fewest(set.Ninety), Numbers.Of(set.RandomMoved),
            .. set.Random is { } rank ? (string[])[Numbers.P(rank.P), $"{rank.Draws}"] : [Numbers.Missing, Numbers.Missing],
        ];

    private static string Words(string exchanged) => exchanged == "instruction/query" ? OtherInstruction("queries") : "outputs, crossed";

    private static string OtherInstruction(string what) => $"{what}, other instruction";

    private static string Fewest(int? heads) => heads is { } count ? $"{count}" : Numbers.Missing;

    private static IEnumerable<string[]> Measured(string name, MeasuredHeads set) =>
    [
        Row(name, OtherInstruction("queries"), set.Choice, sameAnswer: true), Row(name, "queries, crossed", set.ChoiceCrossed),
        Row(name, "outputs, crossed", set.Content), Row(name, "outputs, other question", set.Question),
        Row(name, "queries, other words", set.Phrasing, sameAnswer: true),
            Row(name, "outputs, other words", set.PhrasingOutput, sameAnswer: true),
    ];

    private static string[] Row(string name, string exchanged, ExchangeEffect e, bool sameAnswer = false) =>
    [
        name, exchanged,
        .. e.Pairs == 0
            ? (string[])[NoPairs, .. Enumerable.Repeat(Numbers.Missing, 5)]
            : [$"{e.Pairs}", Numbers.Of(e.Keeps.Mean), Numbers.Of(e.OwnOther.Mean), sameAnswer ? "same" : Numbers.Of(e.Switched.Mean),
                Numbers.Of(e.Third.Mean), Numbers.Interval(e.Moved)],
    ];

    private static void Roles(HtmlPage page, InterchangeResult result)
    {
        page.Heading(3, "Roles of heads");
        var none = EnumName.Of(HeadRole.None);
        ProfiledHead[] known = [.. result.Heads.Where(h => h.Role != none)];
        var without = result.Heads.Count - known.Length;
        page.Paragraph(known.Length == 0
            ? $"None of the {Plural.Of(result.Heads.Count, "head")} has a role."
            : without == 0 ? $"All {Plural.Of(result.Heads.Count, "head")} have a role."
            : $"{without} of {Plural.Of(result.Heads.Count, "head")} {(without == 1 ? "has" : "have")} no role.");
        if (known.Length > 0) Profiles(page, known, "Heads with a role (layer.head). " + ProfileCaption);
        page.Details("What the roles mean", p => p.KeyValues([.. RoleName.All.Select(r => ($"{r.Name} ({r.Letter})", r.Meaning))]));
    }

    private static string ProfileCaption =>
        $"Margin moved on the ranking set, as in the maps; (set): in the set of arbiters. Another role needs a whole interval above "
        + $"{Numbers.Of(RoleRule.Least)}. "
        + $"Switched: pairs that give the donor's answer ({string.Join(", ", FactorNames).ToLowerInvariant()}). "
        + "Third: change of the share of third answers with the head blocked.";

    private static void Profiles(HtmlPage page, ProfiledHead[] heads, string caption) => page.Table(
        ["Head", "Role", .. Column.Under("Margin moved", FactorNames), "Switched (%)", "Third"],
        [.. heads.Select(h => (string[])
        [
            $"{h.Layer}.{h.Head}", Unbroken(RoleName.For(h.Role) + (h.InArbiterSet ? " (set)" : "")),
            .. InterchangeFigures.Factors.Select(f => Moved(f.Effect(h.Profile))),
            string.Join("\u00A0/\u00A0", InterchangeFigures.Factors.Select(f => Numbers.Of(f.Effect(h.Profile).Switched.Mean * 100, 0))),
            Numbers.Change(h.ThirdWithout.Mean),
        ])], caption, numeric: [FactorNames.Length + 2, FactorNames.Length + 3]);

    private static string Unbroken(string words) => words.Replace(' ', '\u00A0');

    private static string Moved(ExchangeEffect effect) => effect.Pairs == 0 ? NoPairs : Numbers.Stacked(effect.Moved);

    /// <summary>Shows the three removals next to each other, to separate the effect of a removal from the damage by its method.</summary>
    private static void Ablations(HtmlPage page, InterchangeResult result)
    {
        if (result.Ablations.Count == 0) return;
        page.Heading(3, "Sets removed in three ways");
        page.Table(["Set", "Heads", "Ablation", "MFR", "Competitor", "Third", "No answer word", "Distance"],
            [.. result.Ablations.Select(a => (string[])
            [
                Names.FirstOrDefault(n => n.Key == a.Set).Name ?? "necessary heads", string.Join(' ', a.Heads), a.Variant,
                    Numbers.Interval(a.Following),
                Numbers.Of(a.Competitor.Mean), Numbers.Of(a.Third.Mean), Numbers.Interval(a.NoAnswerWord), Numbers.Interval(a.Distance),
            ])],
            "The outputs of a set replaced by 0, by their means at that span over the ranking set, or by those of a random other run; "
            + $"{Plural.Of(result.Ablations[0].Following.Count, "test run")}. Competitor: gives the other answer. Third: neither. No "
            + $"answer word: the "
            + "likeliest token begins no answer of any of these samples. Distance: norm of the change of the removed outputs over the "
            + "norm of what they were. Where that is large, or many answers are no answer words, the model is far from what it usually "
            + "does, and what the removal costs says less about the heads.",
            numeric: [3, 4, 5, 6, 7]);
    }

    private static void Pairs(HtmlPage page, InterchangeResult result) => page.FoldedTable(
        "Pairs, and runs that gave none",
        ["Set", "Donors differ in", "Runs", "Without donor", "Named unfit", "Receiver fails", "Donor fails", "Pairs"],
        [.. result.Pairs.SelectMany(s => s.Factors.Select(f => (string[])
        [
            s.Split, f.Factor == EnumName.Of(DonorFactor.Crossed) ? "instruction, picture and note (crossed)" : f.Factor,
            $"{f.Runs}", $"{f.WithoutDonor}", $"{f.NamedUnfit}", $"{f.ReceiverFails}", $"{f.DonorFails}",
                f.Pairs == 0 ? NoPairs : $"{f.Pairs}",
        ]))],
        $"Exchanged at {string.Join(", ", result.Positions).Replace('_', ' ')}; alignment of the spans: {result.Alignment}. "
        + "Without donor: no other run of fitting lengths, or the factor does not matter to the run. Named unfit: the sample "
        + "names a donor that does not fit. Receiver fails: it does not follow its instruction. Donor fails: it gives an answer that "
        + "distinguishes nothing.",
        numeric: [2, 3, 4, 5, 6, 7]);
}
