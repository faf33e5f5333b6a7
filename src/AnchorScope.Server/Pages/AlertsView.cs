using AnchorScope.Figures;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>Deviations from the profile: those that are raised, and those that are over.</summary>
internal sealed class AlertsView(Func<MonitorSnapshot> monitor) : ILiveView
{
    public string Path => "/pages/alerts";

    public string Name => "Alerts";

    public string About => "Where requests differ from what is normal.";

    public string Stream => "alerts";

    public bool IsFor(ServerKey key) => Roles.SeeState(key);

    public void Write(MarkupText html, Visit visit, Outcome? outcome) => html.Live(this);

    public void WriteLive(MarkupText html)
    {
        var found = monitor();
        Alert[] raised = [.. found.Alerts.Where(alert => alert.Cleared is null)];
        html.Open("div", ("role", "log"), ("aria-live", "polite"), ("aria-label", "Raised alerts"));
        if (raised.Length == 0)
        {
            html.Note("No alert is raised", found.Profile is null ? "There is no profile to compare with."
                : "What is read of requests is within what the profile says.");
        }
        foreach (var alert in raised)
        {
            html.Open("section", ("class", "note warning"), ("id", $"alert-{alert.Id}")).Text("h2", alert.Name, ("class", "small"))
                .Text("p", alert.Message);
            if (alert.Action is { } done) html.Text("p", $"The server: {done}");
            html.Text("p", $"Raised {PageMarkup.Time(alert.Raised)}; statistic {Numbers.Of(alert.Statistic)}, threshold "
                + Numbers.Of(alert.Threshold), ("class", "detail")).Close("section").Line();
        }
        html.Close("div").Line();
        Alert[] over = [.. found.Alerts.Where(alert => alert.Cleared is not null)];
        if (over.Length == 0) return;
        html.Heading("Over");
        html.Table("Alerts that are over", ["Watched", "Raised", "Cleared", "Found", "Statistic", "Threshold", "The server"],
            [.. over.Select(
                alert => (IReadOnlyList<string>)[alert.Name, PageMarkup.Time(alert.Raised), PageMarkup.Time(alert.Cleared!.Value),
                    alert.Message, Numbers.Of(alert.Statistic), Numbers.Of(alert.Threshold), alert.Action ?? Numbers.Missing])], 1, 2, 4,
            5);
    }
}
