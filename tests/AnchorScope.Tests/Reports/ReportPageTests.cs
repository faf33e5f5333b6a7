using System.Xml.Linq;
using AnchorScope.Figures;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Studies;
using AnchorScope.Tuning;

namespace AnchorScope.Tests.Reports;

/// <summary>The pages of all commands, made from small results.</summary>
public sealed class ReportPageTests(SmallRun run) : IClassFixture<SmallRun>, IDisposable
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private readonly TempFolder _temp = new();

    [Fact]
    public void Diagnosis_KeepsTheLaws()
    {
        var found = run.Study.Reduce(run.Store, run.Plan) with { Warnings = ["Beware of what follows."] };
        DiagnosisFiles.Write(_temp.Path, found, run.Study.Arbiters(found.Interchange), run.Study.Necessary(run.Store, run.Plan));
        foreach (var name in new[] { "results.jsonl", "manifest.json" }) File.WriteAllText(_temp.File(name), "");
        DiagnosisReport.Write(_temp.Path, found, Fixtures.Conflicts);
        var page = PageLaws.Check(_temp.Path);
        // The most important facts come first.
        var main = page.Descendants("main").Single().Elements().ToList();
        Assert.Equal(("header", "note warning"), (main[0].Name.LocalName, (string)main[1].Attribute("class")!));
        Assert.Contains("Beware of what follows.", main[1].Value, StringComparison.Ordinal);
    }

    /// <summary>A row of maps: the original picture, both instructions, and their difference.</summary>
    [Fact]
    public void Reading_HasTheOriginalAndTheDifferenceInEveryRow()
    {
        var found = run.Study.Reduce(run.Store, run.Plan);
        var figures = ReadingFigures.Of(found, Fixtures.Conflicts).ToDictionary();
        Assert.Equal(["reading-instruction", "reading-last"], figures.Keys);
        var panels = ((OverlayFigure)figures["reading-instruction"]).Panels;
        Assert.All(panels.Chunk(4), row =>
        {
            Assert.Equal(["picture", "told to trust the picture", "told to trust the text", "difference"], row.Select(p => p.Title));
            Assert.Equal([true, false, false, false], row.Select(p => p.Row is not null));
            Assert.Empty(row[0].Values);
            Assert.True(row[3].IsDifference);
            for (var i = 0; i < row[3].Values.Count; i++) Assert.Equal(row[1].Values[i] - row[2].Values[i], row[3].Values[i], 1e-12);
        });
        Assert.Equal(panels.Count / 4, panels.Select(p => p.Row).OfType<string>().Distinct().Count());
    }

    [Fact]
    public void Series_KeepsTheLaws()
    {
        SeriesReport.Write(_temp.Path, Series(10, 20));
        Assert.Contains("2 checkpoints, steps 10 to 20", PageLaws.Check(_temp.Path).ToString(), StringComparison.Ordinal);
    }

    /// <summary>One checkpoint: markers with their intervals, one tick, and no sentence that compares.</summary>
    [Fact]
    public void SeriesOfOnePoint_IsDrawn()
    {
        SeriesReport.Write(_temp.Path, Series(500));
        var page = PageLaws.Check(_temp.Path);
        Assert.Contains("1 checkpoint, step 500;", page.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("first checkpoint", page.Root!.Value, StringComparison.Ordinal);
        var figure = XDocument.Load(_temp.File("figures/series.svg"));
        Assert.DoesNotContain(figure.Descendants(Svg + "text"), t => t.Value == "no data");
        var first = figure.Descendants(Svg + "g").First(g => g.Descendants(Svg + "text").Any(t => t.Value == "Does it follow?"));
        Assert.Equal(["500"],
            first.Descendants(Svg + "text").Where(t => (string?)t.Attribute("class") == "tick mid"
                && t.Value.All(char.IsAsciiDigit)).Select(t => t.Value));
        Assert.Contains(first.Descendants(Svg + "path"), p =>
            ((string?)p.Attribute("class"))?.StartsWith("error", StringComparison.Ordinal) == true);
        Assert.Contains(first.Descendants(Svg + "path"), p => p.Element(Svg + "title") is not null);
    }

    [Fact]
    public void Steering_KeepsTheLaws()
    {
        SteeringReport.Write(_temp.Path, SteeringSample.Of(testRuns: 160, failed: 1));
        Assert.Contains("160 test runs, 1 of which does not follow its instruction", PageLaws.Check(_temp.Path).ToString(),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "all of which follow their instruction")]
    [InlineData(2, "2 of which do not follow their instruction")]
    public void Steering_CountsFailedRuns(int failed, string text)
    {
        SteeringReport.Write(_temp.Path, SteeringSample.Of(testRuns: 160, failed));
        Assert.Contains(text, File.ReadAllText(_temp.File("report.html")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "0 random sets to compare with are too few")]
    [InlineData(1, "1 random set to compare with is too few")]
    [InlineData(18, "18 random sets to compare with are too few")]
    public void Steering_CountsDraws(int draws, string text) =>
        Assert.Contains(text, SteeringReport.Findings(SteeringSample.Of(160, 1, draws)).Single().Text, StringComparison.Ordinal);

    [Fact]
    public void Tuning_KeepsTheLaws()
    {
        var result = TuningSample.Of(heads: [new HeadId(1, 2)]);
        TuningFiles.Write(_temp.Path, result);
        TuningReport.Write(_temp.Path, result);
        Assert.Contains("What does 1 tuned head of m change?", PageLaws.Check(_temp.Path).Root!.Value, StringComparison.Ordinal);
    }

    public void Dispose() => _temp.Dispose();

    private TrainingSeries Series(params int[] steps)
    {
        var found = run.Study.Reduce(run.Store, run.Plan);
        foreach (var step in steps)
        {
            Directory.CreateDirectory(_temp.File($"{step:000000}-upper"));
            File.WriteAllText(_temp.File($"{step:000000}-upper/report.html"), "");
        }
        return new TrainingSeries(3, found.Tool, found.Data, found.Variants, found.Seed,
            [.. steps.Select(step => SeriesPoint.Of(new SeriesCheckpoint("", $"{step:000000}-upper", step, "upper"), found))]);
    }
}
