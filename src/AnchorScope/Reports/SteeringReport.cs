using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>Writes report.html, steering.json and the figures of a steering study.</summary>
internal static class SteeringReport
{
    /// <summary>Methods that are drawn as curves: as many as there are colours.</summary>
    private static readonly string[] Drawn = ["query_mean", "query_position", "query_learnt", "z_position", "z_learnt", "residual_mean",
        "residual_position", "residual_learnt"];

    /// <summary>Writes the files into <paramref name="folder"/>, each atomically.</summary>
    public static void Write(string folder, SteeringResult result)
    {
        Directory.CreateDirectory(Path.Combine(folder, "figures"));
        var figures =
            new Dictionary<string, Figure>(StringComparer.Ordinal) { ["turned"] = Turned(result), ["repaired"] = Repaired(result) };
        foreach (var (name, figure) in figures)
            DiagnosisFiles.Text(Path.Combine(folder, "figures", name + ".svg"), figure.ToSvg(standalone: true));
        DiagnosisFiles.Text(Path.Combine(folder, "steering.json"), DiagnosisFiles.Json(result));
        DiagnosisFiles.Text(Path.Combine(folder, "report.html"), Page(folder, result, figures).ToHtml());
    }

    private static HtmlPage Page(string folder, SteeringResult r, Dictionary<string, Figure> figures)
    {
        var page = new HtmlPage($"Can {r.Model.Name} be steered?")
        {
            Subtitle = $"{r.Model.Family}; {Plural.Of(r.TestRuns, "test run")}, {Failed(r.Failed)}",
            Terms = ReportTerms.All,
            Footer = $"{r.Tool}; weights {r.Model.Sha256[..12]}, seed {r.Seed}. All numbers: steering.json; the directions: "
                + "directions.safetensors.",
        };
        foreach (var (text, status) in Findings(r)) page.Lead(text, status);
        if (r.Model.Provenance is { } statement) page.Note(NoteKind.Warning, statement, "About this model");
        page.Paragraph($"A direction is a vector added to activations with a signed strength: above 0 towards the picture, below 0 "
            + $"towards the text. Vectors were fitted on {Plural.Of(r.FittedRuns, "run")} of the ranking "
            + $"split; setting and strength were chosen on {Plural.Of(r.ValidationRuns, "other")}, the second half of that split and the "
            + $"hard samples; what is shown are test runs. Brackets are 95 % "
            + "intervals over samples, runs that share a picture counting as one.");
        Turns(page, r, figures);
        Repairs(page, r, figures);
        page.Heading(2, "The methods");
        page.Table(["Method", "What is changed", "Bounds"],
            [.. r.Methods.Select(m => (string[])[m.Name, m.What, FormattableString.Invariant($"{m.Lowest:R} to {m.Highest:R}")])],
            $"Bounds: the strongest turns, of those tried, up to which at most {Wording.Margin(r.EquivalenceMargin)} more validation runs "
                + "give a third answer. ascope trace and sweep refuse a direction beyond them "
                + "unless --beyond-bounds is given.", numeric: []);
        Provenance(page, r);
        RunFiles.Write(page, folder, figures);
        page.WriteGlossary();
        return page;
    }

    private static string Failed(int runs) => runs == 0 ? "all of which follow their instruction"
        : $"{runs} of which {(runs == 1 ? "does not follow its" : "do not follow their")} instruction";

    /// <summary>The best methods for both uses, and the evidence for them.</summary>
    public static IEnumerable<(string Text, Status Status)> Findings(SteeringResult r)
    {
        var turned = r.Methods.Where(m => m.Turn is { Status: FindingStatus.Present })
            .OrderByDescending(m => m.Turn!.Score!.Value.Mean).ToList();
        var repaired = r.Methods.Where(m => m.Repair.Status == FindingStatus.Present)
            .OrderByDescending(m => m.Repair.Test!.Net.Mean).ToList();
        var draws = r.Methods.Select(m => Math.Max(m.Turn?.Random?.Draws ?? 0, m.Repair.Random?.Draws ?? 0)).DefaultIfEmpty(0).Max();
        if (draws + 1 < 1 / MultipleComparisons.Level)
        {
            yield return ($"Nothing is claimed: {Plural.Of(draws, "random set")} to compare with {(draws == 1 ? "is" : "are")} too few "
                + $"(19 are enough).", Status.Neutral);
            yield break;
        }
        yield return turned.Count > 0 ? (turned[0].Turn!.Text, Status.Good)
            : ("No direction is shown to turn this model more than directions of random heads do.", Status.Absent);
        yield return repaired.Count > 0 ? (repaired[0].Repair.Text, Status.Good)
            : ("No way of steering is shown to repair failed runs with a net gain, more than random heads do and without harm.",
                Status.Absent);
    }

    private static void Turns(HtmlPage page, SteeringResult r, Dictionary<string, Figure> figures)
    {
        page.Heading(2, "A knob: turning runs against their instruction");
        page.Figure(figures["turned"], "Test runs that follow their instruction without steering: the share that switches to the other "
            + "modality's answer, at every strength.", "turned.svg");
        var turns = r.Methods.Where(m => m.Turn is not null).Select(m => (m.Name, Turn: m.Turn!)).ToList();
        page.Table(
            ["Method", "Chosen", "Score", .. Column.Under("Told text, to the picture", "Switched", "Third", "Picture kept"),
                .. Column.Under("Told picture, to the text", "Switched", "Third", "Text kept"), "Random", "p"],
            [.. turns.Select(m => (string[])
            [
                m.Name, Chosen(m.Turn.Chosen), Change(m.Turn.Score), .. Side(m.Turn.ToPicture), .. Side(m.Turn.ToText),
                Rank(m.Turn.Random), P(m.Turn.Chosen, m.Turn.P),
            ])],
            "Score: share that switches when steered against its instruction, minus share that loses its own answer when steered with it, "
                + "at the setting and strength with the best score on validation runs. "
                + "Random: sets of the same number of other heads (for the residual stream random vectors of the same norm), "
                + "steered in the same way, "
                + "that score as much, each at its best. p: after Holm over the methods.", numeric: [4, 7, 9, 10]);
        var unseen = r.UnseenRuns > 0;
        page.Table(
            ["Method", "Beyond the best residual direction", "Without a conflict", .. Unseen(unseen)],
            [.. turns.Select(m => (string[])
                [m.Name, Change(m.Turn.BeyondResidual), Change(m.Turn.Control),
                    .. unseen ? [Change(m.Turn.Unseen)] : Array.Empty<string>()])],
            "The same methods: score minus that of the best residual direction, and, when turned, change of the share of correct answers "
                + $"without a conflict{(unseen ? "; unseen: score on the second data folder" : "")}.", numeric: [1, 2, 3]);
        page.FoldedTable("Every strength",
            ["Method", "Setting", "Strength", .. Column.Under("Told picture", "Switched", "Third"),
                .. Column.Under("Told text", "Switched", "Third")],
            [.. r.Methods.Where(m => m.Signed).SelectMany(m => m.Turned.Where(t => t.Label == Setting(m)).Select(t => (string[])
                [m.Name, t.Label, (t.Strength > 0 ? "+" : "") + t.Strength.ToString("R", CultureInfo.InvariantCulture),
                    Cell(t.ToldPicture.Switched), Numbers.Of(t.ToldPicture.Third.Mean), Cell(t.ToldText.Switched),
                    Numbers.Of(t.ToldText.Third.Mean)]))],
            "Third: an answer that is neither modality's.", numeric: [2, 3, 4, 5, 6]);
        page.Details("Every method in a sentence", p =>
        {
            foreach (var method in r.Methods.Where(m => m.Turn is not null)) p.Paragraph(method.Turn!.Text);
        });
    }

    private static string[] Side(TurnedSide? side) => [Cell(side?.Switched), Mean(side?.Third), Cell(side?.Kept)];

    /// <summary>A column for the second data folder, if there is one.</summary>
    private static Column[] Unseen(bool any) => any ? ["Unseen"] : [];

    private static void Repairs(HtmlPage page, SteeringResult r, Dictionary<string, Figure> figures)
    {
        page.Heading(2, "A repair: making failed runs follow");
        page.Figure(figures["repaired"], "Directions are taken in the sense of each run's own instruction, which whoever steers has to "
            + "know; gains and the attention boost do the same to every run.", "repaired.svg");
        var unseen = r.UnseenRuns > 0;
        page.Table(
            ["Method", "Chosen", "Change of the stream", "Repaired", "Broken", "Net", "Beyond the best gain", "Without a conflict",
                "Random", "Matched", "p", .. Unseen(unseen)],
            [.. r.Methods.Select(m => (m.Name, m.Repair)).Select(m => (string[])
            [
                m.Name, Chosen(m.Repair.Chosen), m.Repair.Chosen is { } c ? Numbers.Of(c.Norm.Mean) : Numbers.Missing,
                Cell(m.Repair.Test?.Repaired), Cell(m.Repair.Test?.Broken), Change(m.Repair.Test?.Net),
                Change(m.Repair.BeyondGain), Change(m.Repair.Control?.Net), Rank(m.Repair.Random),
                m.Repair.Random is null ? Numbers.Missing : Rank(m.Repair.Matched), P(m.Repair.Chosen, m.Repair.P),
                .. unseen ? [Change(m.Repair.Unseen?.Net)] : Array.Empty<string>(),
            ])],
            "Repaired: share of failed runs that follow. Broken: share of the others that fail. Net: change of the share that follows, "
                + "paired. Random: sets of the same number of other heads (for the residual stream "
                + "random vectors of the same norm) that gain as much by the same kind of steering, each at its best strength; matched, "
                + "those that change the residual stream as much, at that strength. Change of the stream: norm of the change of what "
                + "leaves the last layer, over its "
                + "norm. p: after Holm over the methods.", numeric: [2, 8, 9, 10]);
        page.Details("Every method in a sentence", p =>
        {
            foreach (var method in r.Methods) p.Paragraph(method.Repair.Text);
        });
    }

    private static void Provenance(HtmlPage page, SteeringResult r)
    {
        page.Heading(2, "How this was made");
        string Heads(IReadOnlyList<HeadId> heads) => heads.Count == 0 ? "none found" : string.Join(' ', heads);
        page.KeyValues(
        [
            ("Tool", r.Tool), ("Arbiters", Heads(r.Heads.Arbiters)), ("Choice carriers", Heads(r.Heads.ChoiceCarriers)),
            ("Decision carriers", Heads(r.Heads.DecisionCarriers)), ("Necessary heads", Heads(r.Heads.Necessary)),
            .. r.Data.Select(s => ($"Data, {s.Name}", $"{Plural.Of(s.Samples, "sample")}, {s.Rejected} left out, sha256 {s.Sha256}")),
                ("Seed", $"{r.Seed}"),
        ]);
        page.Table(["Choice", "Variant"], [.. r.Variants.Select(v => new[] { v.Key, v.Value })], "Definitions.", numeric: []);
    }

    private static LineFigure Turned(SteeringResult r)
    {
        var methods = Drawn.Select(name => r.Methods.FirstOrDefault(m => m.Name == name)).OfType<SteeredMethod>().ToList();
        LinePanel Panel(string title, Func<TurnedRuns, TurnedShares> shares) => new(title, [.. methods.Select(m =>
        {
            // These runs follow their instruction without steering, so at strength 0 none switches.
            var points = m.Turned.Where(t => t.Label == Setting(m)).Select(t => (t.Strength, shares(t).Switched)).Append((0, default))
                .OrderBy(p => p.Item1).ToList();
            return new LineSeries(Name(m), [.. points.Select(p => p.Item1)], [.. points.Select(p => p.Item2.Mean)])
            {
                Low = [.. points.Select(p => p.Item2.Low)], High = [.. points.Select(p => p.Item2.High)],
            };
        })])
        {
            XLabel = "Strength (− text, + picture)", YLabel = "Share that switches", YRange = (0, 1),
        };
        return new LineFigure("Directions as knobs",
            [Panel("Told to trust the text", t => t.ToldText), Panel("Told to trust the picture", t => t.ToldPicture)]);
    }

    private static IntervalFigure Repaired(SteeringResult r)
    {
        var methods = r.Methods.Where(m => m.Repair.Test is not null).ToList();
        return new IntervalFigure("What steering repairs and breaks", [.. methods.Select(Name)],
        [
            new IntervalSeries("failed runs that follow", [.. methods.Select(m => m.Repair.Test!.Repaired)]),
            new IntervalSeries("other runs that fail", [.. methods.Select(m => m.Repair.Test!.Broken)]),
        ])
        {
            XLabel = "Share of test runs, 95 % interval",
        };
    }

    private static string Setting(SteeredMethod method) =>
        (method.Turn?.Chosen ?? method.Repair.Chosen)?.Label ?? method.Turned.Select(t => t.Label).FirstOrDefault("");

    private static string Chosen(SteeringChoice? chosen) =>
        chosen is { } c ? FormattableString.Invariant($"{(c.Label.Length > 0 ? c.Label + " " : "")}x{c.Strength:R}") : "none";

    private static string P(SteeringChoice? chosen, double p) => chosen is null ? Numbers.Missing : Numbers.P(p);

    private static string Name(SteeredMethod method) => method.Name.Replace('_', ' ');

    private static string Cell(Estimate? share) => share is { } s ? Numbers.Stacked(s) : Numbers.Missing;

    private static string Mean(Estimate? share) => share is { } s ? Numbers.Of(s.Mean) : Numbers.Missing;

    private static string Change(Estimate? change) => change is { } c ? Numbers.StackedChange(c) : Numbers.Missing;

    private static string Rank(PermutationRank? rank) => rank is { } r ? $"{r.AtLeast} of {r.Draws}" : Numbers.Missing;
}
