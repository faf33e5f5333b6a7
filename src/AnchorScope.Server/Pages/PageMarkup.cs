using System.Globalization;
using System.Text.RegularExpressions;
using AnchorScope.Figures;

namespace AnchorScope.Server.Pages;

/// <summary>Parts of pages: figures of the report, tables, forms.</summary>
internal static class PageMarkup
{
    private static readonly Regex Width = new("(?<tag><svg[^>]*) style=\"max-width: (?<width>[0-9.]+)px\"",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(10));
    private static readonly Regex Rest = new(" style=\"max-width: [0-9.]+px\"",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(10));

    /// <summary>
    /// A figure of the report with its caption. The pages allow no style in elements, so that the widths become attributes; quotes in texts
    /// are escaped, so that only attributes are replaced.
    /// </summary>
    /// <param name="style">"roomy": too wide for a phone, which has the table instead.</param>
    public static MarkupText Figure(this MarkupText html, Figure figure, string caption, string style = "plain")
    {
        var svg = Rest.Replace(Width.Replace(figure.ToSvg(standalone: false), "${tag} width=\"${width}\""), "")
            .Replace(" style=\"image-rendering: pixelated\"", " image-rendering=\"pixelated\"", StringComparison.Ordinal);
        return html.Open("figure", ("class", style)).Raw(svg).Text("figcaption", caption).Close("figure").Line();
    }

    public static MarkupText Heading(this MarkupText html, string text, int level = 2) =>
        html.Text($"h{level}", text, ("id", Anchor(text))).Line();

    public static MarkupText Paragraph(this MarkupText html, string text, string style = "plain") =>
        html.Text("p", text, ("class", style)).Line();

    /// <summary>A table that scrolls by itself where it is wider than the page.</summary>
    /// <param name="numeric">Columns of numbers.</param>
    public static MarkupText Table(this MarkupText html, string caption, IReadOnlyList<Column> columns,
        IReadOnlyList<IReadOnlyList<string>> rows, params int[] numeric)
    {
        html.Open("div", ("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", caption));
        new HtmlTable(columns, rows, [.. columns.Select((_, i) => numeric.Contains(i))]).Write(html, new Glossary([]));
        return html.Close("div").Line();
    }

    /// <summary>The numbers of a figure, folded.</summary>
    public static MarkupText Numbers(this MarkupText html, string name, IReadOnlyList<Column> columns,
        IReadOnlyList<IReadOnlyList<string>> rows)
    {
        html.Open("details", ("id", "numbers-" + Anchor(name))).Text("summary", $"Numbers: {name}").Line();
        html.Table(name, columns, rows, [.. Enumerable.Range(1, columns.Count - 1)]);
        return html.Close("details").Line();
    }

    public static MarkupText Pairs(this MarkupText html, params ReadOnlySpan<(string Name, string Value)> pairs)
    {
        html.Open("dl").Line();
        foreach (var (name, value) in pairs) html.Open("div").Text("dt", name).Text("dd", value).Close("div").Line();
        return html.Close("dl").Line();
    }

    /// <summary>Numbers that are read at a glance.</summary>
    public static MarkupText Tiles(this MarkupText html, params ReadOnlySpan<(string Name, string Value, string Detail)> tiles)
    {
        html.Open("dl", ("class", "tiles")).Line();
        foreach (var (name, value, detail) in tiles)
        {
            html.Open("div").Text("dt", name).Open("dd").Text("span", value, ("class", "big"));
            if (detail.Length > 0) html.Text("span", detail, ("class", "detail"));
            html.Close("dd").Close("div").Line();
        }
        return html.Close("dl").Line();
    }

    public static MarkupText Note(this MarkupText html, string title, string text, bool warning = false) => html
        .Open("div", ("class", warning ? "note warning" : "note info"), ("role", "note")).Text("b", title).Text("p", text)
        .Close("div").Line();

    /// <summary>How an action ended, told to screen readers too.</summary>
    public static MarkupText Outcome(this MarkupText html, Outcome outcome) => html
        .Open("p", ("class", outcome.IsGood ? "outcome good" : "outcome bad"), ("role", outcome.IsGood ? "status" : "alert"))
        .Text("b", outcome.Word + " ").Text(outcome.Text).Close("p").Line();

    /// <summary>A form field with its label and, below it, what it means.</summary>
    /// <param name="control">Writes the control with this id, and with this description if there is one.</param>
    public static MarkupText Field(this MarkupText html, string id, string label, string help, Action<MarkupText> control)
    {
        html.Open("div", ("class", "field")).Text("label", label, ("for", id));
        control(html);
        if (help.Length > 0) html.Text("p", help, ("class", "help"), ("id", id + "-help"));
        return html.Close("div").Line();
    }

    /// <summary>A field with one line of text.</summary>
    /// <param name="with">Further attributes.</param>
    public static MarkupText Input(this MarkupText html, (string Id, string Name) named, string label, string help,
        params (string Name, string Value)[] with) => html.Field(named.Id, label, help, inner => inner.Leaf("input",
            [("id", named.Id), ("name", named.Name), .. help.Length > 0 ? [("aria-describedby", named.Id + "-help")]
                : Array.Empty<(string, string)>(), .. with]));

    /// <summary>A choice from a list.</summary>
    public static MarkupText Choice(this MarkupText html, (string Id, string Name) named, string label, string help,
        IEnumerable<(string Value, string Text)> choices, string chosen) => html.Field(named.Id, label, help, inner =>
    {
        inner.Open("select", [("id", named.Id), ("name", named.Name), .. help.Length > 0 ? [("aria-describedby", named.Id + "-help")]
            : Array.Empty<(string, string)>()]);
        foreach (var (value, text) in choices)
        {
            if (value == chosen) inner.Text("option", text, ("value", value), ("selected", "selected"));
            else inner.Text("option", text, ("value", value));
        }
        inner.Close("select");
    });

    /// <summary>The hidden field that shows that a form is from this session.</summary>
    public static MarkupText Token(this MarkupText html, Visit visit) =>
        html.Leaf("input", ("type", "hidden"), ("name", "token"), ("value", visit.Session.Token));

    public static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture).Replace(',', '\u202F');

    /// <summary>A time as people say it: 12 ms, 1.4 s.</summary>
    public static string Seconds(double seconds) => double.IsNaN(seconds) ? Figures.Numbers.Missing
        : seconds < 1 ? $"{Figures.Numbers.Of(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms" : $"{Figures.Numbers.Of(seconds)} s";

    public static string Percent(double share) =>
        double.IsNaN(share) ? Figures.Numbers.Missing : $"{Figures.Numbers.Of(share * 100, 1)}\u00A0%";

    public static string Time(DateTimeOffset time) =>
        time.ToUniversalTime().ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture);

    private static string Anchor(string text) =>
        new([.. text.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-')]);
}
