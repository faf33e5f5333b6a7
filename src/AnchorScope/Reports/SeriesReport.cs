using System.Globalization;
using System.Text;
using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>Writes report.html, series.json, series.csv and the figure of a series of checkpoints.</summary>
internal static class SeriesReport
{
    /// <summary>Writes the files into <paramref name="folder"/>, each atomically.</summary>
    public static void Write(string folder, TrainingSeries series)
    {
        var figure = FigureOf(series);
        Directory.CreateDirectory(Path.Combine(folder, "figures"));
        DiagnosisFiles.Text(Path.Combine(folder, "figures", "series.svg"), figure.ToSvg(standalone: true));
        DiagnosisFiles.Text(Path.Combine(folder, "series.json"), DiagnosisFiles.Json(series));
        DiagnosisFiles.Text(Path.Combine(folder, "series.csv"), Table(series));
        DiagnosisFiles.Text(Path.Combine(folder, "report.html"), Page(folder, series, figure).ToHtml());
    }

    private static LineFigure FigureOf(TrainingSeries series)
    {
        var points = series.Points;
        double[] steps = [.. points.Select(p => (double)p.Step)];
        LineSeries Line(string name, Func<SeriesPoint, Estimate?> value, int? colour = null, Stroke stroke = Stroke.Solid)
        {
            var values = points.Select(p => value(p) ?? new Estimate(double.NaN, double.NaN, double.NaN, 0)).ToList();
            return new LineSeries(name, steps, [.. values.Select(v => v.Mean)])
                { Low = [.. values.Select(v => v.Low)], High = [.. values.Select(v => v.High)], Colour = colour, Stroke = stroke };
        }
        LineSeries Share(string name, Func<SeriesPoint, double> value) => new(name, steps, [.. points.Select(value)]);
        LinePanel Panel(string title, string label, params LineSeries[] lines) =>
            new(title, lines) { XLabel = "Training step", YLabel = label, YRange = (0, 1) };
        return new LineFigure("A circuit in training",
        [
            Panel("Does it follow?", "MFR", Line("told to trust the picture, arg-max", p => p.Argmax.Vision),
                Line("told to trust the text, arg-max", p => p.Argmax.Text),
                Line("both, larger of the two answers", p => p.Larger.All, -1, Stroke.Dashed)),
            Panel("By which route? Edges cut in all layers", "MFR (arg-max)",
                [Line("nothing cut", p => p.Argmax.All, -1),
                    .. points.SelectMany(p => p.Route.Cuts.Select(c => c.Edge)).Distinct()
                        .Select(edge => Line(DiagnosisFigures.Arrow(edge), p => p.Route.Cuts.FirstOrDefault(c => c.Edge == edge)?.Left))]),
            Panel("Who chooses? Heads given a donor run", "Share of pairs",
                Line("queries of all heads: receiver's other answer", p => p.AllQueries, -1),
                Line("queries of the arbiters: receiver's other answer", p => Found(p, "arbiters")),
                Line("outputs of decision carriers: donor's answer", p => Found(p, "decision_carriers")),
                Line("outputs of choice carriers: receiver's other answer", p => Found(p, "choice_carriers"), null, Stroke.Dashed)),
            Panel("By few heads? Heads blocked", "MFR (arg-max)", Line("nothing blocked", p => p.Argmax.All, -1),
                Line("necessary heads blocked", p => p.Blocked.All), Line("random heads blocked", p => p.Random?.All, -1, Stroke.Dotted)),
            Panel("How concentrated, and where?", "Share", Share("of positive scores in the top 5 %", p => p.ShareOfBest),
                Share("of heads that hold half of them", p => (double)p.HeadsForHalf / (p.Layers * p.Heads)),
                Line("highest LDAR at the instruction", p => p.Ldar)),
        ]);
    }

    private static Estimate? Found(SeriesPoint point, string set) => point.Set(set) is { Found: true } found ? found.Switched : null;

    private static string Cell(SeriesSet set) =>
        set.Found ? $"{string.Join(' ', set.Heads)}: {Numbers.Of(set.Switched.Mean)}" : "not found";

    private static HtmlPage Page(string folder, TrainingSeries series, LineFigure figure)
    {
        var (first, last) = (series.Points[0], series.Points[^1]);
        var page = new HtmlPage("A circuit in training")
        {
            Subtitle = $"{Plural.Of(series.Points.Count, "checkpoint")}, "
                + $"{(series.Points.Count == 1 ? $"step {first.Step}" : $"steps {first.Step} to {last.Step}")}; samples: "
                + $"{string.Join(", ", series.Data.Select(s => $"{s.Samples} {s.Name}"))}",
            Terms = ReportTerms.All,
            Footer = $"{series.Tool}; seed {series.Seed}, definitions: {series.Variants["preset"]}. All numbers: series.json, series.csv; "
                + "every checkpoint's own report: a folder of its name.",
        };
        page.Lead($"{(series.Points.Count == 1 ? "The only checkpoint" : "The last checkpoint")}. {last.Route.Text}",
            last.Route.Verdict == Route.Undecided ? Status.Neutral : Status.Good);
        if (series.Points.Count > 1 && series.Points.FirstOrDefault(p => p.Route.Verdict == last.Route.Verdict) is { } since
            && last.Route.Verdict != Route.Undecided)
            page.Lead(
                $"The first checkpoint of which that is said: step {since.Step}{(since.Stage.Length > 0 ? $", {since.Stage}" : "")}.");
        if (DiagnosisReport.Removed(series.Variants) is { } removed) page.Paragraph(removed);
        page.Heading(2, "Over the steps");
        page.Figure(figure, "The same conflicts, put to every checkpoint. Bands are 95 % intervals over samples. Heads are ranked anew "
            + "for each." + (series.Points.Count == 1 ? " With one checkpoint there are points instead of curves." : ""), "series.svg");
        page.Heading(2, "Every checkpoint");
        string[] edges = [.. series.Points.SelectMany(p => p.Route.Cuts.Select(c => c.Edge)).Distinct()];
        page.Table(
            ["Step", "Stage", "Layers", .. Column.Under("MFR", "Picture", "Text"), "Route",
                .. Column.Under("MFR, edge cut", edges.Select(DiagnosisFigures.Arrow)),
                .. Column.Under("MFR, heads blocked", "Best", "Random"), "LDAR", "Share of the best", "Heads for half", "Best heads"],
            [.. series.Points.Select(p => (string[])
            [
                $"{p.Step}", p.Stage, $"{p.Layers}", Numbers.Of(p.Argmax.Vision.Mean), Numbers.Of(p.Argmax.Text.Mean),
                EnumName.Of(p.Route.Verdict),
                .. edges.Select(e => p.Route.Cuts.FirstOrDefault(c => c.Edge == e) is { } cut ? Numbers.Of(cut.Left.Mean)
                    : Numbers.Missing),
                Numbers.Of(p.Blocked.All.Mean), p.Random is { } random ? Numbers.Of(random.All.Mean) : Numbers.Missing,
                Numbers.Of(p.Ldar.Mean), Numbers.Of(p.ShareOfBest), $"{p.HeadsForHalf} of {p.Layers * p.Heads}", string.Join(' ', p.Best),
            ])],
            $"MFR by arg-max, without intervention, with an edge cut in all layers, and with the top 5 % of heads blocked. LDAR: "
                + $"highest at the instruction. Share of the best: of the sum of positive scores ({series.Variants["head_score"]}, "
                + $"screen {series.Variants["screen"]}) in the top 5 % of heads. Layers that training adds are layers of the "
                + $"later checkpoints only.",
            numeric: [0, 2, 3, 4, .. Enumerable.Range(6, edges.Length + 4)]);
        page.Table(["Step", "Stage", "Queries of all heads", "Arbiters", "Decision carriers", "Choice carriers"],
            [.. series.Points.Select(p => (string[])
                [$"{p.Step}", p.Stage, Numbers.Of(p.AllQueries.Mean), Cell(p.Set("arbiters")), Cell(p.Set("decision_carriers")),
                    Cell(p.Set("choice_carriers"))])],
            "Sets searched anew in every checkpoint, and the share of test pairs that they switch: arbiters by their queries to the "
                + "receiver's other answer, "
                + "decision carriers by their outputs to the donor's answer, choice carriers by theirs to the receiver's other answer.",
            numeric: [0, 2]);
        page.Heading(2, "How this was made");
        page.KeyValues([("Tool", series.Tool),
            .. series.Data.Select(s =>
                ($"Data, {s.Name}", $"{Plural.Of(s.Samples, "sample")}, {s.Rejected} left out, sha256 {s.Sha256}")),
                    ("Seed", $"{series.Seed}")]);
        page.Table(["Choice", "Variant"], [.. series.Variants.Select(v => new[] { v.Key, v.Value })],
            "Definitions, the same for every checkpoint.", numeric: []);
        RunFiles.Write(page, folder, new Dictionary<string, Figure>(StringComparer.Ordinal) { ["series"] = figure },
            [.. series.Points.Select(p => ($"{p.Checkpoint}/report.html", $"the diagnosis of step {p.Step}"))]);
        page.WriteGlossary();
        return page;
    }

    private static string Table(TrainingSeries series)
    {
        var csv = new StringBuilder("checkpoint,step,stage,metric,mean,low95,high95,runs\n");
        foreach (var p in series.Points)
        {
            Row("mfr_argmax_vision", p.Argmax.Vision);
            Row("mfr_argmax_text", p.Argmax.Text);
            Row("mfr_argmax", p.Argmax.All);
            Row("mfr_larger", p.Larger.All);
            foreach (var cut in p.Route.Cuts) Row($"left_cut_{cut.Edge}", cut.Left);
            Row("mfr_best_blocked", p.Blocked.All);
            if (p.Random is { } random) Row("mfr_random_blocked", random.All);
            Row("switched_all_queries", p.AllQueries);
            foreach (var set in p.Sets) Row($"switched_{set.Name}{(set.Found ? "" : "_not_found")}", set.Switched);
            Row("ldar_highest", p.Ldar);
            Value("share_of_best", p.ShareOfBest);
            Value("heads_for_half", p.HeadsForHalf);
            Write($"route_{EnumName.Of(p.Route.Verdict)}", ",,,");

            void Row(string metric, Estimate e) => Write(
                metric, string.Create(CultureInfo.InvariantCulture,
                    $"{DiagnosisFiles.Number(e.Mean)},{DiagnosisFiles.Number(e.Low)},{DiagnosisFiles.Number(e.High)},{e.Count}"));
            void Value(string metric, double value) => Write(metric, $"{DiagnosisFiles.Number(value)},,,");
            void Write(string metric, string values) => csv.Append(
                CultureInfo.InvariantCulture,
                $"{DiagnosisFiles.Quoted(p.Checkpoint)},{p.Step},{DiagnosisFiles.Quoted(p.Stage)},"
                    + $"{DiagnosisFiles.Quoted(metric)},{values}\n");
        }
        return csv.ToString();
    }
}
