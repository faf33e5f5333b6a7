using System.Text.Json.Nodes;
using AnchorScope.Figures;

namespace AnchorScope.Server.Pages;

/// <summary>Writes the answers of the playground.</summary>
internal static class PlaygroundResultMarkup
{
    /// <summary>Heads that are drawn as bars; more are drawn as a map.</summary>
    private const int MostBars = 16;

    public static void Write(MarkupText html, PlaygroundResult result, string change)
    {
        html.Heading(result.Answers.Count == 1 ? "Answer" : "Answers");
        if (change.Length > 0) html.Paragraph($"The change: {change}.");
        html.Open("div", ("class", "beside"));
        foreach (var answer in result.Answers) Answer(html, answer);
        html.Close("div").Line();
        if (result.Answers.All(answer => answer.Ours["margins"] is not null))
        {
            if (result.Answers.Count == 2)
            {
                var moved = result.Answers[1].Margin - result.Answers[0].Margin;
                html.Paragraph(FormattableString.Invariant($"The margin towards the picture moved by {Numbers.Change(moved)} logits") + (
                    result.Answers[0].Text == result.Answers[1].Text ? "; the answer is the same." : "; the answer is another."));
            }
            Margins(html, result);
            Heads(html, result);
        }
        if (result.Unread is { } why) html.Note("Attention", why);
        else if (result.Picture is not null) Attention(html, result);
    }

    private static void Answer(MarkupText html, PlaygroundAnswer answer)
    {
        html.Open("article", ("class", "reply")).Text("h3", answer.Name).Text("p", answer.Text.Length == 0 ? "(no text)" : answer.Text,
            ("class", "said"));
        html.Open("dl");
        void Fact(string name, string value) => html.Open("div").Text("dt", name).Text("dd", value).Close("div");
        if (answer.Ours["decision"] is { } decision)
        {
            Fact("Follows", decision.ToString() switch { "vision" => "the picture", "text" => "the text", _ => "neither" });
            Fact("Margin", $"{Numbers.Change(answer.Margin)} logits towards the picture");
        }
        Fact("Changed", string.Join("; ", answer.Ours["applied"]!.AsArray().Select(Applied)) is { Length: > 0 } changed
            ? changed : "nothing");
        Fact("Record", $"{answer.Ours["audit"]!["index"]} in the audit log");
        html.Close("dl").Close("article").Line();
    }

    private static string Applied(JsonNode? edit) =>
        $"{edit!["knob"] ?? edit["what"]}: {Plural.Of(edit["heads"]!.GetValue<int>(), "head")} in layers "
        + $"{string.Join(", ", edit["layers"]!.AsArray())} at {Plural.Of(edit["rows"]!.GetValue<int>(), "position")}";

    private static void Margins(MarkupText html, PlaygroundResult result)
    {
        LinePanel Panel(string title, string where) => new(title, [.. result.Answers.Select((answer, i) =>
        {
            var values = answer.Margins(where);
            return new LineSeries(answer.Name, [.. Enumerable.Range(0, values.Count).Select(layer => (double)layer)], values)
                { Colour = i, Stroke = i == 0 && result.Answers.Count > 1 ? Stroke.Dashed : Stroke.Solid };
        })])
        { XLabel = "Layer", YLabel = "MAM, logits", ZeroLine = true };
        html.Figure(new LineFigure("Margin towards the picture by layer",
            [Panel("At the instruction's tokens", "instruction"), Panel("At the last position", "last")]) { SameScale = true },
            "Margin towards the picture by layer. Above 0 the picture's answer is ahead, below 0 the text's.");
        var columns = result.Answers.SelectMany(answer => new[] { $"Instruction, {answer.Name}", $"Last, {answer.Name}" });
        var layers = result.Answers[0].Margins("last").Count;
        html.Numbers("margins of the answers", [new Column("Layer"), .. columns.Select(name => new Column(name))],
            [.. Enumerable.Range(0, layers).Select(layer => (IReadOnlyList<string>)[$"{layer}", .. result.Answers.SelectMany(answer =>
                new[] { Numbers.Change(answer.Margins("instruction")[layer]), Numbers.Change(answer.Margins("last")[layer]) })])]);
    }

    private static void Heads(MarkupText html, PlaygroundResult result)
    {
        if (result.Answers.Any(answer => answer.Ours["heads"] is not JsonArray { Count: > 0 })) return;
        const string Name = "Contribution of heads to the margin",
            Caption = "Direct contribution of heads to the margin at the last position.";
        if (result.Answers[0].Ours["heads"]!.AsArray() is { Count: <= MostBars } few)
        {
            BarSeries Bars(PlaygroundAnswer answer, int order) =>
                new(answer.Name, [.. answer.Ours["heads"]!.AsArray().Select(head => head!["margin"]!.GetValue<double>())])
                    { Colour = order };
            html.Figure(new BarFigure(Name, [new BarPanel("", [.. few.Select(head => $"L{head!["layer"]}H{head["head"]}")],
                [.. result.Answers.Select(Bars)]) { YLabel = "Margin, logits" }]) { Columns = 1 }, Caption);
            return;
        }
        double[,] Matrix(PlaygroundAnswer answer)
        {
            JsonNode[] heads = [.. answer.Ours["heads"]!.AsArray().OfType<JsonNode>()];
            var matrix = new double[heads.Max(h => h["layer"]!.GetValue<int>()) + 1, heads.Max(h => h["head"]!.GetValue<int>()) + 1];
            for (var i = 0; i < matrix.GetLength(0); i++)
            {
                for (var j = 0; j < matrix.GetLength(1); j++) matrix[i, j] = double.NaN;
            }
            foreach (var head in heads)
                matrix[head["layer"]!.GetValue<int>(), head["head"]!.GetValue<int>()] = head["margin"]!.GetValue<double>();
            return matrix;
        }
        html.Figure(new HeatMapFigure(Name,
            [.. result.Answers.Select(answer => new HeatMapPanel(answer.Name, Matrix(answer)))])
            { ScaleLabel = "Contribution to the margin, logits" }, Caption);
    }

    private static void Attention(MarkupText html, PlaygroundResult result)
    {
        var panels = new List<OverlayPanel>();
        foreach (var (span, name) in new[] { ("instruction", "The instruction's tokens"), ("last", "The last position") })
        {
            var read = result.Answers.SelectMany(answer => answer.Readings.Where(reading => reading.Span == span)
                .Select(reading => (answer.Name, Reading: reading))).ToList();
            if (read.Count == 0) continue;
            panels.Add(new OverlayPanel("picture", "", result.Picture!, [], []) { Row = name });
            panels.AddRange(read.Select(r => new OverlayPanel(r.Name, $"{PageMarkup.Percent(r.Reading.Total)} of its attention",
                result.Picture!, result.Boxes, r.Reading.Tokens)));
            if (read.Count == 2)
                panels.Add(new OverlayPanel("difference", "with − without", result.Picture!, result.Boxes,
                    [.. read[1].Reading.Tokens.Zip(read[0].Reading.Tokens, (with, without) => with - without)]) { IsDifference = true });
        }
        if (panels.Count == 0) return;
        html.Heading("What was looked at in the picture", 3);
        html.Figure(new OverlayFigure("Attention to the picture", panels)
        {
            Columns = Math.Min(4, 1 + result.Answers.Count + (result.Answers.Count == 2 ? 1 : 0)),
            ScaleLabel = "Share of attention over share of area", DifferenceLabel = "Difference: with minus without the change",
        }, "Attention to each part of the picture: mean over the positions and over all heads of all layers. Read in a pass of its own.");
        html.Numbers("attention to the picture", ["Read by", .. result.Answers.Select(answer => new Column(answer.Name))],
            [.. new[] { "instruction", "last" }.Select(span => (IReadOnlyList<string>)[span, .. result.Answers.Select(answer =>
                answer.Readings.FirstOrDefault(r => r.Span == span) is { } reading
                    ? PageMarkup.Percent(reading.Total) : Numbers.Missing)])]);
    }
}
