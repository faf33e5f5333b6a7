using System.Diagnostics;
using System.Globalization;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>`ascope data world`: its folders go through a diagnosis, and what goes wrong leaves nothing.</summary>
public sealed class DataCommandTests : IDisposable
{
    private static readonly string[] Few = ["--rank", "4", "--test", "4", "--heldout", "4", "--hard", "8",
        "--inertia", "0", "--control", "12"];

    private readonly TempFolder _temp = new();

    [Fact]
    public void Folder_GoesThroughDiagnose()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["data", "world", .. Few, "--seed", "3", "--out", "world"]);
        Assert.Equal((0, ""), (exit, error));
        Assert.Equal("world: rank 4, test 4, heldout 4, hard 8, control 12 samples, 28 pictures", output.Trim());
        Assert.Equal(["control.jsonl", "hard.jsonl", "heldout.jsonl", "images", "prompt.json", "rank.jsonl", "test.jsonl"],
            Directory.GetFileSystemEntries(_temp.File("world")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        (exit, _, error) = Ascope.Run(_temp.Path, "diagnose", "--model", Fixtures.Organism, "--quiet", "--data", "world", "--draws", "1",
            "--windows", "3", "--gains", "2", "--out", "out");
        Assert.Equal((0, ""), (exit, error));
        Assert.True(File.Exists(Path.Combine(_temp.File("out"), "report.html")));
    }

    [Fact]
    public void ASplitAlone_IsDiagnosedInHalves()
    {
        Assert.Equal(0, Ascope.Run(_temp.Path, "data", "world", "--heldout", "8", "--rank", "0", "--test", "0", "--hard", "0", "--inertia",
            "0", "--control", "0", "--out", "unseen").ExitCode);
        var (exit, _, error) = Ascope.Run(_temp.Path, "diagnose", "--model", Fixtures.Organism, "--data", "unseen", "--draws", "1",
            "--windows", "3", "--gains", "2", "--out", "out");
        Assert.Equal(0, exit);
        Assert.Contains("unseen: 4 rank, 4 test", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--seed", "-1")]
    [InlineData("--seed", "one")]
    [InlineData("--rank", "-1")]
    [InlineData("--test", "many")]
    [InlineData("--heldout", "1.5")]
    [InlineData("--hard", "100001")]
    [InlineData("--sigma", "high")]
    [InlineData("--sigma", "0.1-0.2-0.3")]
    [InlineData("--sigma", "0.2-0.1")]
    [InlineData("--sigma", "0.1-")]
    [InlineData("--sigma", "2")]
    [InlineData("--sigma", "NaN")]
    public void WrongOptions_AreOneLineThatNamesThem(string option, string value)
    {
        var line = Refused("data", "world", "--out", "world", option, value);
        Assert.StartsWith($"ascope: {option}: expected ", line, StringComparison.Ordinal);
        Assert.Contains(", found ", line, StringComparison.Ordinal);
    }

    [Fact]
    public void NoSamplesAtAll_AreRefused() =>
        Assert.Contains("expected at least one sample",
            Refused("data", "world", "--out", "world", "--rank", "0", "--test", "0", "--heldout", "0", "--hard", "0", "--inertia", "0",
                "--control", "0"), StringComparison.Ordinal);

    [Fact]
    public void AFolderWithFiles_IsLeftAlone()
    {
        _temp.Write("notes.txt", "mine");
        var (exit, _, error) = Ascope.Run(_temp.Path, ["data", "world", .. Few, "--out", "."]);
        Assert.Equal(2, exit);
        Assert.Contains("expected a new or empty folder, found one with files in it", error, StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(_temp.File("notes.txt")));
        Assert.Single(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    [Fact]
    public async Task Terminated_NothingIsLeft()
    {
        if (OperatingSystem.IsWindows()) return; // no such signal
        using var process = Ascope.Start(_temp.Path, "data", "world", "--test", "100000", "--out", "world");
        while (!process.HasExited && !Directory.EnumerateFiles(_temp.Path, "test-*.png", SearchOption.AllDirectories).Any())
            await Task.Delay(10);
        using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]))
            await kill.WaitForExitAsync();
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(130, process.ExitCode);
        Assert.Contains("ascope: stopped; world was not written", error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
    }

    private string Refused(params string[] arguments)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal(2, exit);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
        return line;
    }

    public void Dispose() => _temp.Dispose();
}
