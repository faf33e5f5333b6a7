using System.Xml.Linq;
using AnchorScope.Cli;
using AnchorScope.Figures;
using AnchorScope.Reports;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Reports;

public sealed class InterchangeSectionTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    [Fact]
    public void Sets_StandWithTheExchangesThatTell()
    {
        var page = Page(InterchangeSamples.Full());
        Assert.Equal(
        [
            ["arbiters", "0.0 0.1", "queries, other instruction", "0.80 [0.75, 0.85]", "2", "–", "0.10", "0.013", "79"],
            ["decision carriers, not confirmed", "0.0", "outputs, crossed", "0.95 [0.90, 1.00]", "2", "–", "0.10", "0.013", "79"],
            ["choice carriers", "none found", "outputs, crossed", "–", "–", "–", "–", "–", "–"],
        ], Rows(page, "Half"));
        var rows = Rows(page, "Donor's");
        Assert.Equal(["arbiters", "queries, other instruction", "50", "0.20", "0.40", "same", "0.00", "0.80 [0.75, 0.85]"], rows[0]);
        Assert.Equal(["arbiters", "queries, crossed", "50", "0.20", "0.40", "0.80", "0.00", "0.80 [0.75, 0.85]"], rows[1]);
        Assert.Equal(
            ["arbiters", "decision carriers", "necessary heads", "all heads"], rows.Select(r => r[0]).Distinct());
    }

    [Fact]
    public void Roles_HaveARowEach_AllHeadsAProfile()
    {
        var page = Page(InterchangeSamples.Full());
        var known = Rows(page, "Role");
        Assert.Equal(["0.0", "0.1", "0.2", "1.0", "1.1"], known.Select(r => r[0]));
        Assert.Equal(["arbiter (set)", "decision carrier", "hub", "brake", "note carrier"],
            known.Select(r => r[1]));
        Assert.Equal(["0.10 [0.05, 0.15]", "0.10 [0.05, 0.15]", "no pairs"], known[0][2..5]);
        Assert.Equal("10 / 10 / – / 10 / 10 / –", known[0][8]);
        Assert.Contains("1 of 6 heads has no role", page.Value, StringComparison.Ordinal);
        var all = page.Descendants("details").Single(d => d.Element("summary")!.Value == "Profiles of all 6 heads");
        Assert.Equal(6, all.Descendants("tbody").Elements("tr").Count());
        var pairs = Rows(page, "Without donor");
        Assert.Equal(["rank", "instruction", "60", "4", "0", "3", "2", "50"], pairs[0]);
        Assert.Equal("no pairs", pairs[1][7]);
    }

    [Theory]
    [InlineData(0, "None of the 6 heads has a role.")]
    [InlineData(1, "5 of 6 heads have no role.")]
    [InlineData(5, "1 of 6 heads has no role.")]
    [InlineData(6, "All 6 heads have a role.")]
    public void HeadsWithARole_AreCounted(int with, string text)
    {
        var full = InterchangeSamples.Full();
        var heads = full.Heads.Select((h, i) => h with { Role = EnumName.Of(i < with ? HeadRole.Arbiter : HeadRole.None) });
        Assert.Contains(text, Page(full with { Heads = [.. heads] }).Value, StringComparison.Ordinal);
    }

    /// <summary>Every role has its own letter, in a cell and in the legend; a head without a role has none.</summary>
    [Fact]
    public void MapOfRoles_HasLetters()
    {
        Assert.Equal("ADCQPNHB", string.Concat(RoleName.All.Select(r => r.Letter)));
        var drawn = Drawn(InterchangeSamples.Full(), "profiles");
        string[] letters = [.. drawn.Descendants(Svg + "tspan").Select(t => t.Value)];
        Assert.Equal("ADHBNADNHB", string.Concat(letters));
        Assert.Contains(drawn.Descendants(Svg + "title"), t => t.Value == "L0H2: hub");
        Assert.Contains(drawn.Descendants(Svg + "title"), t => t.Value == "L1H2: none");
        Assert.Contains(drawn.Descendants(Svg + "text"), t => t.Value == "Question: no pairs");
        Assert.Contains(drawn.Descendants(Svg + "text"), t => t.Value == "no value");
    }

    [Fact]
    public void Sets_GrowInSteps()
    {
        var drawn = Drawn(InterchangeSamples.Full(), "sets");
        string[] points = [.. drawn.Descendants(Svg + "title").Select(t => t.Value).Where(t => t.Contains('\n', StringComparison.Ordinal))];
        Assert.Equal(
        [
            "arbiters: queries\nHeads in the set 1: 0.4 [0.35, 0.45]", "arbiters: queries\nHeads in the set 2: 0.8 [0.75, 0.85]",
            "decision carriers: outputs\nHeads in the set 1: 0.95 [0.9, 1]",
        ], points);
    }

    [Fact]
    public void WithoutPairs_ThePageSaysSo()
    {
        var result = InterchangeSamples.WithoutPairs();
        var page = Page(result);
        Assert.All(Rows(page, "Half"), r => Assert.Equal("none found", r[1]));
        Assert.Equal(8, Rows(page, "Donor's").Count(r => r[2] == "no pairs"));
        Assert.Contains("None of the 6 heads has a role.", page.Value, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", page.ToString(), StringComparison.Ordinal);
        Assert.Contains(Drawn(result, "sets").Descendants(Svg + "text"), t => t.Value == "no set was found");
        Assert.Equal(2, Drawn(result, "layers").Descendants(Svg + "text").Count(t => t.Value == "no pairs"));
        foreach (var factor in new[] { "Choice", "Content", "Question", "Picture", "Note", "Phrasing" })
            Assert.Contains(Drawn(result, "profiles").Descendants(Svg + "text"), t => t.Value == $"{factor}: no pairs");
    }

    [Fact]
    public void Terminal_SaysWhatSetsSwitch_ElseWhatAllHeadsDo()
    {
        Assert.Equal(
        [
            ["queries of 2 heads switch", "", "", "0.800", "0.75 to 0.85"],
            ["outputs of 1 head, not confirmed, carry", "", "", "0.950", "0.90 to 1.00"],
        ], Summary.Exchanged(InterchangeSamples.Full()));
        Assert.Equal(
        [
            ["queries of all heads switch", "", "", "-", "no pairs"], ["outputs of all heads carry", "", "", "-", "no pairs"],
        ], Summary.Exchanged(InterchangeSamples.WithoutPairs()));
    }

    private static XElement Page(InterchangeResult result)
    {
        var page = new HtmlPage("t");
        InterchangeSection.Write(page, result, new InterchangeFigures(result).All);
        return XDocument.Parse(page.ToHtml()).Root!;
    }

    private static XDocument Drawn(InterchangeResult result, string figure) =>
        XDocument.Parse(new InterchangeFigures(result).All[figure].ToSvg(standalone: true));

    /// <summary>The first table with this header.</summary>
    private static string[][] Rows(XElement page, string header) =>
        [.. page.Descendants("table").First(t => t.Descendants("th").Any(h => h.Value == header)).Element("tbody")!.Elements("tr")
            .Select(r => r.Elements("td").Select(c => c.Value.Replace('\u00A0', ' ')).ToArray())];
}
