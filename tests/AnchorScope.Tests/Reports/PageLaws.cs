using System.Text.RegularExpressions;
using System.Xml.Linq;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Reports;

/// <summary>Properties of every page of a report, whatever was found.</summary>
internal static class PageLaws
{
    /// <summary>Files in the folder of a run that a page needs no link to: itself, and the lock of a process that runs.</summary>
    private static readonly string[] NotLinked = ["report.html", FolderLock.FileName];

    public static XDocument Check(string folder)
    {
        var page = XDocument.Load(Path.Combine(folder, "report.html"));
        // A picture or a figure as data may hold any letters.
        Assert.All(
            page.Descendants().Attributes().Where(a => a.Name.LocalName is not ("href" or "src")).Select(a =>
                a.Value).Append(page.Root!.Value),
            text => Assert.DoesNotContain("NaN", text, StringComparison.Ordinal));
        EverySectionIsInTheContents(page);
        NoCaptionSaysWhereAPanelStands(page);
        NoTwoColumnsHaveOneName(page);
        LongTablesAreFolded(page);
        EveryFileIsLinked(page, folder);
        AbbreviationsAreExplained(page);
        return page;
    }

    private static void EverySectionIsInTheContents(XDocument page)
    {
        string[] sections = [.. page.Descendants().Where(e => e.Name.LocalName is "h2" or "h3").Select(e =>
            $"#{(string?)e.Attribute("id")} {e.Value}")];
        Assert.NotEmpty(sections);
        Assert.Equal(sections, page.Descendants("nav").Descendants("a").Select(a => $"{(string?)a.Attribute("href")} {a.Value}"));
    }

    /// <summary>On a narrow screen panels are stacked vertically.</summary>
    private static void NoCaptionSaysWhereAPanelStands(XDocument page)
    {
        var captions = page.Descendants("figcaption").Concat(page.Descendants("p").Where(p =>
            (string?)p.Attribute("class") == "caption")).ToList();
        Assert.NotEmpty(captions);
        Assert.All(captions, c => Assert.DoesNotMatch("(?i)\\b(left|right)\\b", c.Value));
    }

    private static void NoTwoColumnsHaveOneName(XDocument page)
    {
        foreach (var head in page.Descendants("thead"))
        {
            var rows = head.Elements("tr").ToList();
            var groups = rows[0].Elements("th").Where(th => th.Attribute("colspan") is not null)
                .SelectMany(th => Enumerable.Repeat(th.Value, (int)th.Attribute("colspan")!)).ToList();
            var names = rows[0].Elements("th").Where(th => th.Attribute("colspan") is null).Select(th => th.Value)
                .Concat(rows.Skip(1).SelectMany(row => row.Elements("th")).Zip(groups, (th, group) => $"{group}: {th.Value}")).ToList();
            Assert.Equal(names.Distinct(), names);
            Assert.Equal(groups.Count, rows.Skip(1).Sum(row => row.Elements("th").Count()));
            Assert.All(head.Descendants("th"), th =>
                Assert.Equal(th.Attribute("colspan") is null ? "col" : "colgroup", (string?)th.Attribute("scope")));
        }
    }

    private static void LongTablesAreFolded(XDocument page)
    {
        foreach (var table in page.Descendants("table"))
        {
            var rows = table.Element("tbody")!.Elements("tr").Count();
            if (rows > 20) Assert.Matches($@"\b{rows}\b", table.Ancestors("details").First().Element("summary")!.Value);
        }
    }

    private static void EveryFileIsLinked(XDocument page, string folder)
    {
        var links = page.Descendants("ul").Where(ul => (string?)ul.Attribute("class") == "files").Elements("li").ToList();
        string[] linked = [.. links.Select(li => (string)li.Element("a")!.Attribute("href")!)];
        Assert.All(links, li => Assert.True(li.Value.Length > li.Element("a")!.Value.Length + 5, $"{li.Value}: what is it?"));
        Assert.All(linked, path => Assert.True(File.Exists(Path.Combine(folder, path)), path));
        var files = Directory.EnumerateFiles(folder).Concat(Directory.EnumerateFiles(Path.Combine(folder, "figures")))
            .Select(path => Path.GetRelativePath(folder, path).Replace('\\', '/')).Except(NotLinked);
        Assert.Empty(files.Except(linked));
    }

    /// <summary>An abbreviation in the text of a section has its meaning where it is first, and an entry in the glossary.</summary>
    private static void AbbreviationsAreExplained(XDocument page)
    {
        var entries = page.Descendants("h2").Where(h => h.Value == "Glossary").SelectMany(h =>
            h.ElementsAfterSelf("dl").First().Descendants("dt")).Select(dt => dt.Value).ToList();
        Assert.Equal(entries.Order(StringComparer.OrdinalIgnoreCase), entries);
        Assert.All(page.Descendants("abbr"), abbr => Assert.True(((string?)abbr.Attribute("title"))?.Length > 10));
        Assert.All(page.Descendants("abbr"), abbr =>
            Assert.Contains(entries, e => abbr.Value.TrimEnd('s').Equals(e.TrimEnd('s'), StringComparison.OrdinalIgnoreCase)));
        var body = page.Descendants("main").Elements().TakeWhile(e => !(e.Name == "h2" && e.Value == "Glossary"));
        var explained = new HashSet<string>(StringComparer.Ordinal);
        foreach (var element in body)
        {
            if (element.Name == "h2") explained.Clear();
            foreach (var text in element.DescendantNodesAndSelf().OfType<XText>().Where(t =>
                t.Ancestors().Any(a => a.Name.LocalName is "p" or "figcaption" or "th")
                    && !t.Ancestors().Any(a => a.Name.LocalName is "svg" or "pre")))
            {
                foreach (Match match in Regex.Matches(text.Value, @"\b(LDAR|MAM|MFR|I_NSSD|MLP|KL)\b"))
                {
                    if (text.Parent!.Name == "abbr") explained.Add(match.Value);
                    else Assert.Contains(match.Value, explained);
                }
            }
        }
    }
}
