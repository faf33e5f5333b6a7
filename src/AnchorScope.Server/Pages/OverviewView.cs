using AnchorScope.Figures;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Scheduling;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>Requests, times, tokens a second, queue and memory, as they are now.</summary>
internal sealed class OverviewView(ServedModel served, AuditTrail trail, Traffic traffic, Func<MonitorSnapshot> monitor) : ILiveView
{
    public string Path => "/";

    public string Name => "Overview";

    public string About => "What the server does now, and did in the last five minutes.";

    public string Stream => "overview";

    public bool IsFor(ServerKey key) => Roles.SeeState(key);

    public void Write(MarkupText html, Visit visit, Outcome? outcome)
    {
        html.Live(this).Heading("Model");
        var (model, policy) = (served.Model, served.Policy);
        html.Pairs(
            ("Name", served.Name), ("Family", model.Family),
            ("Size", $"{Plural.Of(model.Engine.Shape.Layers, "layer")}, {Plural.Of(model.Engine.Shape.Heads, "head")} each"),
            ("Weights (SHA-256)", model.Checkpoint.Identity.Weights),
            ("Policy", policy.Sha256.Length == 0 ? "none: nothing inside the model may be changed" : $"{policy.Name} ({policy.Sha256})"),
            ("Version", $"{ToolVersion.Text}, {model.Engine.Numerics}"));
    }

    public void WriteLive(MarkupText html)
    {
        var (now, counts) = (traffic.Read(), served.Scheduler.Counts);
        if (trail.Problem is { } problem)
            html.Note("Nothing is answered", $"Requests are refused: {problem}.", true);
        if (monitor().Alerts.Count(alert => alert.Cleared is null) is > 0 and var raised)
        {
            html.Open("div", ("class", "note warning"), ("role", "note")).Text("b", Plural.Of(raised, "alert")).Open("p")
                .Text("What is read of requests differs from the profile: see ").Text("a", "Alerts", ("href", "/pages/alerts")).Text(".")
                .Close("p").Close("div").Line();
        }
        html.Tiles(
            ("Requests", PageMarkup.Count(now.Answered), now.Refused == 0 ? "answered, none refused"
                : $"answered, {PageMarkup.Count(now.Refused)} refused"),
            ("Now", $"{counts.Running}", $"in progress, {counts.Waiting} waiting"),
            ("Tokens a second", Numbers.Of(now.TokensPerSecond, 1), "generated, last 30 s"),
            ("First token", PageMarkup.Seconds(At(now.First, 0.5)), $"median; 95\u00A0%: {PageMarkup.Seconds(At(now.First, 0.95))}"),
            ("Last token", PageMarkup.Seconds(At(now.Whole, 0.5)), $"median; 95\u00A0%: {PageMarkup.Seconds(At(now.Whole, 0.95))}"),
            ("Keys and values", PageMarkup.Percent(counts.MemoryShare), "of --memory"),
            ("Prompts reused", PageMarkup.Percent(counts.PromptPositions == 0 ? double.NaN
                : counts.ReusedPositions / (double)counts.PromptPositions), "of their positions"),
            ("Audit log", PageMarkup.Count(trail.Count), "records"));
        double[] ago = [.. now.Slots.Select(slot => (double)(slot.Number - now.Slots[^1].Number) * Traffic.SlotSeconds)];
        double[] tokens = [.. now.Slots.Select(slot => slot.Generated / (double)Traffic.SlotSeconds)];
        html.Figure(
            new LineFigure("Traffic of the last five minutes",
            [
                Panel("Generated tokens a second", [new LineSeries("tokens", ago, tokens) { Marks = SeriesMarks.Curve }]),
                Panel($"Requests in {Traffic.SlotSeconds} seconds",
                [
                    new LineSeries("answered", ago, [.. now.Slots.Select(slot => (double)slot.Answered)])
                        { Marks = SeriesMarks.Curve, Colour = 2 },
                    // A second line at 0 would only hide the first one.
                    .. now.Slots.All(slot => slot.Refused == 0) ? [] : new[]
                    {
                        new LineSeries("refused", ago, [.. now.Slots.Select(slot => (double)slot.Refused)])
                            { Marks = SeriesMarks.Curve, Colour = 1, Stroke = Stroke.Dashed },
                    },
                ]),
            ]), "Traffic of the last five minutes, in steps of five seconds.");
        html.Numbers("traffic", ["Seconds ago", "Answered", "Refused", "Generated tokens"],
            [.. now.Slots.Where(slot => slot.Answered + slot.Refused > 0).Select(slot => (IReadOnlyList<string>)
                [$"{(now.Slots[^1].Number - slot.Number) * Traffic.SlotSeconds}", $"{slot.Answered}",
                    $"{slot.Refused}", $"{slot.Generated}"])]);
    }

    private static LinePanel Panel(string title, IReadOnlyList<LineSeries> series) =>
        new(title, series) { XLabel = "Seconds", ZeroLine = true, XTicks = [-300, -240, -180, -120, -60, 0],
            // An axis of its own would show noise between 0 and 0.
            YRange = series.All(s => s.Y.All(y => y == 0)) ? (0, 1) : null };

    /// <summary>The value below which a share of the values is; NaN without values.</summary>
    private static double At(IReadOnlyList<double> ascending, double share) =>
        ascending.Count == 0 ? double.NaN : ascending[(int)Math.Ceiling(share * ascending.Count) - 1];
}
