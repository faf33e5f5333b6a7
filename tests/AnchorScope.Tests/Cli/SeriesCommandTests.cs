using System.Text.Json;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>A series of checkpoints that training kept, the first of which have fewer layers.</summary>
public sealed class SeriesCommandTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void EveryCheckpointIsDiagnosed_AndAnInterruptedSeriesGoesOn()
    {
        Assert.Equal(0, Ascope.Run(_temp.Path, "train", Path.Combine(Fixtures.Root, "recipes", "small.json"), "--template",
            Fixtures.Organism, "--out", "run", "--series", "20").ExitCode);
        string[] diagnose = ["diagnose", "--series", Path.Combine("run", "series"), "--data", Fixtures.Conflicts, "--limit", "4", "--draws",
            "1", "--windows", "3", "--quiet", "--out", "out"];
        var (exit, output, error) = Ascope.Run(_temp.Path, diagnose);
        Assert.Equal((0, ""), (exit, error));
        string[] names = ["000040-lower", "000060-upper", "000080-shrink"];
        Assert.All(names, name => Assert.Contains(name + ": MFR", output, StringComparison.Ordinal));
        Assert.All(names, name => Assert.True(File.Exists(Path.Combine(_temp.File("out"), name, "report.html"))));
        var bytes = File.ReadAllBytes(_temp.File("out/series.json"));
        using (var json = JsonDocument.Parse(bytes))
        {
            var points = json.RootElement.GetProperty("points").EnumerateArray().ToList();
            Assert.Equal(["40 lower 2", "60 upper 3", "80 shrink 3"],
                points.Select(p => $"{p.GetProperty("step")} {p.GetProperty("stage").GetString()} {p.GetProperty("layers")}"));
        }
        Assert.True(File.Exists(_temp.File("out/report.html")) && File.Exists(_temp.File("out/figures/series.svg"))
            && File.Exists(_temp.File("out/series.csv")));

        // A second run is refused; a resumed one keeps what is finished and computes what is missing: a whole checkpoint, and the end of
        // another.
        (exit, _, error) = Ascope.Run(_temp.Path, diagnose);
        Assert.Equal(2, exit);
        Assert.Contains("expected a new or empty folder, found one with files in it", error, StringComparison.Ordinal);
        File.Delete(_temp.File("out/series.json"));
        Directory.Delete(_temp.File("out/000080-shrink"), recursive: true);
        var rows = DiagnosisFolder.Results(_temp.File("out/000060-upper"));
        File.WriteAllBytes(rows, File.ReadAllBytes(rows)[..5000]);
        Assert.Equal(0, Ascope.Run(_temp.Path, [.. diagnose, "--resume"]).ExitCode);
        Assert.Equal(bytes, File.ReadAllBytes(_temp.File("out/series.json")));

        (exit, _, error) = Ascope.Run(_temp.Path, [.. diagnose, "--resume", "--seed", "1"]);
        Assert.Equal(2, exit);
        Assert.Contains("made with --seed 0, now with --seed 1", error, StringComparison.Ordinal);
    }

    [Fact]
    public void CheckpointsAreInTheOrderOfTheirSteps()
    {
        foreach (var name in new[] { "checkpoint-1000", "checkpoint-200", ".checkpoint-300.partial", "000030-lower" })
        {
            Directory.CreateDirectory(_temp.File(name));
            if (name[0] != '.') File.WriteAllText(Path.Combine(_temp.File(name), "config.json"), "{}");
        }
        Assert.Equal([(30, "lower"), (200, ""), (1000, "")], SeriesCheckpoint.In(_temp.Path).Select(c => (c.Step, c.Stage)));
    }

    [Fact]
    public void WrongInput_IsOneLine_AndNothingIsLeft()
    {
        Refused("there is no such folder of checkpoints", "none");
        Directory.CreateDirectory(_temp.File("empty"));
        Refused("empty: folders: expected checkpoints with their step in their names, as ascope train --series keeps them, found none",
            "empty");
        Directory.CreateDirectory(_temp.File("run/series"));
        Refused("name: expected one with the number of the step in it, found series", "run");
        Directory.CreateDirectory(_temp.File("some/step-5"));
        Refused("config.json: expected a checkpoint, found none", "some");
        Refused("expected no --model beside it", "some", "--model", Fixtures.Organism);
    }

    private void Refused(string message, string series, params string[] more)
    {
        var (exit, _, error) = Ascope.Run(
            _temp.Path, ["diagnose", "--series", series, "--data", Fixtures.Conflicts, "--out", "out", .. more]);
        Assert.Equal(2, exit);
        Assert.Contains(message, Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.False(Path.Exists(_temp.File("out")), "a folder was left behind");
    }

    public void Dispose() => _temp.Dispose();
}
