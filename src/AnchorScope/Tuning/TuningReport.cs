using AnchorScope.Reports;
using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>Writes report.html and the figures of a tuning.</summary>
internal static class TuningReport
{
    /// <summary>Writes report.html and figures/*.svg into <paramref name="folder"/>, each atomically.</summary>
    public static void Write(string folder, TuningResult result)
    {
        Directory.CreateDirectory(Path.Combine(folder, "figures"));
        var figures = new Dictionary<string, Figure>(StringComparer.Ordinal) { ["curve"] = Curve(result) };
        if (result.Circuit is { } circuit) figures["circuit"] = Layers(circuit);
        foreach (var (name, figure) in figures)
            DiagnosisFiles.Text(Path.Combine(folder, "figures", name + ".svg"), figure.ToSvg(standalone: true));
        DiagnosisFiles.Text(Path.Combine(folder, "report.html"), Page(folder, result, figures).ToHtml());
    }

    private static HtmlPage Page(string folder, TuningResult r, Dictionary<string, Figure> figures)
    {
        var page = new HtmlPage($"What {(r.Heads.Count == 1 ? "does" : "do")} {Plural.Of(r.Heads.Count, "tuned head")} of {r.Model.Name} "
            + $"change?")
        {
            Terms = ReportTerms.All,
            Subtitle = $"{r.Model.Family}, {Plural.Noun(r.Heads.Count, "head")} "
                + $"{string.Join(' ', r.Heads.Take(12))}{(r.Heads.Count > 12 ? " …" : "")}; learnt: "
                + $"{r.Variants["learnt"].Replace('_', ' ')}",
            Footer = $"{r.Tool}; original's weights {r.Model.Sha256[..12]}, head set {r.HeadSetSha256[..12]}, seed {r.Options.Seed}. "
                + "All numbers: tune.json.",
        };
        foreach (var (text, status) in Findings(r)) page.Lead(text, status);
        if (r.Model.Provenance is { } statement) page.Note(NoteKind.Warning, statement, "About this model");
        page.Paragraph("Brackets are 95 % intervals over samples; runs that share a picture count as one sample. No test sample was "
            + "learnt from, and none decided when to stop. Every arm is measured with its weights rounded to the type that they are "
            + "stored in.");
        Effects(page, r);
        Learning(page, r, figures);
        if (r.Circuit is { } circuit) Circuit(page, circuit, figures);
        Provenance(page, r);
        RunFiles.Write(page, folder, figures, [("heads.json", "the tuned heads with their gains")]);
        page.WriteGlossary();
        return page;
    }

    /// <summary>
    /// The findings as sentences. A claim of more than random heads requires the rank over all test runs with a conflict, and then the
    /// interval of the set.
    /// </summary>
    public static IEnumerable<(string Text, Status Status)> Findings(TuningResult r)
    {
        if (r.Arms.First(a => a.Name == TuningEvaluation.Tuned).BestStep == 0)
            yield return ("Tuning never improved the validation set: the model that was written is the original.", Status.Absent);
        foreach (var set in r.Sets)
        {
            var (before, after) = (set.Rates[0].Follows.All, set.Rates[1]);
            var change = after.Change.All;
            var status = change.High < 0 ? Status.Bad : change.Low > 0 && set.Conflict && IsMore(r, set) ? Status.Good : Status.Neutral;
            var none = Decision.IsAbsent(change, r.EquivalenceMargin) ? $", within {Wording.Margin(r.EquivalenceMargin)} of none" : "";
            yield return ($"{Name(set)} follows in {Numbers.Of(before.Mean)} before and {Numbers.Of(after.Follows.All.Mean)} after, "
                + "a change of "
                + $"{Numbers.ChangeInterval(change)}{none}{Beyond(r, set)}.", status);
        }
        if (r.RandomRank is { } rank)
            yield return ($"Over all test runs with a conflict {Wording.Rank(rank, "follow")}{TooFew(rank)}.", Status.Neutral);
        if (r.Circuit is { } c)
            yield return ($"{Still(c)} ({c.SharedByChance.ToString("0.0", CultureInfo.InvariantCulture)} by chance); rank correlation of "
                + $"all heads {c.Correlation.ToString("0.00", CultureInfo.InvariantCulture)}.", Status.Neutral);
    }

    private static string Still(CircuitChange c) => c.Before.Count == 1
        ? $"The best head is {(c.Shared == 1 ? "still" : "no longer")} the best of the tuned model"
        : $"Of the {c.Before.Count} best heads {Plural.Few(c.Shared)} {(c.Shared is 0 or 1 ? "is" : "are")} still among the "
            + $"{c.After.Count} best of the tuned model";

    private static bool IsMore(TuningResult r, TuningSet set) => r.RandomRank is { P: <= MultipleComparisons.Level }
        && set.TunedMinusRandom is { All.Low: > 0 };

    /// <summary>The effect of tuned heads beyond random ones on one set.</summary>
    private static string Beyond(TuningResult r, TuningSet set)
    {
        if (set.TunedMinusRandom is not { All: var beyond }) return "; no random heads were tuned, so whether others do as much is unknown";
        var said = set.Conflict && IsMore(r, set) ? "more than" : Decision.IsAbsent(beyond, r.EquivalenceMargin)
            ? $"within {Wording.Margin(r.EquivalenceMargin)} of" : "not distinguishable from";
        return $"; {said} random heads with the same budget: tuned minus random {Numbers.ChangeInterval(beyond)}";
    }

    private static string TooFew(PermutationRank rank) => rank.Floor > MultipleComparisons.Level
        ? $"; too few to say that these heads do more: that takes {PermutationRank.Needed(MultipleComparisons.Level, family: 1) - 1}"
        : "";

    private static void Effects(HtmlPage page, TuningResult r)
    {
        page.Heading(2, "Before and after");
        page.Table(["Samples", "Runs", .. Column.Under("Before", "Both", "Picture", "Text"),
            .. Column.Under("After", "Both", "Picture", "Text"), "Change"],
            [.. r.Sets.Select(s => new[]
            {
                Name(s), $"{s.Runs}", Numbers.Interval(s.Rates[0].Follows.All), Numbers.Of(s.Rates[0].Follows.Vision.Mean),
                Numbers.Of(s.Rates[0].Follows.Text.Mean),
                Numbers.Interval(s.Rates[1].Follows.All), Numbers.Of(s.Rates[1].Follows.Vision.Mean),
                Numbers.Of(s.Rates[1].Follows.Text.Mean), Numbers.ChangeInterval(s.Rates[1].Change.All),
            })],
            "Modality-following ratio (arg-max over the vocabulary), both ways; without a conflict, accuracy. Change: paired by run.");
        page.Heading(2, "Compared with");
        page.Table(["", "Numbers learnt", .. r.Sets.Select(s => s.Name)],
            [.. r.Arms.Select(
                (a, i) => (string[])[Name(a), a.Learnt == 0 ? "" : a.Learnt.ToString("#,0", CultureInfo.InvariantCulture),
                    .. r.Sets.Select(s => i == 0 ? Numbers.Of(s.Rates[0].Follows.All.Mean)
                        : $"{Numbers.Of(s.Rates[i].Follows.All.Mean)} ({Numbers.Change(s.Rates[i].Change.All.Mean)})")])],
            $"The same test runs under everything that could have been done instead; in brackets the change.{WithoutConflict(r)}",
            numeric: [.. Enumerable.Range(1, r.Sets.Count + 1)]);
        page.FoldedTable("Changes with their intervals", ["", .. r.Sets.Select(Name)],
            [.. r.Arms.Skip(1).Select((a, i) =>
                (string[])[Name(a), .. r.Sets.Select(s => Numbers.ChangeInterval(s.Rates[i + 1].Change.All))])],
                    "Change of the ratio, paired by run.");
        page.FoldedTable("Tuned heads minus everything else", ["Tuned heads minus", .. r.Sets.Select(Name)],
            [
                .. r.Arms.Select((a, i) => (Arm: a, Index: i)).Where(a => a.Arm.Name != TuningEvaluation.Tuned)
                    .Select(a => (string[])[Name(a.Arm), .. r.Sets.Select(s => Numbers.ChangeInterval(s.Rates[a.Index].TunedMinus!.All))]),
                .. r.Sets.All(s => s.TunedMinusRandom is not null)
                    ? [["mean of random heads", .. r.Sets.Select(s => Numbers.ChangeInterval(s.TunedMinusRandom!.All))]] : (string[][])[],
            ], "Difference of the ratios, paired by run. The last row holds the variation between random sets, too.");
        if (r.Sets.Any(s => !s.Conflict))
            page.Table(["", .. r.Sets.Where(s => !s.Conflict).Select(Name)],
                [.. r.Arms.Select(
                    (a, i) => (string[])[Name(a),
                        .. r.Sets.Where(s => !s.Conflict).Select(s => Numbers.Of(s.Rates[i].Divergence!.Value.Mean, 3))])],
                "Side effects: KL divergence of the next token from the original's, nats, where picture and text do not "
                    + "contradict each other.", numeric: [.. Enumerable.Range(1, r.Sets.Count(s => !s.Conflict))]);
    }

    private static void Learning(HtmlPage page, TuningResult r, Dictionary<string, Figure> figures)
    {
        page.Heading(2, "How it was learnt");
        page.Figure(figures["curve"], "Loss of the batches, and of the validation set, which decides what is kept and when to stop.",
            "curve.svg");
        page.Table(["", "Rate", "Steps", "Kept", .. Column.Under("Validation", "Loss", "Answer", "KL", "Follows")],
            [.. r.Arms.Select(a => new[]
            {
                Name(a), a.Rate?.ToString("0.####", CultureInfo.InvariantCulture) ?? "", a.Rate is null ? "" : $"{a.Steps}",
                a.Rate is null ? "" : $"{a.BestStep}",
                Numbers.Of(a.Validation.Total, 3), Numbers.Of(a.Validation.Answer, 3), Numbers.Of(a.Validation.Kept, 3),
                Numbers.Of(a.Validation.Follows),
            })],
            "Loss: mean of -log p of the instructed answer's first token, "
                + $"plus {r.Options.Keep.ToString(CultureInfo.InvariantCulture)} times the mean KL(original || tuned) without a conflict. "
                + "Kept: the step with the smallest loss.",
            numeric: [1, 2, 3, 4, 5, 6, 7]);
        if (r.Arms.Any(a => a.Gains.Count > 0))
            page.Table(["", "Gains"],
                [.. r.Arms.Where(a => a.Gains.Count > 0).Select(
                    a =>
                        new[] { Name(a),
                            string.Join("  ",
                                a.Gains.Select(g => $"{g.Layer}.{g.Head} x {g.Factor.ToString("0.00", CultureInfo.InvariantCulture)}")) })],
                "Gains by head.", numeric: []);
    }

    private static void Circuit(HtmlPage page, CircuitChange c, Dictionary<string, Figure> figures)
    {
        page.Heading(2, "Did the circuit move?");
        page.Paragraph($"Both models were diagnosed on the same samples, {c.Samples} of each set at most. Best heads before: "
            + $"{string.Join(' ', c.Before)}. After: {string.Join(' ', c.After)}. In both: {Plural.Few(c.Shared)}.");
        page.Table(["Head", .. Column.Under("Before", "Score", "Rank"), .. Column.Under("After", "Score", "Rank")],
            [.. c.Named.Select(h => new[] { $"{h.Head}", Numbers.Of(h.Before), $"{h.RankBefore}", Numbers.Of(h.After), $"{h.RankAfter}" })],
            $"The tuned heads in both rankings. Score: {c.Score}.", numeric: [1, 2, 3, 4]);
        page.Figure(figures["circuit"], "The logit lens at the last position, before and after: margin of the instructed answer over its "
            + "competitor (MAM), and share of runs in which it already favours the answer that the model gives (LDAR).", "circuit.svg");
    }

    private static void Provenance(HtmlPage page, TuningResult r)
    {
        page.Heading(2, "How this was made");
        page.KeyValues(
        [
            ("Tool", r.Tool), ("Original", $"{r.Model.Name}, sha256 {r.Model.Sha256}"),
            ("Head set", $"{r.HeadSet}, sha256 {r.HeadSetSha256}"),
            .. r.Data.SelectMany(d =>
                d.Value.Select(s =>
                    ($"Data, {d.Key}: {s.Name}", $"{Plural.Of(s.Samples, "sample")}, {s.Rejected} left out, sha256 {s.Sha256}"))),
            ("Steps at most", $"{r.Options.Steps}"), ("Batch", $"{Plural.Of(r.Options.Batch, "run")} with a conflict"),
                ("Measured every", $"{Plural.Of(r.Options.MeasureEvery, "step")}; {r.Options.Patience} without a better one "
                    + $"{(r.Options.Patience == 1 ? "ends" : "end")} it"), ("Seed", $"{r.Options.Seed}"),
        ]);
        page.Table(["Choice", "Variant"], [.. r.Variants.Select(v => new[] { v.Key, v.Value })],
            "Definitions that are a choice.", numeric: []);
    }

    private static LineFigure Curve(TuningResult r)
    {
        var arms = r.Arms.Where(a => a.Curve.Count > 0).ToList();
        LineSeries Series(TuningArm arm, Func<TuningPoint, double?> value) =>
            new(Name(arm), [.. arm.Curve.Where(p => value(p) is not null).Select(p => (double)p.Step)],
                [.. arm.Curve.Select(value).OfType<double>()]) { Marks = SeriesMarks.Curve };
        return new LineFigure("Learning curves",
        [
            new LinePanel("Batches", [.. arms.Select(a => Series(a, p => p.Loss))]) { XLabel = "step", YLabel = "loss", ZeroLine = true },
            new LinePanel("Validation", [.. arms.Select(a => Series(a, p => p.Validation.Total))])
                { XLabel = "step", YLabel = "loss", ZeroLine = true },
        ]);
    }

    private static LineFigure Layers(CircuitChange c)
    {
        LineSeries Series(string name, IReadOnlyList<ByInstruction> curve) =>
            new(name, [.. Enumerable.Range(0, curve.Count).Select(i => (double)i)],
                [.. curve.Select(v => v.All.Mean)]) { Low = [.. curve.Select(v => v.All.Low)], High = [.. curve.Select(v => v.All.High)] };
        return new LineFigure("Logit lens before and after",
        [
            new LinePanel("MAM", [Series("before", c.MamBefore), Series("after", c.MamAfter)])
                { XLabel = "layers passed", YLabel = "margin", ZeroLine = true },
            new LinePanel("LDAR", [Series("before", c.LdarBefore), Series("after", c.LdarAfter)])
                { XLabel = "layers passed", YLabel = "share", YRange = (0, 1) },
        ]);
    }

    private static string WithoutConflict(TuningResult r) => r.Sets.Any(s => !s.Conflict)
        ? $" Without a conflict: {string.Join(", ", r.Sets.Where(s => !s.Conflict).Select(s => s.Name))}." : "";

    private static string Name(TuningSet set) => set.Conflict ? set.Name : $"{set.Name}, no conflict";

    private static string Name(TuningArm arm) => arm.Name switch
    {
        "baseline" => "no change",
        "tuned" => "tuned heads",
        "plain_gain" => $"plain gain {arm.Gains[0].Factor.ToString(CultureInfo.InvariantCulture)}",
        "full" => "whole decoder",
        _ => $"random heads {arm.Name["random/".Length..]}",
    };
}
