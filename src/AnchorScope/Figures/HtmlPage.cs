using System.Text;

namespace AnchorScope.Figures;

/// <summary>The conclusion of a summary sentence.</summary>
internal enum Status { Neutral, Good, Absent, Bad }

/// <summary>Importance of a note.</summary>
internal enum NoteKind { Info, Warning }

/// <summary>One HTML document without scripts and external resources, built from top to bottom.</summary>
/// <remarks>
/// Every text is escaped here, so a model's answers may contain any characters. The markup is both XML and HTML. The table of contents is
/// inserted at the first heading of level 2.
/// </remarks>
internal sealed class HtmlPage(string title)
{
    /// <summary>Maximum number of rows of a table that is not folded.</summary>
    private const int LongestTable = 20;

    private readonly MarkupText _body = new();
    private readonly List<(int Level, string Text, string Anchor)> _headings = [];
    private readonly StringBuilder _intro = new();
    private Glossary _glossary = new([]);
    private int _figures;
    private int _tables;
    private int _folded;

    /// <summary>A small line below the title, for instance model and date.</summary>
    public string Subtitle { get; init; } = "";

    /// <summary>The last line of the page.</summary>
    public string Footer { get; init; } = "";

    /// <summary>
    /// Terms that the page explains at their first occurrence in a section. <see cref="WriteGlossary"/> lists those that occurred.
    /// </summary>
    public IReadOnlyList<Term> Terms { init => _glossary = new Glossary(value); }

    /// <param name="level">2 or 3; 1 is the title of the page.</param>
    /// <param name="anchor">Id in the page; null: derived from the text.</param>
    public void Heading(int level, string text, string? anchor = null)
    {
        if (level is not (2 or 3)) throw new ArgumentOutOfRangeException(nameof(level), level, "headings in a page have level 2 or 3");
        var id = Anchor(anchor ?? text);
        _headings.Add((level, text, id));
        if (level == 2) _glossary.BeginSection();
        _body.Text($"h{level}", text, ("id", id)).Line();
    }

    public void Paragraph(string text)
    {
        _body.Open("p");
        _glossary.Write(_body, text);
        _body.Close("p").Line();
    }

    /// <summary>Writes a finding of the summary: its first clause in bold, the supporting numbers below.</summary>
    public void Lead(string text, Status status = Status.Neutral)
    {
        var (mark, name) = status switch
        {
            Status.Good => ("✓", "found"),
            Status.Absent => ("–", "not found"),
            Status.Bad => ("✕", "problem"),
            _ => ("→", "note"),
        };
        _body.Open("p", ("class", $"lead {status.ToString().ToLowerInvariant()}"))
            .Text("span", mark, ("class", "mark"), ("role", "img"), ("aria-label", name)).Open("span");
        var end = FirstClause(text);
        _body.Open("b");
        _glossary.Write(_body, end < 0 ? text : text[..end] + ".");
        _body.Close("b");
        if (end >= 0)
        {
            _body.Open("span", ("class", "detail"));
            _glossary.Write(_body, Capital(text[end..].TrimStart(':', ';', ' ')));
            _body.Close("span");
        }
        _body.Close("span").Close("p").Line();
    }

    /// <summary>End of the first clause: at a colon or semicolon outside brackets; -1 if the text is one clause.</summary>
    private static int FirstClause(string text)
    {
        var depth = 0;
        for (var i = 0; i + 1 < text.Length; i++)
        {
            if (text[i] == '(') depth++;
            else if (text[i] == ')') depth--;
            else if (depth == 0 && text[i + 1] == ' ' && text[i] is (':' or ';')) return i;
        }
        return -1;
    }

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    /// <param name="download">File name for saving the figure as SVG; null: no link.</param>
    public void Figure(Figure figure, string caption, string? download = null)
    {
        _body.Open("figure").Line().Raw(figure.ToSvg(standalone: false)).Open("figcaption");
        _body.Text("b", $"Figure {++_figures}.").Text(" ");
        _glossary.Write(_body, caption);
        if (download is not null)
        {
            var data = Convert.ToBase64String(Encoding.UTF8.GetBytes(figure.ToSvg(standalone: true)));
            _body.Text(" ").Text("a", "SVG", ("class", "save"), ("download", download), ("href", "data:image/svg+xml;base64," + data),
                ("aria-label", $"Save figure {_figures} as SVG"));
        }
        _body.Close("figcaption").Close("figure").Line();
    }

    /// <summary>Writes a table with its caption. A long one is folded.</summary>
    /// <param name="numeric">Columns that are right-aligned with equal-width digits; null: those with only numbers.</param>
    public void Table(
        IReadOnlyList<Column> columns, IReadOnlyList<IReadOnlyList<string>> rows, string? caption = null,
        IReadOnlyList<int>? numeric = null)
    {
        if (rows.FirstOrDefault(row => row.Count != columns.Count) is { } wrong)
            throw new ArgumentException($"a row has {wrong.Count} cells, the table has {columns.Count} columns", nameof(rows));
        bool[] right = [.. columns.Select((_, i) => numeric?.Contains(i) ?? rows.Any() && rows.All(row => IsNumber(row[i])))];
        // The caption is outside the table. Inside it would be as wide as a scrolling table and scroll out of view with it.
        if (caption is not null)
        {
            _body.Open("p", ("class", "caption")).Text("b", $"Table {++_tables}.").Text(" ");
            _glossary.Write(_body, caption);
            _body.Close("p").Line();
        }
        if (rows.Count <= LongestTable || _folded > 0) Scrolled();
        else Details($"All {Plural.Of(rows.Count, "row")}", _ => Scrolled());

        void Scrolled()
        {
            _body.Open("div", ("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", caption ?? "table"));
            new HtmlTable(columns, rows, right).Write(_body, _glossary);
            _body.Close("div").Line();
        }
    }

    /// <summary>Writes a folded table. The summary states its number of rows.</summary>
    /// <param name="numeric">As in <see cref="Table"/>.</param>
    public void FoldedTable(
        string summary, IReadOnlyList<Column> columns, IReadOnlyList<IReadOnlyList<string>> rows, string? caption = null,
        IReadOnlyList<int>? numeric = null) =>
        Details($"{summary} ({Plural.Of(rows.Count, "row")})", page => page.Table(columns, rows, caption, numeric));

    public void Cards(IReadOnlyList<Card> cards)
    {
        _body.Open("div", ("class", "cards")).Line();
        foreach (var card in cards) card.Write(_body);
        _body.Close("div").Line();
    }

    public void Note(NoteKind kind, string text, string? title = null)
    {
        var warning = kind == NoteKind.Warning;
        _body.Open("div", ("class", warning ? "note warning" : "note info"), ("role", "note"))
            .Text("b", title ?? (warning ? "Caution" : "Note"));
        Paragraph(text);
        _body.Close("div").Line();
    }

    /// <summary>Writes a folded part.</summary>
    /// <param name="inner">Adds the content to this page.</param>
    public void Details(string summary, Action<HtmlPage> inner)
    {
        _body.Open("details").Text("summary", summary).Line();
        _folded++;
        inner(this);
        _folded--;
        _body.Close("details").Line();
    }

    /// <summary>Writes names with their values, for instance the provenance of a run.</summary>
    public void KeyValues(IReadOnlyList<(string Key, string Value)> pairs)
    {
        _body.Open("dl").Line();
        foreach (var (key, value) in pairs) _body.Open("div").Text("dt", key).Text("dd", value).Close("div").Line();
        _body.Close("dl").Line();
    }

    /// <summary>Writes links to files in the folder of the page, with descriptions.</summary>
    /// <param name="files">Paths relative to the page, with forward slashes.</param>
    public void Files(IReadOnlyList<(string Path, string What)> files)
    {
        _body.Open("ul", ("class", "files")).Line();
        foreach (var (path, what) in files)
        {
            var link = string.Join('/', path.Split('/').Select(Uri.EscapeDataString));
            _body.Open("li").Text("a", path, ("href", link)).Text(" " + what).Close("li").Line();
        }
        _body.Close("ul").Line();
    }

    /// <summary>Writes a section that explains every term of <see cref="Terms"/> that has occurred.</summary>
    public void WriteGlossary()
    {
        var used = _glossary.Used;
        if (used.Count == 0) return;
        Heading(2, "Glossary");
        KeyValues([.. used.Select(term => (term.Name, term.Meaning))]);
    }

    /// <summary>Writes literal text in a fixed-width font, for instance a rendered prompt.</summary>
    public void Verbatim(string text) => _body.Open("div", ("class", "scroll"), ("tabindex", "0")).Text("pre", text).Close("div").Line();

    public string ToHtml()
    {
        var page = new MarkupText().Raw("<!DOCTYPE html>\n").Open("html", ("lang", "en")).Line().Open("head").Line()
            .Leaf("meta", ("charset", "utf-8")).Line()
            .Leaf("meta", ("name", "viewport"), ("content", "width=device-width, initial-scale=1")).Line()
            .Leaf("meta", ("name", "color-scheme"), ("content", "light dark")).Line()
            .Leaf("meta", ("http-equiv", "Content-Security-Policy"),
                ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'")).Line()
            .Leaf("link", ("rel", "icon"), ("href", "data:,")).Line()
            .Text("title", title).Line()
            .Open("style").Raw("\n" + PageStyle.Css + FigureStyle.ForPage).Close("style").Line()
            .Close("head").Line().Open("body").Line().Open("main").Line();
        page.Open("header").Text("h1", title);
        if (Subtitle.Length > 0) page.Text("p", Subtitle, ("class", "subtitle"));
        page.Close("header").Line();
        var body = _body.ToString();
        var start = _headings.Count == 0 ? body.Length : body.IndexOf($"<h{_headings[0].Level} id=", StringComparison.Ordinal);
        page.Raw(body[..start]);
        Contents(page);
        page.Raw(body[start..]).Close("main").Line();
        if (Footer.Length > 0) page.Text("footer", Footer).Line();
        return page.Close("body").Line().Close("html").Line().ToString();
    }

    /// <summary>Writes the table of contents, with headings of level 3 nested in those of level 2.</summary>
    private void Contents(MarkupText page)
    {
        if (_headings.Count < 2) return;
        page.Open("nav", ("class", "contents"), ("aria-label", "Contents")).Open("ol").Line();
        for (var i = 0; i < _headings.Count; i++)
        {
            Entry(page, i);
            if (_headings[i].Level == 2 && i + 1 < _headings.Count && _headings[i + 1].Level == 3)
            {
                page.Open("ol");
                while (i + 1 < _headings.Count && _headings[i + 1].Level == 3)
                {
                    Entry(page, ++i);
                    page.Close("li");
                }
                page.Close("ol");
            }
            page.Close("li").Line();
        }
        page.Close("ol").Close("nav").Line();
    }

    private void Entry(MarkupText page, int heading) =>
        page.Open("li").Text("a", _headings[heading].Text, ("href", "#" + _headings[heading].Anchor));

    /// <summary>Letters and digits of the text, joined by hyphens; numbered if the id exists already.</summary>
    private string Anchor(string text)
    {
        var letters = new StringBuilder();
        foreach (var c in text.ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(c)) letters.Append(c);
            else if (letters.Length > 0 && letters[^1] != '-') letters.Append('-');
        }
        var name = letters.ToString().Trim('-');
        if (name.Length == 0) name = "part";
        var (anchor, count) = (name, 1);
        while (_headings.Exists(heading => heading.Anchor == anchor)) anchor = $"{name}-{++count}";
        return anchor;
    }

    /// <summary>Whether a cell is like "0.52", "−3 %", "0.52 [0.48, 0.55]", "1.2e-3", "–" or empty.</summary>
    private static bool IsNumber(string cell) =>
        cell.All(c => char.IsAsciiDigit(c) || " .,+-−–±×%[]()e/".Contains(c, StringComparison.Ordinal));
}
