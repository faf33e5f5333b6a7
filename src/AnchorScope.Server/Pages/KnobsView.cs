using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>The knobs of the policy, and forms that turn them.</summary>
internal sealed class KnobsView(ServedModel served, TimeProvider time) : IView
{
    private static readonly (string Value, string Text)[] Times =
        [("600", "10 minutes"), ("3600", "1 hour"), ("28800", "8 hours"), ("86400", "1 day"), ("", "until the server is started again")];

    public string Path => "/pages/knobs";

    public string Name => "Knobs";

    public string About =>
        "Gains and directions that act on every request, within the bounds of the policy. Each change is in the audit log "
            + "before it acts.";

    public bool IsFor(ServerKey key) => Roles.SeeState(key);

    public void Write(MarkupText html, Visit visit, Outcome? outcome)
    {
        if (served.Policy.Knobs.Count == 0)
        {
            html.Note("No knobs", served.Policy.Sha256.Length == 0
                ? "The server was started without a policy, so nothing inside the model may be changed (--policy)."
                : "The policy has no knobs.");
        }
        if (outcome is { IsGood: false } && !served.Policy.Knobs.ContainsKey(outcome.About)) html.Outcome(outcome);
        foreach (var (knob, _) in served.Knobs.All) Write(html, knob, visit, outcome?.About == knob.Name ? outcome : null);
    }

    /// <summary>Writes one knob.</summary>
    public void Write(MarkupText html, Knob knob, Visit visit, Outcome? outcome)
    {
        var (setting, id) = (served.Knobs.Of(knob), IdOf(knob));
        html.Open("section", ("class", "knob"), ("id", id), ("aria-labelledby", id + "-name"), ("tabindex", "-1"))
            .Text("h2", knob.Name, ("id", id + "-name"), ("class", "small")).Line();
        Scale(html, knob, setting);
        html.Pairs(
            ("Value now", Number(setting.Value) + (setting.Value == knob.Neutral ? ", which changes nothing" : "")),
            ("Bounds", $"{Number(knob.Bounds.Lowest)} to {Number(knob.Bounds.Highest)}, default {Number(knob.Default)}"),
            ("Acts on", knob.Heads is { } set
                ? $"the outputs of {Plural.Of(set.Heads.Count, "head")} of {set.Name}"
                    + (knob.At is { } at ? $", at the {EnumName.Of(at).Replace('_', ' ')}" : ", at all positions")
                : "a direction: above 0 towards the picture, below 0 towards the text"),
            ("Set by", setting.By.Length == 0 ? "nobody: it is at its default" : $"{setting.By}: {setting.Reason}"),
            ("Falls back", setting.Until is { } until
                ? $"{PageMarkup.Time(until)}, in {PageMarkup.Count((long)Math.Ceiling((until - time.GetUtcNow()).TotalMinutes))} min"
                : setting.By.Length == 0 ? Numbers.Missing : "when the server is started again"));
        if (outcome is not null) html.Outcome(outcome);
        if (visit.Key.May(Role.Operator)) Form(html, knob, setting, visit);
        else html.Paragraph("A key of the role operator may turn it.", "detail");
        html.Close("section").Line();
    }

    private static void Form(MarkupText html, Knob knob, KnobSetting setting, Visit visit)
    {
        var (id, address) = (IdOf(knob), $"/pages/knobs/{Uri.EscapeDataString(knob.Name)}");
        html.Open("form", ("method", "post"), ("action", address), ("hx-post", address), ("hx-target", "#" + id), ("hx-swap", "outerHTML"),
            ("class", "fields"), ("aria-label", $"Turn {knob.Name}")).Token(visit)
            .Input((id + "-value", "value"), "New value", $"{Number(knob.Bounds.Lowest)} to {Number(knob.Bounds.Highest)}",
                ("value", setting.Value.ToString(CultureInfo.InvariantCulture)), ("inputmode", "decimal"), ("autocomplete", "off"),
                ("size", "8"))
            .Input((id + "-reason", "reason"), "Reason", "written into the log", ("maxlength", "500"), ("autocomplete", "off"))
            .Choice((id + "-seconds", "seconds"), "For", "then it is at its default again", Times, "3600");
        html.Open("div", ("class", "field")).Text("button", $"Turn {knob.Name}", ("type", "submit")).Close("div");
        html.Close("form").Line();
    }

    /// <summary>Where the value is between the bounds.</summary>
    private static void Scale(MarkupText html, Knob knob, KnobSetting setting)
    {
        var span = knob.Bounds.Highest - knob.Bounds.Lowest;
        string Place(double value) => MarkupText.Number(8 + 284 * (span == 0 ? 0.5 : (value - knob.Bounds.Lowest) / span));
        html.Open("svg", ("class", "fig gauge"), ("viewBox", "0 0 300 34"), ("role", "img"), ("width", "300"), ("height", "34"),
            ("aria-label", $"{Number(setting.Value)} between {Number(knob.Bounds.Lowest)} and {Number(knob.Bounds.Highest)}"))
            .Leaf("path", ("class", "axis"), ("d", "M8 14H292M8 9v10M292 9v10"))
            .Leaf("path", ("class", "reference"), ("d", $"M{Place(knob.Default)} 6v16"))
            .Leaf("circle", ("class", "f0 rim"), ("cx", Place(setting.Value)), ("cy", "14"), ("r", "6"))
            .Text("text", Number(knob.Bounds.Lowest), ("class", "tick"), ("x", "2"), ("y", "32"))
            .Text("text", Number(knob.Bounds.Highest), ("class", "tick end"), ("x", "298"), ("y", "32"))
            .Close("svg").Line();
    }

    /// <summary>The id of a knob in the page: its place in the policy, because names may have any characters.</summary>
    private static string IdOf(Knob knob) => "knob-" + Convert.ToHexStringLower(System.Text.Encoding.UTF8.GetBytes(knob.Name));

    private static string Number(double value) => value.ToString("0.####", CultureInfo.InvariantCulture).Replace('-', '−');
}
