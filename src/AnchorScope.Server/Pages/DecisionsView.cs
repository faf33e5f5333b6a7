using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>Where requests are decided: margins by layer against the profile, heads, attention by span, and runs with edges cut.</summary>
internal sealed class DecisionsView(ServedModel served, Func<MonitorSnapshot> monitor) : ILiveView
{
    public string Path => "/pages/decisions";

    public string Name => "Decisions";

    public string About => "Which of picture and text the answers follow, and where inside the model that is decided.";

    public string Stream => "decisions";

    public bool IsFor(ServerKey key) => Roles.SeeState(key);

    public void Write(MarkupText html, Visit visit, Outcome? outcome) => html.Live(this);

    public void WriteLive(MarkupText html)
    {
        var found = monitor();
        if (found.Now.Requests == 0)
        {
            html.Note("Nothing read yet", "No request has named the two answers that are compared (anchorscope.answers).");
            return;
        }
        var (now, profile) = (found.Now, found.Profile);
        Summary(html, now, profile);
        Margins(html, now, profile);
        Heads(html, now, profile);
        Attention(html, now, profile);
        Reruns(html, found.Reruns);
    }

    private static void Summary(MarkupText html, ReadingSummary now, ReadingSummary? profile)
    {
        string Followed(string what)
        {
            var share = PageMarkup.Percent(now.Decisions.GetValueOrDefault(what) / (double)now.Requests);
            return profile is { Requests: > 0 } usual
                ? $"{share}; profile {PageMarkup.Percent(usual.Decisions.GetValueOrDefault(what) / (double)usual.Requests)}" : share;
        }
        html.Tiles(
            ("Read", PageMarkup.Count(now.Requests), profile is null ? "requests; no profile to compare with"
                : $"requests; profile of {PageMarkup.Count(profile.Requests)}"),
            ("Follow the picture", PageMarkup.Count(now.Decisions.GetValueOrDefault("vision")), Followed("vision")),
            ("Follow the text", PageMarkup.Count(now.Decisions.GetValueOrDefault("text")), Followed("text")),
            ("Neither", PageMarkup.Count(now.Decisions.GetValueOrDefault("neither")), Followed("neither")),
            ("Margin", Numbers.Change(now.Margin.Median), $"median, in logits; 80\u00A0% from {Numbers.Change(now.Margin.P10)} to "
                + Numbers.Change(now.Margin.P90)));
    }

    private static void Margins(MarkupText html, ReadingSummary now, ReadingSummary? profile)
    {
        html.Heading("Margin by layer");
        LinePanel Panel(string title, Func<ReadingSummary, IReadOnlyList<Quantiles>> of) => new(title,
        [
            .. profile is null ? [] : new[] { Series("profile", of(profile)) with { Colour = -1, Stroke = Stroke.Dashed } },
            Series("now", of(now)) with { Colour = 0 },
        ])
        { XLabel = "Layer", YLabel = "MAM, logits", ZeroLine = true };
        html.Figure(new LineFigure("Margin towards the picture by layer",
            [Panel("At the instruction's tokens", s => s.AtInstruction), Panel("At the last position", s => s.AtLast)])
            { SameScale = true },
            "Margin towards the picture by layer: median of the requests, with the range of the middle 80\u00A0%. "
                + "Above 0 the picture's answer "
                + "is ahead, below 0 the text's.");
        html.Numbers("margin by layer", ["Layer", "Instruction", "10 %", "90 %", "Last position", "10 % ", "90 % "],
            [.. now.AtInstruction.Zip(now.AtLast).Select((pair, layer) => (IReadOnlyList<string>)[$"{layer}",
                Numbers.Change(pair.First.Median), Numbers.Change(pair.First.P10), Numbers.Change(pair.First.P90),
                Numbers.Change(pair.Second.Median), Numbers.Change(pair.Second.P10), Numbers.Change(pair.Second.P90)])]);
    }

    private static LineSeries Series(string name, IReadOnlyList<Quantiles> layers) =>
        new(name, [.. Enumerable.Range(0, layers.Count).Select(i => (double)i)], [.. layers.Select(q => q.Median)])
        {
            Low = [.. layers.Select(q => q.P10)],
            High = [.. layers.Select(q => q.P90)],
            IsDrawnApart = true,
        };

    private void Heads(MarkupText html, ReadingSummary now, ReadingSummary? profile)
    {
        html.Heading("Heads");
        if (now.Heads.Count == 0)
        {
            html.Paragraph("No heads are read: the policy names no head set.");
            return;
        }
        HeadKind[] kinds = [.. served.Policy.HeadSets.Values.Select(set => new HeadKind(set.Name, set.Heads))];
        html.Figure(new HeatMapFigure("Contribution of heads to the margin",
        [
            new HeatMapPanel("Now", Matrix(now.Heads)) { Kinds = kinds },
            .. profile is { Heads.Count: > 0 } ? [new HeatMapPanel("Profile", Matrix(profile.Heads)) { Kinds = kinds }]
                : Array.Empty<HeatMapPanel>(),
        ])
        { ScaleLabel = "Median contribution to the margin, logits" },
            "Direct contribution of each head to the margin at the last position. The head sets of the policy are outlined.");
        html.Numbers("heads", ["Layer and head", "Median", "10 %", "90 %", "Requests"],
            [.. now.Heads.OrderByDescending(head => Math.Abs(head.Margin.Median)).Select(head => (IReadOnlyList<string>)
                [$"L{head.Layer}H{head.Head}", Numbers.Change(head.Margin.Median), Numbers.Change(head.Margin.P10),
                    Numbers.Change(head.Margin.P90), $"{head.Margin.Count}"])]);
    }

    private double[,] Matrix(IReadOnlyList<HeadMargins> heads)
    {
        var shape = served.Model.Engine.Shape;
        var matrix = new double[shape.Layers, shape.Heads];
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            for (var head = 0; head < shape.Heads; head++) matrix[layer, head] = double.NaN;
        }
        foreach (var head in heads) matrix[head.Layer, head.Head] = head.Margin.Median;
        return matrix;
    }

    private static void Attention(MarkupText html, ReadingSummary now, ReadingSummary? profile)
    {
        html.Heading("Attention of the instruction");
        if (now.Attention.Count == 0)
        {
            html.Paragraph("Attention is not read.");
            return;
        }
        string[] spans = [.. now.Attention.Select(share => share.Span)];
        BarSeries Bars(string name, ReadingSummary summary, int? colour)
        {
            Quantiles[] shares = [.. spans.Select(span => summary.Attention.FirstOrDefault(share => share.Span == span)?.Share
                ?? new Quantiles(0, double.NaN, double.NaN, double.NaN, double.NaN, double.NaN))];
            return new BarSeries(name, [.. shares.Select(s => s.Median)])
                { Low = [.. shares.Select(s => s.P10)], High = [.. shares.Select(s => s.P90)], Colour = colour };
        }
        html.Figure(new BarFigure("Attention of the instruction by part of the prompt",
        [
            new BarPanel("", [.. spans.Select(span => span.Replace('_', ' '))],
                [Bars("now", now, 0), .. profile is null ? [] : new[] { Bars("profile", profile, -1) }]) { YLabel = "Share of attention" },
        ]) { Columns = 1 },
            "Share of the attention of the instruction's tokens by part of the prompt: median, with the range of the middle "
                + "80\u00A0%. A text context that gains share may be an instruction in disguise.");
        html.Numbers("attention", ["Part", "Median", "10 %", "90 %"], [.. now.Attention.Select(share => (IReadOnlyList<string>)
            [share.Span.Replace('_', ' '), PageMarkup.Percent(share.Share.Median), PageMarkup.Percent(share.Share.P10),
                PageMarkup.Percent(share.Share.P90)])]);
    }

    private static void Reruns(MarkupText html, IReadOnlyList<RerunSummary> reruns)
    {
        html.Heading("Computed again with parts cut");
        if (reruns.Count == 0)
        {
            html.Paragraph("No request has been computed again. That happens only while the server has nothing else to do.");
            return;
        }
        var ends = reruns.SelectMany(rerun => new[] { rerun.Change.P10, rerun.Change.P90, 0 }).Where(double.IsFinite).ToList();
        var axis = Axis.Covering(ends, 5);
        html.Figure(new IntervalFigure("Change of the margin by what was cut", [.. reruns.Select(rerun => rerun.Name)],
            [new IntervalSeries("change of the margin", [.. reruns.Select(rerun => new Estimate(rerun.Change.Median, rerun.Change.P10,
                rerun.Change.P90, (int)Math.Min(rerun.Count, int.MaxValue)))])])
            { Columns = 1, XLabel = "Change of the margin towards the picture, logits", XRange = (axis.Low, axis.High) },
            "Requests of the traffic, computed again in idle time with edges cut or heads blocked: median change of the margin, with the "
                + "range of the middle 80\u00A0%.", "roomy");
        html.Table("Requests computed again", ["Cut", "Requests", "Decided otherwise", "Change of the margin", "10 %", "90 %"],
            [.. reruns.Select(rerun => (IReadOnlyList<string>)[rerun.Name, PageMarkup.Count(rerun.Count),
                $"{rerun.Changed} ({PageMarkup.Percent(rerun.Count == 0 ? double.NaN : rerun.Changed / (double)rerun.Count)})",
                Numbers.Change(rerun.Change.Median), Numbers.Change(rerun.Change.P10), Numbers.Change(rerun.Change.P90)])], 1, 2, 3, 4, 5);
    }
}
