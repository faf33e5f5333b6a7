using System.Text;
using System.Xml.Linq;
using AnchorScope.Figures;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Reports;

public sealed class HtmlPageTests
{
    private const string Hostile = "</style><script>alert(1)</script> & \"quoted\" 'too' \u0000\u0007\uFFFF\uD800 <!-- ]]>";
    private const string Clean = "</style><script>alert(1)</script> & \"quoted\" 'too'  <!-- ]]>";

    [Property(MaxTest = 40)]
    public void AnyPage_IsXmlWithoutScriptOrOutsideResource(int seed)
    {
        var html = Page(Samples.Figure(seed), Hostile).ToHtml();
        var page = XDocument.Parse(html);
        Assert.Empty(page.Descendants("script"));
        Assert.Single(page.Descendants("style"));
        Assert.DoesNotContain("http:", html, StringComparison.Ordinal);
        Assert.DoesNotContain("https:", html, StringComparison.Ordinal);
        Assert.DoesNotContain("@import", html, StringComparison.Ordinal);
        Assert.DoesNotContain("url(", html, StringComparison.Ordinal);
        Assert.All(page.Descendants().Attributes("src"),
            attribute => Assert.StartsWith("data:", attribute.Value, StringComparison.Ordinal));
        Assert.All(page.Descendants().Attributes("href"), attribute => Assert.Matches("^(#|data:|heads.json$)", attribute.Value));
        Assert.DoesNotContain(page.Descendants().Attributes(),
            attribute => attribute.Name.LocalName.StartsWith("on", StringComparison.Ordinal));
    }

    [Fact]
    public void EveryText_ComesBackAsItWas()
    {
        var page = XDocument.Parse(Page(Line, Hostile).ToHtml());
        foreach (var element in new[] { "title", "h1", "h2", "h3", "summary", "pre", "footer", "dt", "dd", "th", "td" })
            Assert.Contains(page.Descendants(element), e => e.Value == Clean);
        Assert.Contains(Captions(page), caption => caption.Value == "Table 1. " + Clean);
        Assert.Contains(page.Descendants("figcaption"),
            caption => caption.Value.StartsWith("Figure 1. " + Clean, StringComparison.Ordinal));
        Assert.Contains(page.Descendants("img"), image => (string?)image.Attribute("alt") == Clean);
        Assert.Equal(1, page.Descendants("p").Count(p => p.Value == Clean && (string?)p.Attribute("class") == "subtitle"));
        Assert.Contains(page.Descendants("span"), span => span.Value == Clean && (string?)span.Attribute("class") == "answer");
    }

    /// <summary>In HTML only void elements end with a slash; an empty div written so would swallow what follows.</summary>
    [Fact]
    public void EmptyElements_AreWrittenAsHtmlReadsThem()
    {
        var page = new HtmlPage("");
        page.Heading(2, "");
        page.Paragraph("");
        page.Table([""], [[""]]);
        page.Cards([new("")]);
        page.Details("", _ => { });
        page.KeyValues([]);
        page.Figure(new LineFigure("", []), "");
        var html = page.ToHtml();
        XDocument.Parse(html);
        Assert.DoesNotMatch("<(?!meta|link|img|br|hr|path|rect|line)[a-z0-9]+[^>]*/>", html);
    }

    [Fact]
    public void Contents_LinkToHeadingsWithDistinctAnchors()
    {
        var page = new HtmlPage("t");
        page.Lead("summary", Status.Good);
        page.Heading(2, "Same name");
        page.Heading(3, "Same name");
        page.Heading(2, "頭");
        page.Heading(2, "Other", anchor: "given");
        var html = XDocument.Parse(page.ToHtml());
        string[] anchors = [.. html.Descendants().Attributes("id").Select(id => id.Value)];
        Assert.Equal(["same-name", "same-name-2", "part", "given"], anchors);
        Assert.Equal(anchors.Select(anchor => "#" + anchor),
            html.Descendants("nav").Descendants("a").Select(a => a.Attribute("href")!.Value));
        string[] order = [.. html.Descendants("main").Elements().Select(element => element.Name.LocalName)];
        Assert.Equal(["header", "p", "nav", "h2", "h3", "h2", "h2"], order);
    }

    /// <summary>A header that spans columns is above their headers and has its own column group; other headers span both rows.</summary>
    [Fact]
    public void Columns_UnderASpanningHeader()
    {
        var page = new HtmlPage("t");
        page.Table(["Set", .. Column.Under("First", "Picture", "Text"), "q", .. Column.Under("Second", "Picture", "Text")],
            [["a", "1", "2", "3", "4", "5"]]);
        var table = XDocument.Parse(page.ToHtml()).Descendants("table").Single();
        Assert.Equal([1, 2, 1, 2], table.Elements("colgroup").Select(g => (int)g.Attribute("span")!));
        var rows = table.Element("thead")!.Elements("tr").Select(tr => tr.Elements("th").Select(th =>
            $"{th.Value} {(string?)th.Attribute("scope")} {(string?)th.Attribute("colspan") ?? "1"} "
                + $"{(string?)th.Attribute("rowspan") ?? "1"}")).ToList();
        Assert.Equal(["Set col 1 2", "First colgroup 2 1", "q col 1 2", "Second colgroup 2 1"], rows[0]);
        Assert.Equal(["Picture col 1 1", "Text col 1 1", "Picture col 1 1", "Text col 1 1"], rows[1]);
    }

    [Theory]
    [InlineData(20, null)]
    [InlineData(21, "All 21 rows")]
    public void LongTable_OpensWhenAskedFor(int count, string? summary)
    {
        string[][] rows = [.. Enumerable.Range(0, count).Select(i => new[] { $"{i}" })];
        var page = new HtmlPage("t");
        page.Table(["x"], rows, "caption");
        page.FoldedTable("More", ["x"], rows);
        var html = XDocument.Parse(page.ToHtml());
        var tables = html.Descendants("table").ToList();
        Assert.Equal(summary, tables[0].Ancestors("details").SingleOrDefault()?.Element("summary")!.Value);
        Assert.Equal($"More ({count} rows)", tables[1].Ancestors("details").Single().Element("summary")!.Value);
        Assert.DoesNotContain(Captions(html), c => c.Ancestors("details").Any());
    }

    /// <summary>A term is explained once a section, longer names first, in the singular and the plural, and only as a whole word.</summary>
    [Fact]
    public void Terms_AreExplainedWhereASectionHasThemFirst()
    {
        var page = new HtmlPage("t") { Terms = [new("carrier", "c"), new("decision carrier", "d"), new("MFR", "m"), new("never", "n")] };
        page.Paragraph("MFR of Decision carriers, a carrier, MFR, MFRX and xMFR");
        page.Heading(2, "One");
        page.Paragraph("no term");
        page.Heading(2, "Two");
        page.Table(["MFR"], [["MFR"]], "MFR <again>");
        page.WriteGlossary();
        var html = XDocument.Parse(page.ToHtml());
        Assert.Equal(["MFR m", "Decision carriers d", "carrier c", "MFR m"],
            html.Descendants("abbr").Select(a => $"{a.Value} {(string)a.Attribute("title")!}"));
        Assert.Equal("MFR of Decision carriers, a carrier, MFR, MFRX and xMFR", html.Descendants("p").First().Value);
        Assert.Equal(["carrier", "decision carrier", "MFR"], html.Descendants("dt").Select(dt => dt.Value));
        Assert.Equal(["#one", "#two", "#glossary"], html.Descendants("nav").Descendants("a").Select(a => (string)a.Attribute("href")!));
    }

    [Fact]
    public void Files_AreLinkedRelativeToThePage()
    {
        var page = new HtmlPage("t");
        page.Files([("figures/a b.svg", "what it is")]);
        var item = XDocument.Parse(page.ToHtml()).Descendants("li").Single();
        Assert.Equal(("figures/a%20b.svg", "figures/a b.svg what it is"), ((string)item.Element("a")!.Attribute("href")!, item.Value));
    }

    [Fact]
    public void Figures_AndTables_AreNumberedInOrder()
    {
        var page = new HtmlPage("t");
        page.Figure(Line, "a");
        page.Table(["x"], [["1"]], "first");
        page.Details("more", inner => inner.Figure(Line, "b"));
        page.Table(["x"], [["1"]], "second");
        var html = XDocument.Parse(page.ToHtml());
        Assert.Equal(["Figure 1. a", "Figure 2. b"], html.Descendants("figcaption").Select(e => e.Value));
        Assert.Equal(["Table 1. first", "Table 2. second"], Captions(html).Select(e => e.Value));
    }

    [Fact]
    public void Download_HoldsTheFile()
    {
        var page = new HtmlPage("t");
        page.Figure(Line, "a", "curve.svg");
        var link = XDocument.Parse(page.ToHtml()).Descendants("figcaption").Elements("a").Single();
        Assert.Equal("curve.svg", (string?)link.Attribute("download"));
        var data = ((string)link.Attribute("href")!).Split(',')[1];
        Assert.Equal(Line.ToSvg(standalone: true), Encoding.UTF8.GetString(Convert.FromBase64String(data)));
    }

    [Fact]
    public void Columns_OfNumbersAreSetRight()
    {
        var page = new HtmlPage("t");
        page.Table(["name", "share", "given"], [["a", "0.52 [0.48, 0.55]", "x"], ["b", "\u22123 %", "y"]]);
        page.Table(["name", "share", "given"], [["a", "1", "x"]], numeric: [2]);
        var html = XDocument.Parse(page.ToHtml());
        var right = html.Descendants("th").Select(th => (string?)th.Attribute("class") == "number");
        Assert.Equal([false, true, false, false, false, true], right);
        Assert.Throws<ArgumentException>(() => page.Table(["a", "b"], [["only one"]]));
    }

    [Fact]
    public void Cards_MarkAnswersByMoreThanColour()
    {
        var page = new HtmlPage("t");
        page.Cards([new("id") { Answers = [new("baseline", "two", true), new("blocked", "four", false), new("open", "?", null)] }]);
        var marks = XDocument.Parse(page.ToHtml()).Descendants("article")
            .Descendants("span").Where(span => span.Attribute("aria-label") is not null);
        Assert.Equal([("✓", "right"), ("✕", "wrong"), ("·", "not judged")],
            marks.Select(mark => (mark.Value, (string)mark.Attribute("aria-label")!)));
    }

    [Fact]
    public void Page_IsMadeForEveryScreen()
    {
        var html = Page(Line, "x").ToHtml();
        Assert.StartsWith("<!DOCTYPE html>\n<html lang=\"en\">", html, StringComparison.Ordinal);
        Assert.Contains("<meta charset=\"utf-8\"/>", html, StringComparison.Ordinal);
        Assert.Contains("width=device-width", html, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", html, StringComparison.Ordinal);
        Assert.Contains("@media print", html, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryClassOfThePage_HasARule()
    {
        var page = XDocument.Parse(Page(Line, "x").ToHtml());
        var style = page.Descendants("style").Single().Value;
        var used = page.Descendants().Attributes("class").SelectMany(attribute => attribute.Value.Split(' ')).Distinct();
        string[] without = ["neutral", "photo", "info", "open"];
        Assert.All(used.Except(without), name => Assert.Matches($@"\.{name}[ ,:.{{]", style));
    }

    [Fact]
    public void EveryCustomProperty_IsDefined()
    {
        var css = PageStyle.Css + FigureStyle.ForPage;
        var used =
            System.Text.RegularExpressions.Regex.Matches(css, @"var\((--[a-z0-9]+)\)").Select(match => match.Groups[1].Value).Distinct();
        Assert.All(used, name => Assert.Equal(3, css.Split(name + ":").Length - 1)); // light, dark and print
    }

    private static LineFigure Line => new("f", [new("p", [new("s", [0, 1, 2], [1, 2, 3])])]);

    private static HtmlPage Page(Figure figure, string text)
    {
        var page = new HtmlPage(text) { Subtitle = text, Footer = text, Terms = [new Term("script", text), new Term("quoted", text)] };
        foreach (var status in Enum.GetValues<Status>()) page.Lead(text, status);
        page.Heading(2, text);
        page.Paragraph(text);
        page.Figure(figure, text, text);
        page.Heading(3, text, text);
        page.Table([text, "n"], [[text, "1"]], text);
        page.Cards(
        [
            new(text)
            {
                Picture = [1, 2, 3], PictureText = text, TextContext = text, Question = text, Instruction = text, Expected = text,
                Answers = [new(text, text, true), new(text, text, false), new(text, text, null)],
            },
        ]);
        page.Note(NoteKind.Info, text);
        page.Note(NoteKind.Warning, text);
        page.KeyValues([(text, text)]);
        page.Details(text, inner => inner.Verbatim(text));
        page.Table([text, .. Column.Under(text, text, text)], [[text, "1", "2"]], text);
        page.Files([("heads.json", text)]);
        page.WriteGlossary();
        return page;
    }

    private static IEnumerable<XElement> Captions(XDocument page) =>
        page.Descendants("p").Where(p => (string?)p.Attribute("class") == "caption");
}
