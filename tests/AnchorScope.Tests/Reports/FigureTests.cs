using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using AnchorScope.Figures;
using AnchorScope.Metrics;
using AnchorScope.Prompts;
using FsCheck.Xunit;

namespace AnchorScope.Tests.Reports;

public sealed class FigureTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    /// <summary>Attributes that hold coordinates or lengths.</summary>
    private static readonly HashSet<string> Geometry =
        ["x", "y", "x1", "x2", "y1", "y2", "width", "height", "d", "viewBox", "transform",
        "stroke-width", "stroke-dasharray", "stroke-dashoffset", "dy"];

    [Property(MaxTest = 300)]
    public void AnyFigure_IsXmlWithPlainNumbers(int seed)
    {
        var figure = Samples.Figure(seed);
        var file = XDocument.Parse(figure.ToSvg(standalone: true));
        Assert.Equal(Svg + "svg", file.Root!.Name);
        CheckNumbers(file.Root);
        CheckNumbers(XDocument.Parse(figure.ToSvg(standalone: false)).Root!);
    }

    [Property(MaxTest = 60)]
    public void SameData_SameCharacters(int seed)
    {
        Assert.Equal(Samples.Figure(seed).ToSvg(standalone: true), Samples.Figure(seed).ToSvg(standalone: true));
        Assert.Equal(Samples.Figure(seed).ToSvg(standalone: false), Samples.Figure(seed).ToSvg(standalone: false));
    }

    [Property(MaxTest = 60)]
    public void File_DefinesEveryClassAndReferencesNothing(int seed)
    {
        var svg = Samples.Figure(seed).ToSvg(standalone: true);
        var file = XDocument.Parse(svg);
        var style = file.Root!.Element(Svg + "style")!.Value;
        Assert.DoesNotContain("var(", style, StringComparison.Ordinal);
        var used = file.Descendants().Attributes("class").SelectMany(attribute => attribute.Value.Split(' ')).Distinct();
        Assert.All(used, name => Assert.Contains($".{name} ", style, StringComparison.Ordinal));
        Assert.DoesNotContain("http", svg.Replace(Svg.NamespaceName, "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Empty(file.Descendants().Attributes("id"));
        Assert.All(file.Descendants().Attributes("href"),
            reference => Assert.StartsWith("data:image/png;base64,", reference.Value, StringComparison.Ordinal));
    }

    [Fact]
    public void Names_AreEscapedAndCleaned()
    {
        var svg = new LineFigure("<b>&\"'\u0000\u0008\uFFFF", [new("\uD83D t", [])]).ToSvg(standalone: true);
        Assert.Contains("<title>&lt;b&gt;&amp;&quot;&#39;</title>", svg, StringComparison.Ordinal);
        Assert.Contains(XDocument.Parse(svg).Descendants(Svg + "text"), text => text.Value == " t");
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.MaxValue)]
    public void Gap_SplitsTheCurveAndHasNoMarker(double gap)
    {
        var whole = Curves([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]);
        var split = Curves([0, 1, 2, 3, 4, 5], [1, 2, gap, 4, 5, 6]);
        Assert.Equal(["M1L5"], Shapes(whole));
        Assert.Equal(["M1L1", "M1L2"], Shapes(split));
        Assert.Equal(6, Markers(whole));
        Assert.Equal(5, Markers(split));
    }

    [Fact]
    public void SinglePoint_IsAMarkerWithoutCurve()
    {
        var one = Curves([3], [0.5]);
        Assert.Empty(Shapes(one));
        Assert.Equal(1, Markers(one));
    }

    /// <summary>
    /// One token covers the left half, another everything: their densities add where they overlap, and the largest sum has the strongest
    /// colour.
    /// </summary>
    [Fact]
    public void Overlay_AddsDensities()
    {
        var white = new Picture(2, 1, [255, 255, 255, 255, 255, 255]);
        var figure = new OverlayFigure(
            "f", [new("t", "n", white, [new PixelBox(0, 0, 1, 1), new PixelBox(0, 0, 2, 1), null], [0.25, 0.5, 9])]);
        var drawn = XDocument.Parse(figure.ToSvg(standalone: true));
        var image = Picture.Decode(
            Convert.FromBase64String(drawn.Descendants(Svg + "image").Single().Attribute("href")!.Value.Split(',')[1]), "overlay");
        Assert.Equal((168, 84), (image.Width, image.Height));
        // Left 0.25 / (1/2) + 0.5 = 1, right 0.5 / 1 = half of it: half as far from the grey of white.
        var (left, right) = (image.Rgb[0..3], image.Rgb[^3..]);
        const byte grey = 250;
        for (var channel = 0; channel < 3; channel++) Assert.Equal((grey - left[channel]) / 2.0, grey - right[channel], 0.51);
        Assert.True(left[0] > left[1] + 60);
        Assert.Contains(drawn.Descendants(Svg + "text"), text => text.Value == "1.0");
    }

    /// <summary>Without values the picture is as it was; differences have a scale of their own, with both signs; rows have names.</summary>
    [Fact]
    public void Overlay_ShowsThePictureAndDifferences()
    {
        var red = new Picture(1, 1, [200, 10, 10]);
        PixelBox?[] all = [new PixelBox(0, 0, 1, 1)];
        var figure = new OverlayFigure("f",
        [
            new("picture", "", red, [], []) { Row = "first" }, new("map", "", red, all, [0.5]),
                new("difference", "", red, all, [-0.25]) { IsDifference = true },
            new("picture", "", red, [], []) { Row = "second" }, new("map", "", red, all, [0]),
                new("difference", "", red, all, [0.25]) { IsDifference = true },
        ]) { Columns = 3, ScaleLabel = "share", DifferenceLabel = "difference of shares" };
        var drawn = XDocument.Parse(figure.ToSvg(standalone: true));
        byte[][] colours = [.. drawn.Descendants(Svg + "image").Select(i =>
            Picture.Decode(Convert.FromBase64String(i.Attribute("href")!.Value.Split(',')[1]), "overlay").Rgb[..3])];
        Assert.Equal(red.Rgb, colours[0]);
        Assert.True(colours[1][0] > colours[1][2] + 60, "red where there is attention");
        Assert.True(colours[2][2] > colours[2][0] + 60, "blue where a difference is below 0");
        Assert.Equal([250, 250, 250], colours[4].Select(c => (int)c));
        Assert.True(colours[5][0] > colours[5][2] + 60, "red where a difference is above 0");
        Assert.All(new[] { "first", "second", "share", "difference of shares" }, label =>
            Assert.Single(drawn.Descendants(Svg + "text"), text => text.Value == label));
        var page = XDocument.Parse(figure.ToSvg(standalone: false));
        Assert.Equal(["first", "second"], page.Descendants("p").Select(p => p.Value));
    }

    /// <summary>Coinciding lines are drawn once, and the panel names all of them; the same holds for flat lines that cross.</summary>
    [Fact]
    public void LinesOnOneAnother_AreNamed()
    {
        double[] x = [0, 1, 2];
        LineFigure Of(params LineSeries[] series) => new("f", [new("p", series) { YRange = (0, 1) }]);
        var drawn = XDocument.Parse(Of(new("a", x, [0.93, 0.95, 0.92]), new("b", x, [0.95, 0.92, 0.94]), new("c", x, [0.9, 0.5, 0.1]),
            new("d", x, [0.9, 0.51, 0.1]), new("e", x, [0.9, 0.55, 0.1])).ToSvg(standalone: true));
        Assert.Equal(3 * 3, Markers(drawn));
        string[] notes = [.. drawn.Descendants(Svg + "text").Select(t => t.Value).Where(t =>
            t.Contains("drawn once", StringComparison.Ordinal))];
        Assert.Equal(["Flat near 0.93 (at most 0.03 apart), drawn once: a; b",
            "On one line (at most 0.01 apart), drawn once: c; d"], notes);
        Assert.Contains(drawn.Descendants(Svg + "title"), t => t.Value.StartsWith("a, b\n", StringComparison.Ordinal));
        // Other places are not mentioned.
        Assert.DoesNotContain("drawn once", Of(new("a", x, [0, 0, 0]), new("b", [0, 1, 3], [0, 0, 0])).ToSvg(standalone: true),
            StringComparison.Ordinal);
    }

    /// <summary>
    /// The band of a single point has no width, so its interval is drawn as a whisker, and there is no tick where nothing was measured.
    /// </summary>
    [Fact]
    public void SinglePoint_HasItsIntervalAndOneTick()
    {
        var figure = new LineFigure("f", [new("p", [new("s", [500], [0.5]) { Low = [0.25], High = [0.75] }]) { YRange = (0, 1) }]);
        var drawn = XDocument.Parse(figure.ToSvg(standalone: true));
        var whisker = drawn.Descendants(Svg + "path").Single(p => (string?)p.Attribute("class") == "error s0");
        Assert.Matches(@"^M[\d.]+ [\d.]+V", (string)whisker.Attribute("d")!);
        Assert.Equal(["500"], drawn.Descendants(Svg + "text").Where(t => (string?)t.Attribute("class") == "tick mid").Select(t => t.Value));
        // Several whiskers are drawn next to each other.
        var several = XDocument.Parse(new LineFigure("f",
            [new("p", [new("s", [500], [0.5]), new("t", [500], [0.5])])]).ToSvg(standalone: true));
        Assert.Equal(2, Markers(several));
        Assert.Equal(2, several.Descendants(Svg + "path").Where(p => p.Element(Svg + "title") is not null).Select(p =>
            (string)p.Attribute("d")!).Distinct().Count());
    }

    [Theory]
    [InlineData(0, "0 everywhere")]
    [InlineData(0.0123, "at most 0.012 from 0")]
    [InlineData(0.5, null)]
    public void HeatMapWithoutColour_SaysWhatItHolds(double value, string? said)
    {
        var figure = new HeatMapFigure("f", [new("flat", new[,] { { value, 0 } }), new("other", new[,] { { 1.0, 0 } })]);
        var drawn = XDocument.Parse(figure.ToSvg(standalone: true)).Descendants(Svg + "text").Where(t =>
            ((string?)t.Attribute("class"))?.Contains("empty", StringComparison.Ordinal) == true);
        Assert.Equal(said is null ? [] : new[] { said }, drawn.Select(t => t.Value));
    }

    [Fact]
    public void EmptyPanel_SaysSo() =>
        Assert.Contains(Curves([], []).Descendants(Svg + "text"), text => text.Value == "no data");

    [Fact]
    public void ManyPoints_KeepAllTooltips()
    {
        double[] x = [.. Enumerable.Range(0, 500).Select(i => (double)i)];
        var drawn = Curves(x, x);
        Assert.Equal(500, drawn.Descendants(Svg + "title").Count() - 1);
        Assert.InRange(Markers(drawn), 30, 70);
    }

    [Fact]
    public void ValuesOutsideOfTheRange_AreCutOffAndNotMarked()
    {
        var figure = new LineFigure("f", [new("p", [new("s", [0, 1, 2], [0.5, 1e200, 0.5])]) { YRange = (0, 1) }]);
        var drawn = XDocument.Parse(figure.ToSvg(standalone: true));
        Assert.Equal(2, Markers(drawn));
        Assert.Single(drawn.Descendants(Svg + "svg").Attributes("overflow"));
    }

    [Fact]
    public void SameNames_OneLegend_OtherNames_OneEach()
    {
        LineSeries a = new("a", [0], [1]), b = new("b", [0], [1]);
        Assert.Equal(2, Legends(new LineFigure("f", [new("1", [a, b]), new("2", [a, b])])));
        Assert.Equal(3, Legends(new LineFigure("f", [new("1", [a, b]), new("2", [b])])));

        static int Legends(Figure figure) => XDocument.Parse(figure.ToSvg(standalone: false)).Descendants("li").Count();
    }

    /// <summary>What is measured has no curve, a formula no markers, and on logarithmic axes a power is straight.</summary>
    [Fact]
    public void MarkersAndCurve_OnLogarithmicAxes()
    {
        double[] x = [1, 2, 4, 8], squares = [1, 4, 16, 64];
        LineFigure Of(params LineSeries[] series) => new("f", [new("p", series) { Logarithmic = true }]);
        var drawn = XDocument.Parse(Of(new("m", x, squares) { Marks = SeriesMarks.Markers },
            new("c", x, squares) { Marks = SeriesMarks.Curve }).ToSvg(standalone: true));
        // Four in the plot; in the legend one marker and one line.
        Assert.Equal(4, Markers(drawn));
        var curves = drawn.Descendants(Svg + "path")
            .Where(path => ((string)path.Attribute("class")!).StartsWith("curve", StringComparison.Ordinal))
            .Select(path => (string)path.Attribute("d")!).ToList();
        Assert.Equal(2, curves.Count);
        double[][] points = [.. curves.Single(d => !d.Contains('H', StringComparison.Ordinal))[1..].Split('L')
            .Select(p => p.Split(' ').Select(double.Parse).ToArray())];
        Assert.All(points.Zip(points.Skip(1)),
            pair => Assert.Equal((points[1][1] - points[0][1]) / (points[1][0] - points[0][0]),
                (pair.Second[1] - pair.First[1]) / (pair.Second[0] - pair.First[0]), 0.01));
        Assert.Throws<ArgumentException>(() => Of(new LineSeries("zero", [0, 1], [1, 2])).ToSvg(standalone: true));
    }

    [Fact]
    public void SeriesOfOneName_LookTheSameInAllPanels()
    {
        LineSeries a = new("a", [0, 1], [1, 2]), b = new("b", [0, 1], [1, 2]);
        var drawn = XDocument.Parse(new LineFigure("f", [new("1", [a, b]), new("2", [b])]).ToSvg(standalone: true));
        var curves = drawn.Descendants(Svg + "path").Select(path => (string)path.Attribute("class")!)
            .Where(name => name.StartsWith("curve", StringComparison.Ordinal));
        Assert.Equal(["curve s0", "curve s1"], curves.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Bars_StandOnZeroInBothDirections()
    {
        var figure = new BarFigure("f", [new("p", ["0", "1", "2"], [new("s", [2, -2, double.NaN])])]);
        XElement[] bars =
            [.. XDocument.Parse(figure.ToSvg(standalone: true)).Descendants(Svg + "g").Where(g => g.Element(Svg + "title") is not null)];
        Assert.Equal(["s\n0: 2", "s\n1: \u22122"], bars.Select(bar => bar.Element(Svg + "title")!.Value));
        double[] tops = [.. bars.Select(bar => (double)bar.Element(Svg + "rect")!.Attribute("y")!)];
        double[] heights = [.. bars.Select(bar => (double)bar.Element(Svg + "rect")!.Attribute("height")!)];
        Assert.Equal(tops[1], tops[0] + heights[0], 0.011);
        Assert.Equal(heights[0], heights[1], 0.011);
    }

    [Theory]
    [InlineData(8, 8)]
    [InlineData(28, 28)]
    [InlineData(32, 32)]
    [InlineData(12, 40)]
    public void HeatMap_DrawsEveryCellAndEveryOutline(int layers, int heads)
    {
        var values = new double[layers, heads];
        values[0, 1] = -1;
        values[layers - 1, 0] = 1;
        values[1, 1] = double.NaN;
        HeadKind[] kinds = [new("hub", [(0, 0), (1, 2)]), new("vision", [(2, 3), (0, 0)]), new("text", [(layers - 1, heads - 1)])];
        var drawn = XDocument.Parse(new HeatMapFigure("f", [new("p", values) { Kinds = kinds }]).ToSvg(standalone: true));
        var cells = drawn.Descendants(Svg + "rect").Where(rect => rect.Element(Svg + "title") is not null)
            .ToDictionary(rect => rect.Element(Svg + "title")!.Value.Split(':')[0]);
        Assert.Equal(layers * heads, cells.Count);
        Assert.Equal("v0", (string?)cells["L0H1"].Attribute("class"));
        Assert.Equal("v20", (string?)cells["L0H2"].Attribute("class"));
        Assert.Equal("v40", (string?)cells[$"L{layers - 1}H0"].Attribute("class"));
        Assert.Equal("missing", (string?)cells["L1H1"].Attribute("class"));
        Assert.True((double)cells["L0H0"].Attribute("y")! > (double)cells["L1H0"].Attribute("y")!, "layer 0 belongs at the bottom");
        Assert.Equal("L0H0: 0 (hub, vision)", cells["L0H0"].Value);
        var outlines = drawn.Descendants(Svg + "path")
            .Where(path => ((string)path.Attribute("class")!).StartsWith("outline", StringComparison.Ordinal)).ToArray();
        Assert.Equal(5 + 3, outlines.Length);
        Assert.Equal(3, outlines.Select(path => (string)path.Attribute("class")!).Distinct().Count());
        Assert.Equal(3, outlines[^3..].Select(path => (string)path.Attribute("stroke-dasharray")!).Distinct().Count());
    }

    [Fact]
    public void Intervals_StandAtTheirValues_ARowEach()
    {
        Estimate[] first = [new(0.5, 0.25, 0.75, 4), new(double.NaN, double.NaN, double.NaN, 0)];
        Estimate[] second = [new(0, 0, 0.5, 4), new(1, 0.5, 1, 4)];
        var figure = new IntervalFigure("f", ["above", "below"], [new("a", first), new("b", second)]);
        var marks = XDocument.Parse(figure.ToSvg(standalone: true)).Descendants(Svg + "g").Where(g => g.Element(Svg + "title") is not null)
            .ToDictionary(g => g.Element(Svg + "title")!.Value);
        Assert.Equal(["a\nabove: 0.5 [0.25, 0.75]", "b\nabove: 0 [0, 0.5]", "b\nbelow: 1 [0.5, 1]"], marks.Keys);
        // M low y H high: the ends of each interval, on an axis from 0 to 1.
        double[][] lines = [.. marks.Values.Select(g => ((string)g.Element(Svg + "path")!.Attribute("d")!).Split('M', 'H', ' '))
            .Select(numbers => numbers.Skip(1).Take(3).Select(double.Parse).ToArray())];
        var (zero, one) = (lines[1][0], lines[2][2]);
        double Share(double x) => (x - zero) / (one - zero);
        Assert.Equal([0.25, 0.75], new[] { Share(lines[0][0]), Share(lines[0][2]) }.Select(v => Math.Round(v, 4)));
        Assert.Equal([0.5, 0.5], new[] { Share(lines[1][2]), Share(lines[2][0]) }.Select(v => Math.Round(v, 4)));
        Assert.True(lines[0][1] < lines[1][1] && lines[1][1] < lines[2][1]);
    }

    [Fact]
    public void ShareTable_PrintsEveryCount_AndTintsByShare()
    {
        var figure = new ShareTableFigure("f", ["r", "s"], ["one", "two words"], [[new(0, 4), new(4, 4)], [new(2, 4), new(0, 0)]]);
        var drawn = XDocument.Parse(figure.ToSvg(standalone: true));
        var cells = drawn.Descendants(Svg + "g").Where(g => g.Element(Svg + "title") is not null)
            .ToDictionary(
                g => g.Element(Svg + "title")!.Value,
                g => ((string)g.Element(Svg + "rect")!.Attribute("class")!, g.Element(Svg + "text")!.Value));
        // 20 is the colour of 0, 31 that of a full share: 0.55 of the scale, on which text can be read.
        Assert.Equal(("v20", "0 of 4"), cells["r, one: 0 of 4"]);
        Assert.Equal(("v31", "4 of 4"), cells["r, two words: 4 of 4"]);
        Assert.Equal(("v26", "2 of 4"), cells["s, one: 2 of 4"]);
        Assert.Equal(("v20", ""), cells["s, two words: 0 of 0"]);
    }

    [Fact]
    public void WrongData_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => Draw(new IntervalFigure("f", ["a"], [new("s", [])])));
        Assert.Throws<ArgumentException>(() => Draw(new ShareTableFigure("f", ["a"], ["b"], [[]])));
        Assert.Throws<ArgumentException>(() => Draw(new LineFigure("f", [new("p", [new("s", [1, 2], [1])])])));
        Assert.Throws<ArgumentException>(() => Draw(new LineFigure("f", [new("p", [new("s", [1], [1]) { Low = [1] }])])));
        Assert.Throws<ArgumentException>(() => Draw(new LineFigure("f", [new("p", []) { YRange = (1, 1) }])));
        Assert.Throws<ArgumentException>(() => Draw(new LineFigure("f", [new("p", [new("s", [], []) { Colour = 8 }])])));
        Assert.Throws<ArgumentException>(() => Draw(new BarFigure("f", [new("p", ["a"], [new("s", [1, 2])])])));
        Assert.Throws<ArgumentException>(() => Draw(new HeatMapFigure("f", []) { Limit = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            Draw(new HeatMapFigure("f", [new("p", new double[2, 2]) { Kinds = [new("k", [(2, 0)])] }])));
        Assert.Throws<ArgumentOutOfRangeException>(() => Draw(new LineFigure("f", []) { Columns = 5 }));

        static string Draw(Figure figure) => figure.ToSvg(standalone: true);
    }

    private static XDocument Curves(double[] x, double[] y) =>
        XDocument.Parse(new LineFigure("f", [new("p", [new("s", x, y)])]).ToSvg(standalone: true));

    /// <summary>Commands of the curves in the plot, without those of the legend: M1L3 is a curve of four points.</summary>
    private static IEnumerable<string> Shapes(XDocument drawn) => drawn.Descendants(Svg + "svg")
        .Where(svg => svg.Parent is not null).Descendants(Svg + "path")
        .Select(path => (string)path.Attribute("d")!).Select(d => $"M{d.Count(c => c == 'M')}L{d.Count(c => c == 'L')}");

    private static int Markers(XDocument drawn) =>
        drawn.Descendants(Svg + "path").Count(
            path => path.Element(Svg + "title") is not null && (string?)path.Attribute("class") != "target");

    private static void CheckNumbers(XElement root)
    {
        foreach (var attribute in root.DescendantsAndSelf().Attributes().Where(attribute => Geometry.Contains(attribute.Name.LocalName)))
        {
            if (attribute.Value == "none") continue;
            Assert.Matches(@"^(translate\(|rotate\(|[MLHVhvlaZ() \d.-])*$", attribute.Value);
            foreach (Match number in Regex.Matches(attribute.Value, @"-?\d[\d.]*"))
            {
                Assert.Matches(@"^-?\d{1,5}(\.\d{1,2})?$", number.Value);
                Assert.True(double.IsFinite(double.Parse(number.Value, CultureInfo.InvariantCulture)));
            }
        }
    }
}
