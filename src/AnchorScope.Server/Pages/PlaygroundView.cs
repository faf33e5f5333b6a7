using System.Globalization;
using AnchorScope.Figures;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>A picture, a text that contradicts it, an instruction, and a change: both answers side by side.</summary>
internal sealed class PlaygroundView(ServedModel served, IReadOnlyDictionary<string, Asset> assets) : IView
{
    private static readonly (string Value, string Text)[] Kinds =
        [("text_context", "text context"), ("question", "question"), ("instruction", "instruction"), ("constraint", "constraint"),
            ("", "other text")];

    public string Path => "/pages/playground";

    public string Name => "Playground";

    public string About => "Ask with a picture and a text that contradict each other, change something inside the model, and compare.";

    public bool IsFor(ServerKey key) => Roles.Ask(key);

    public void Write(MarkupText html, Visit visit, Outcome? outcome)
    {
        var example = Example.All.FirstOrDefault(e => e.Name == visit.Context.Request.Query["example"]) ?? Example.All[0];
        Write(html, visit, PlaygroundForm.Of(example), inner =>
        {
            if (outcome is not null) inner.Outcome(outcome);
        });
    }

    /// <summary>Writes form and result.</summary>
    public void Write(MarkupText html, Visit visit, PlaygroundForm form, Action<MarkupText> result)
    {
        html.Open("nav", ("class", "examples"), ("aria-label", "Examples")).Text("p", "Begin with an example:").Open("ul");
        foreach (var example in Example.All)
        {
            html.Open("li").Open("a", [("href", $"{Path}?example={example.Name}"),
                .. example.Name == form.Example ? [("aria-current", "true")] : Array.Empty<(string, string)>()])
                .Leaf("img", ("src", Address(example.Name)), ("alt", example.Shows), ("width", "56"),
                    ("height", "56"), ("class", "pixelated"))
                .Close("a").Close("li");
        }
        html.Close("ul").Close("nav").Line();
        html.Open("form", ("method", "post"), ("action", Path), ("enctype", "multipart/form-data"), ("hx-post", Path),
            ("hx-target", "#result"), ("hx-disable", "find button[type=submit]"), ("class", "playground"), ("aria-label", "Playground"))
            .Token(visit).Leaf("input", ("type", "hidden"), ("name", "example"), ("id", "example"), ("value", form.Example)).Line();
        html.Open("fieldset").Text("legend", "Picture");
        var shown = Example.All.FirstOrDefault(example => example.Name == form.Example);
        html.Open("div", ("class", "drop"), ("id", "drop"))
            .Leaf("img", ("id", "preview"), ("class", "pixelated"), ("src", Address((shown ?? Example.All[0]).Name)),
                ("alt", shown?.Shows ?? "the chosen picture"), ("width", "168"), ("height", "168"));
        html.Input(("picture", "picture"), "Another picture", "Choose a file, or drop one here. It is sent to this server only.",
            ("type", "file"), ("accept", "image/png,image/jpeg,image/webp,image/gif,image/tiff,image/bmp")).Close("div")
            .Close("fieldset").Line();
        html.Open("fieldset").Text("legend", "Text, and what is what");
        for (var i = 0; i < PlaygroundForm.Pieces; i++) Piece(html, i, form.Texts.ElementAtOrDefault(i) ?? new PlaygroundText("", ""));
        html.Close("fieldset").Line();
        html.Open("fieldset").Text("legend", "Answers that are compared").Open("div", ("class", "fields"));
        html.Input(("vision", "vision"), "By the picture", "one word; other forms after commas", ("value", form.Vision),
            ("autocomplete", "off"));
        html.Input(("text", "text"), "By the text", "left empty: only the answer, no curves", ("value", form.Text),
            ("autocomplete", "off"));
        html.Close("div").Close("fieldset").Line();
        html.Open("fieldset").Text("legend", "Change");
        Change(html, visit, form);
        html.Close("fieldset").Line();
        html.Open("div", ("class", "send")).Text("button", "Ask", ("type", "submit"), ("class", "strong")).Close("div");
        html.Close("form").Line();
        html.Open("div", ("id", "result"), ("aria-live", "polite"), ("tabindex", "-1"));
        result(html);
        html.Close("div").Line();
    }

    private static void Piece(MarkupText html, int index, PlaygroundText piece)
    {
        html.Open("div", ("class", "piece"));
        html.Choice(($"kind{index}", $"kind{index}"), $"Text {index + 1} is", "", Kinds, piece.Kind);
        html.Field($"text{index}", $"Text {index + 1}", "", inner =>
            inner.Text("textarea", piece.Text, ("id", $"text{index}"), ("name", $"text{index}"), ("rows", "2")));
        html.Close("div").Line();
    }

    private void Change(MarkupText html, Visit visit, PlaygroundForm form)
    {
        var choices = PlaygroundForm.Changes(served.Policy).ToList();
        html.Open("div", ("class", "fields"));
        if (choices.Count > 1 && visit.Key.May(Role.Steer))
        {
            var change = form.Change.Length > 0 ? form.Change : choices[1].Value;
            html.Choice(("change", "change"), "What is changed", "for this question only", choices, change);
            html.Input(("value", "value"), "Value", "of the knob, or factor of the heads",
                ("value", form.Value.Length > 0 ? form.Value : Strongest(change)), ("inputmode", "decimal"),
                ("autocomplete", "off"), ("size", "8"));
        }
        html.Input(("tokens", "tokens"), "Tokens", "at most, of an answer", ("type", "number"), ("min", "1"), ("max", "256"),
            ("value", $"{form.Tokens}"));
        html.Close("div");
        if (choices.Count == 1) html.Paragraph("The policy of this server allows no change, so there is one answer (--policy).", "help");
        else if (!visit.Key.May(Role.Steer)) html.Paragraph("To change something, a key of the role steer is needed.", "help");
    }

    /// <summary>A value to begin with: the end of the bounds that is farthest from no change.</summary>
    private string Strongest(string change)
    {
        var parts = change.Split(':');
        var (bounds, neutral) = parts[0] == "knob" && served.Policy.Knobs.TryGetValue(parts[1], out var knob)
            ? (knob.Bounds, knob.Neutral) : (served.Policy.Factor, 1);
        var value = bounds.Highest - neutral > neutral - bounds.Lowest ? bounds.Highest : bounds.Lowest;
        return value.ToString("0.####", CultureInfo.InvariantCulture);
    }

    private string Address(string example) => $"/pages/assets/{example}.png?{assets[example + ".png"].Tag}";
}
