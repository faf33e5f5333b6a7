using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>Writes report.html and the figures of a diagnosis.</summary>
internal static class DiagnosisReport
{
    /// <summary>Writes report.html and figures/*.svg into <paramref name="folder"/>, each atomically.</summary>
    /// <param name="data">Folder of the conflict sets, for the pictures of the examples.</param>
    public static void Write(string folder, Diagnosis diagnosis, string data)
    {
        var figures = new Dictionary<string, Figure>(new DiagnosisFigures(diagnosis).All, StringComparer.Ordinal);
        foreach (var (name, figure) in new InterchangeFigures(diagnosis.Interchange).All) figures[name] = figure;
        foreach (var (name, figure) in ReadingFigures.Of(diagnosis, data)) figures[name] = figure;
        Directory.CreateDirectory(Path.Combine(folder, "figures"));
        foreach (var (name, figure) in figures)
            DiagnosisFiles.Text(Path.Combine(folder, "figures", name + ".svg"), figure.ToSvg(standalone: true));
        DiagnosisFiles.Text(Path.Combine(folder, "report.html"), Page(folder, diagnosis, figures, data).ToHtml());
    }

    private static HtmlPage Page(string folder, Diagnosis d, IReadOnlyDictionary<string, Figure> figures, string data)
    {
        var page = new HtmlPage($"Who decides in {d.Model.Name}?")
        {
            Subtitle = $"{d.Model.Family}, {Plural.Of(d.Model.Layers, "layer")} of {Plural.Of(d.Model.Heads, "head")}; samples: "
                + $"{string.Join(", ", d.Data.Select(s =>
                    $"{s.Samples} {s.Name}"))}{(d.Variants.TryGetValue("steering", out var steering) ? $"; steered: {steering}" : "")}",
            Footer = $"{d.Tool}; weights {d.Model.Sha256[..12]}, seed {d.Seed}, definitions: {d.Variants["preset"]}. All numbers: "
                + "diagnosis.json, summary.csv; every run: results.jsonl.",
            Terms = ReportTerms.All,
        };
        foreach (var warning in d.Warnings) page.Note(NoteKind.Warning, warning);
        foreach (var finding in d.Findings)
            page.Lead(finding.Text, finding.Status switch
            {
                FindingStatus.Present => Status.Good,
                FindingStatus.Absent => Status.Absent,
                _ => Status.Neutral,
            });
        page.Lead(d.Route.Text, d.Route.Verdict == Route.Undecided ? Status.Neutral : Status.Good);
        if (d.Model.Provenance is { } statement) page.Note(NoteKind.Warning, statement, "About this model");
        page.Paragraph(
            "Shaded bands and brackets are 95 % intervals over samples; runs that share a picture count as one sample. Shares have score "
                + "intervals, means of logits bootstrap intervals, and those of random sets hold the variation between draws. "
            + $"A sentence is found where its p after Holm over the four sentences is at most {Numbers.Of(d.Level)}, and absent where "
            + $"the whole interval is within {Numbers.Of(d.EquivalenceMargin * 100, 0)} points of no effect. "
            + "In tables, q is the false discovery rate (Benjamini and Hochberg) over all rows of their kind. Heads are ranked on one "
            + "set of samples and tested on another.");
        if (Removed(d.Variants) is { } removed) page.Paragraph(removed);
        InterchangeSection.Write(page, d.Interchange, figures);
        Following(page, d);
        Layers(page, d, figures);
        Routes(page, d, figures);
        Heads(page, d, figures);
        Blocking(page, d, figures);
        Amplification(page, d, figures);
        page.Heading(2, "Examples");
        page.Paragraph("Picked by fixed rules in the order of the set, not by hand. Answers are the likeliest token.");
        page.Cards([.. ExampleCards.Of(d, data)]);
        foreach (var (name, reads) in new[] { ("reading-instruction", "the instruction's tokens read"),
            ("reading-last", "the last position reads") })
        {
            if (figures.TryGetValue(name, out var overlay))
            {
                page.Figure(overlay, $"What {reads} of the picture, a row for each example and condition. Maps: share of all attention "
                    + $"that a region gets over its share of the "
                    + "area, a mean over all heads of all layers; a blocked head counts as 0. All maps have one scale, all differences "
                    + "another. The number below a map is "
                    + "the picture's share of all attention, which is also the mean of the map: the rest goes to the text, so a map "
                    + "reaches 1 only where a region gets "
                    + "several times its part. Difference: told to trust the picture minus told to trust the text.", name + ".svg");
            }
        }
        Provenance(page, d);
        RunFiles.Write(page, folder, figures, [("heads.json", "the arbiters as a set, for ascope trace, sweep, bake and tune")]);
        page.WriteGlossary();
        return page;
    }

    /// <summary>What "blocked" and "cut" mean if they do not mean 0; otherwise null.</summary>
    internal static string? Removed(IReadOnlyDictionary<string, string> variants) => variants["ablation"] switch
    {
        "mean" => "Heads and edges were removed by mean ablation: blocked heads write their mean output at that span, and along cut edges "
            + "keys and values are the means of their span, all over the ranking set.",
        "resample" => "Heads and edges were removed by resample ablation: blocked heads write what they write in a random other run of the "
            + "ranking set, and along cut edges keys and values are that run's, position by position from the end of each span.",
        _ => null,
    };

    private static void Following(HtmlPage page, Diagnosis d)
    {
        page.Heading(2, "Does it follow the instruction?");
        Column[] columns =
        [
            "Samples", "Runs", .. Column.Under("Arg-max", "Picture", "Text", "Both"),
                .. Column.Under("Larger of the two", "Picture", "Text"),
            .. Column.Under("Both instructions", "Generated", "Competitor", "Neither"),
        ];
        page.Table(columns, [.. d.Following.Where(f => f.Group is "all" or "kind").Select(Row)],
            "Modality-following ratio (MFR) without intervention, by the instruction: told to trust the picture or the text. Arg-max: "
                + "the likeliest token begins the instructed answer. Larger of the two: its logit is above the competitor's. "
                + "Generated: the generated text gives the instructed answer. Competitor, neither: the likeliest token begins the other "
                + "answer, or neither of the two.");
        page.FoldedTable("By category and tag", columns, [.. d.Following.Where(f => f.Group is "category" or "tag").Select(Row)],
            "The same for parts of the sets.");

        static string[] Row(FollowingRates f) =>
        [
            f.Group == "all" ? f.Set : f.Group == "kind" ? $"{f.Set}: {f.Name.Replace('_', ' ')}" : $"{f.Set}, {f.Name.Replace('_', ' ')}",
            $"{f.Runs}",
            Numbers.Of(f.Argmax.Vision.Mean), Numbers.Of(f.Argmax.Text.Mean), Numbers.Interval(f.Argmax.All),
            Numbers.Of(f.Larger.Vision.Mean), Numbers.Of(f.Larger.Text.Mean), Numbers.Of(f.Generated.All.Mean),
            Numbers.Of(f.Competitor.All.Mean), Numbers.Of(f.Neither.All.Mean),
        ];
    }

    private static void Layers(HtmlPage page, Diagnosis d, IReadOnlyDictionary<string, Figure> figures)
    {
        page.Heading(2, "Where does the decision become visible?");
        page.Figure(figures["ldar"],
            $"Share of runs in which the logit lens already favours the answer that the model gives in the end (LDAR). Dotted line: "
                + $"{Numbers.Of(d.Layers.BaseRate.Mean)}, the share of the decision that the model takes more often, which a signal that "
                + $"always says the same would reach. {Plural.Of(d.Layers.Undecided, "run")} answered neither and "
                + $"{(d.Layers.Undecided == 1 ? "is" : "are")} not counted in the dashed curve. "
                + $"{Against(d.Layers)}", "ldar.svg");
        page.Figure(figures["mam"], "Lens margin of the instructed answer over its competitor (MAM), "
            + $"mean of the {d.Variants["top_k"]} strongest instruction tokens, and at the last position. Norm of the lens: "
            + $"{d.Variants["lens_norm"]}.", "mam.svg");
        page.Figure(figures["increments"], "What the attention and the MLP of each layer add to MAM. An MLP that works against its "
            + "attention shows semantic inertia.", "increments.svg");
    }

    /// <summary>
    /// If the model always follows, LDAR equals the share of runs with MAM > 0. Only runs that decide against their instruction distinguish
    /// them.
    /// </summary>
    private static string Against(LayerCurves c)
    {
        var against = c.LdarAnchorAgainst[0].All.Count;
        if (against == 0) return "No run decides against its instruction, so LDAR is the share of runs with MAM > 0 and adds nothing to "
            + "it.";
        double Largest(IReadOnlyList<ByInstruction> ldar, IReadOnlyList<ByInstruction> positive) =>
            ldar.Zip(positive, (l, p) => Math.Abs(l.All.Mean - p.All.Mean)).Max();
        var adds = Math.Max(Largest(c.LdarAnchor, c.MamPositiveAnchor), Largest(c.LdarLast, c.MamPositiveLast));
        return $"Over runs that follow, LDAR is the share of runs with MAM > 0; "
            + $"{Plural.Of(against, "run", "decides", "decide")} against the instruction (third curve; base rate "
            + $"{Numbers.Of(c.BaseRateAgainst.Mean)}), and over all runs the two differ by at most {Numbers.Of(adds, 3)}.";
    }

    private static void Routes(HtmlPage page, Diagnosis d, IReadOnlyDictionary<string, Figure> figures)
    {
        page.Heading(2, "Which routes carry it?");
        page.Figure(figures["knockout"], $"Attention edges cut in windows of {Windows(d)}. Negative: the edge supports following the "
            + $"instruction. I_NSSD is the variant {d.Variants["nssd"]}, a reconstruction.", "knockout.svg");
        page.Figure(figures["knockout-mfr"], "The same cuts, as the share of runs that still follow.", "knockout-mfr.svg");
        var window = d.Variants["window"];
        page.Table(
            ["Edge", .. Column.Under("Cut around the worst layer", "Layer", "I_NSSD", "q", "MFR, picture", "MFR, text"),
                .. Column.Under("Cut in all layers", "I_NSSD", "MFR, picture", "MFR, text")],
            [.. d.Knockouts.Where(k => $"{k.Window}" == window).Select(k =>
            {
                var worst = k.Layers.MinBy(p => p.Nssd.All.Mean)!;
                return new[]
                {
                    DiagnosisFigures.Arrow(k.Edge), $"{worst.Layer}", Numbers.Of(worst.Nssd.All.Mean), Numbers.P(worst.Test.Q),
                        Numbers.Of(worst.Argmax.Vision.Mean), Numbers.Of(worst.Argmax.Text.Mean),
                    k.AllLayers is { } a ? Numbers.Of(a.Nssd.All.Mean) : "", k.AllLayers is { } b ? Numbers.Of(b.Argmax.Vision.Mean) : "",
                    k.AllLayers is { } c ? Numbers.Of(c.Argmax.Text.Mean) : "",
                };
            })], $"Every edge: the window of {Windows(d)} that hurts most, and the edge cut in all layers. q: over all edges and "
                + $"layers.", numeric: [1, 2, 3, 4, 5, 6, 7, 8]);
        page.Figure(figures["windows"], "The same knockouts with windows of other sizes: how much the curves depend on the choice "
            + "of the window.", "windows.svg");
    }

    private static void Heads(HtmlPage page, Diagnosis d, IReadOnlyDictionary<string, Figure> figures)
    {
        page.Heading(2, "Which heads are necessary?");
        var total = d.Model.Layers * d.Model.Heads;
        page.Figure(figures["heads"],
            $"{Scored(d)} Outlined: {Wording.Top(d.Heads.Count, total)} for each modality; shared hubs are in both, experts in one. "
            + (Exchanged(d) ? "" : "A score says what is lost without a head, not what the head does."), "heads.svg");
        page.Table(["Rank", "Head", .. Column.Under("Score", "All runs", "q", "Picture", "Text"), "Direct attribution", "Role"],
            [.. d.Heads.Ranked.Select((h, i) => new[]
            {
                $"{i + 1}", $"{h.Layer}.{h.Head}", (h.Estimate ? "estimate " : "") + Numbers.Interval(h.Score.All), Numbers.P(h.Test.Q),
                    Numbers.Of(h.Score.Vision.Mean), Numbers.Of(h.Score.Text.Mean), Numbers.Of(h.DirectAttribution),
                h.Role switch { "shared" => "shared hub", "vision" => "vision expert", "text" => "text expert", _ => "" },
            })],
            $"{(Exchanged(d) ? "The heads (layer.head) by the share of the margin that each moves alone"
                : "The necessary heads (layer.head): those whose blocking costs most come first")}. "
                + $"Score: {d.Variants["head_score"]}. The top {(d.Heads.Count == 1 ? "head holds" : $"{d.Heads.Count} hold")} "
                + $"{d.Heads.ShareOfPositive[d.Heads.Count - 1] * 100:0} % of the sum of positive scores; Spearman correlation of score "
                + $"and direct logit attribution over all heads: {Numbers.Of(d.Heads.AttributionCorrelation)}. Heads with a "
                + $"score that differs from 0: {Plural.OutOf(d.Heads.Surviving.Count, total, "head")}, at a false discovery rate of 5 %.",
            numeric: [0, 2, 3, 4, 5, 6]);
        RankingSections.Edges(page, d);
        RankingSections.Inside(page, d);
        RankingSections.Neurons(page, d);
    }

    private static string Windows(Diagnosis d) => Plural.Of(int.Parse(d.Variants["window"], CultureInfo.InvariantCulture), "layer");

    /// <summary>Whether heads are ranked by an exchange instead of a removal.</summary>
    private static bool Exchanged(Diagnosis d) => d.Variants["head_score"] is "choice" or "content" or "question" or "picture" or "note";

    /// <summary>How the heads' scores were obtained.</summary>
    private static string Scored(Diagnosis d) => Exchanged(d)
        ? $"The share of the margin that every head moves alone ({d.Variants["head_score"]}), first {InterchangeStudy.ProfileSamples} "
            + "conflicts of the ranking set. Which heads are necessary is then tested on the heads in this order. "
        : d.Heads.Estimated.Count == 0
        ? "Every head blocked alone on the ranking set."
        : "Every head estimated from gradients on the ranking set "
            + $"({d.Variants["screen"]}); the strongest {d.Model.Layers * d.Model.Heads - d.Heads.Estimated.Count} were then blocked alone "
            + "and have that score, the others, with a dot, keep their estimate. "
            + "Spearman correlation of estimate and score over those blocked: "
            + $"{d.Heads.ScreenCorrelation.ToString("0.00", CultureInfo.InvariantCulture)}.";

    private static void Blocking(HtmlPage page, Diagnosis d, IReadOnlyDictionary<string, Figure> figures)
    {
        page.Heading(2, "What does blocking them cost?");
        page.Figure(figures["blocking"], "MFR on the test set against the share of heads blocked, by arg-max over the vocabulary and by "
            + "the larger of the two answers, where chance is one half (dotted line). " + Controls(d), "blocking.svg");
        var kinds = d.Blocking.SelectMany(b => b.Control.Keys).Distinct().Order(StringComparer.Ordinal).ToList();
        page.Table(
            ["Blocked", "Heads", .. Column.Under("MFR", "Both", "Picture", "Text"), "Larger", "Competitor",
                .. Column.Under("Random heads", "MFR", "p"), .. Column.Under("Same layers", "MFR", "p"), "Draws"],
            [.. d.Blocking.Select(b => (string[])
            [
                b.Name.Shown, string.Join(' ', b.Heads.Take(6)) + (b.Heads.Count > 6 ? $" … ({b.Heads.Count})" : ""),
                Numbers.Interval(b.Argmax.All), Numbers.Of(b.Argmax.Vision.Mean), Numbers.Of(b.Argmax.Text.Mean),
                Numbers.Of(b.Larger.All.Mean), Numbers.Of(b.Competitor.All.Mean), .. Drawn(b.Random), .. Drawn(b.LayerMatched), Draws(b),
            ])],
            "MFR on the test set with heads blocked. Larger: of the two answers. Random heads: MFR with the same number of heads, "
                + "drawn from all others or from the same layers, and p of the rank of the chosen set among the draws.",
            numeric: [2, 3, 4, 5, 6, 8, 10, 11]);
        static string[] Drawn(RandomControl? c) => c is null ? [Numbers.Missing, Numbers.Missing]
            : [Numbers.Stacked(c.Argmax.All), Numbers.P(c.Rank.P)];
        static string Draws(BlockingResult b) =>
            string.Join(", ", new[] { b.Random, b.LayerMatched }.OfType<RandomControl>().Select(c => $"{c.Rank.Draws}").Distinct())
                is { Length: > 0 } draws ? draws : Numbers.Missing;
        if (kinds.Count == 0) return;
        string[] Cells(IReadOnlyDictionary<string, Estimate> control) =>
            [.. kinds.Select(k => control.TryGetValue(k, out var e) ? Numbers.Interval(e) : Numbers.Missing)];
        page.Table(["Blocked", .. kinds.Select(k => k.Replace('_', ' '))],
            [
                ["nothing",
                    .. kinds.Select(k => d.Following.FirstOrDefault(f => f.Group == "kind" && f.Name == k) is { } f
                        ? Numbers.Interval(f.Argmax.All) : Numbers.Missing)],
                .. d.Blocking.Select(b => (string[])[b.Name.Shown, .. Cells(b.Control)]),
                .. d.Blocking.Where(b => b.Random is not null).Select(
                    b => (string[])[$"{b.Heads.Count} at random", .. Cells(b.Random!.Control)]).DistinctBy(r => r[0]),
            ],
            "Side effects: accuracy on samples without a conflict. Heads that serve conflicts alone would leave it as it is.",
            numeric: [.. Enumerable.Range(1, kinds.Count)]);
    }

    /// <summary>Which random sets were drawn for comparison with the necessary heads.</summary>
    private static string Controls(Diagnosis d)
    {
        List<int> draws = [.. d.Blocking.Where(b => b.Share is not null).SelectMany(b =>
            new[] { b.Random, b.LayerMatched }).OfType<RandomControl>().Select(c => c.Sets.Count)];
        if (draws.Count == 0) return "No random sets were blocked for comparison.";
        var sets = draws.Min() == draws.Max() ? Plural.Of(draws[0], "set") : $"{draws.Min()} to {Plural.Of(draws.Max(), "set")}";
        return $"Grey: means over {sets} of the same number of random heads, of all layers or of the layers of the necessary ones; "
            + "their bands hold "
            + $"the variation between sets.";
    }

    private static void Amplification(HtmlPage page, Diagnosis d, IReadOnlyDictionary<string, Figure> figures)
    {
        page.Heading(2, "Does amplifying them repair failures?");
        var choice = d.AmplificationChoice;
        page.Paragraph(choice.Factor is { } factor
            ? FormattableString.Invariant(
                $"The factor is chosen on the {choice.Set} split, by the change of MFR of all its runs: {factor:R}, where it is ")
                + $"{Numbers.ChangeInterval(choice.Net)}. It changes the residual stream that leaves the last layer by "
                + $"{Numbers.Of(choice.Change!.Value.Mean)} of its norm; "
                + $"{Reached(choice)} that at a factor that was measured."
            : $"No factor gains on the {choice.Set} split, on which it is chosen: at best {Numbers.ChangeInterval(choice.Net)}.");
        page.Figure(figures["amplification"], "Share of the failed runs that follow at each factor, and MFR of the whole set at the same "
            + "factor, so that what a gain breaks is counted too.", "amplification.svg");
        page.FoldedTable("Every factor in numbers",
            ["Set", "Heads", "Factor", "Repaired", "Larger of the two", "MFR of the whole set", "Controls"],
            [.. d.Amplification.SelectMany(a => a.Points.Select(g => new[]
            {
                a.Set, a.Group.Shown, $"{g.Factor.ToString("R", CultureInfo.InvariantCulture)}", Numbers.Interval(g.RecoveredArgmax.All),
                Numbers.Of(g.RecoveredLarger.All.Mean), g.WholeArgmax is { } w ? Numbers.Of(w.All.Mean) : "",
                g.Control.Count > 0 ? string.Join(" / ", g.Control.Values.Select(e => Numbers.Of(e.Mean))) : "",
            }))],
            $"Amplification in numbers. Factor 1 is no change; a failed run can have the larger logit on the instructed answer all the "
                + "same. Controls: accuracy on "
                + $"{string.Join(" / ", ControlsOf(d))}.",
            numeric: [2, 3, 4, 5, 6]);
    }

    private static IEnumerable<string> ControlsOf(Diagnosis d) =>
        d.Amplification.SelectMany(a => a.Points).FirstOrDefault(g => g.Control.Count > 0)?.Control.Keys.Select(k => k.Replace('_', ' '))
            ?? ["none"];

    private static string Reached(AmplificationChoice choice)
    {
        var reached = choice.Matched.Count(m => m is not null);
        return $"{Plural.OutOf(reached, choice.Matched.Count, "random set")} {(reached is 0 or 1 ? "reaches" : "reach")}";
    }

    private static void Provenance(HtmlPage page, Diagnosis d)
    {
        page.Heading(2, "How this was made");
        page.KeyValues(
        [
            ("Tool", d.Tool), ("Model", $"{d.Model.Name}, {d.Model.Family}"), ("Weights", $"sha256 {d.Model.Sha256}"),
            ("Tokenizer", $"sha256 {d.Model.TokenizerSha256}"),
            .. d.Data.Select(s =>
                ($"Data, {s.Name}", $"{Plural.Of(s.Samples, "sample")}, {s.Rejected} left out, sha256 {s.Sha256}, of the pictures "
                    + $"{s.PicturesSha256}")),
            ("Prompt layout", d.Layout),
        ]);
        if (d.Command.Length > 0)
        {
            page.Paragraph("The command:");
            page.Verbatim(d.Command);
        }
        page.Table(["Option", "Value"], [.. d.Settings.Select(s => new[] { s.Key, s.Value })],
            "Every setting that decides a number, named or not.", numeric: []);
        page.Table(["Choice", "Variant"], [.. d.Variants.Select(v => new[] { v.Key, v.Value })],
            "Definitions that the paper does not print, or leaves open, and what was chosen here.", numeric: []);
        page.Heading(3, "One prompt as the model got it");
        page.Paragraph($"{d.Prompt.Run}: {Plural.Of(d.Prompt.Tokens.Count, "position")}; image placeholders are repeated per image token "
            + $"before the model sees them.");
        page.Verbatim(d.Prompt.Text);
        page.Details("Token ids and spans", p =>
        {
            p.Verbatim(string.Join(' ', d.Prompt.Tokens));
            p.Table(["Span", "Positions"], [.. d.Prompt.Spans.Select(s => new[] { s.Key, string.Join(' ', s.Value) })],
                "Positions of every part.", numeric: []);
        });
        if (d.Rejected.Count > 0)
            page.Table(["File", "Line", "Sample", "Reason"],
                [.. d.Rejected.Select(r => new[] { r.File, r.Line > 0 ? $"{r.Line}" : "", r.Id ?? "", r.Reason })],
                    "Lines that were not used.", numeric: [1]);
    }
}
