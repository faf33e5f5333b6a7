using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>The main job on a tiny random checkpoint of every family: it runs to a report, and the report claims nothing.</summary>
public sealed class FamilyDiagnosisTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public static TheoryData<string> Models => new(
        "llava15", "llava15-gqa-f16-sharded", "qwen25vl", "qwen25vl-tied-bf16", "qwen2vl", "internvl3", "internvl3-qknorm-rms",
        "llava-onevision", "smolvlm", "internvl3-remote");

    [Theory]
    [MemberData(nameof(Models))]
    public void RandomModel_FollowsNothing(string name)
    {
        var folder = name == "internvl3-remote" ? PromptParityTests.RemoteWithTemplate(_folder) : Fixtures.Path(name);
        using var study = new DiagnosisStudy(
            new DiagnosisOptions { Model = folder, Data = Fixtures.Conflicts, Limit = 6, Windows = [3], Draws = 1, Gains = [2] });
        using var store = ResultStore.Open(_folder.File("results.jsonl"), resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        // Six samples are too few to say even that there is nothing.
        Assert.All(found.Findings, f => Assert.Equal(FindingStatus.Unclear, f.Status));
        // Every part of the prompt is where the template put it, in every family.
        foreach (var span in new[] { "image", "text_context", "question", "instruction", "suffix", "last" })
            Assert.NotEmpty(found.Prompt.Spans[span]);
        DiagnosisReport.Write(_folder.Path, found, Fixtures.Conflicts);
        Assert.True(File.Exists(_folder.File("report.html")));
    }

    [Fact]
    public void WithoutTemplate_NothingIsBegun()
    {
        var output = _folder.File("out");
        var (exit, _, error) = Ascope.Run(_folder.Path, "diagnose", "--model", Fixtures.Path("internvl3-remote"), "--data",
            Fixtures.Conflicts, "--out", output);
        Assert.Equal(2, exit);
        Assert.Contains("no chat template", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(output));
        Assert.Equal(0, Ascope.Run(_folder.Path, "inspect", Fixtures.Path("internvl3-remote")).ExitCode);
    }

    public void Dispose() => _folder.Dispose();
}
