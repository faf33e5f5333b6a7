using System.Diagnostics;

namespace AnchorScope.Tests.Rules;

/// <summary>The samples run as a user runs them, and README shows the first one as it is.</summary>
public sealed class SampleTests
{
    [Fact]
    public void FirstReading_BlocksAHeadAndReadsTheLens()
    {
        var lines = Run("FirstReading");
        Assert.Equal(["after layer 6: 0.420 green", "answer: green", "answer: orange"], [lines[0], .. lines[^2..]]);
        Assert.Equal(5, lines.Length);
    }

    [Fact]
    public void ManyAnswers_AreOfTheirInterventions() => Assert.Equal(
        [
            "baseline: purple (Length)", "the instruction does not attend to the note: yellow (Length)",
            "the last position does not attend to the instruction: heart (Length)", "the arbiters are blocked: green (Length)",
        ],
        Run("ManyAnswers"));

    [Fact]
    public void ReadmeAndPackage_ShowTheFirstSample()
    {
        var code = File.ReadAllText(Path.Combine(Fixtures.Root, "samples", "FirstReading", "Program.cs")).ReplaceLineEndings("\n");
        var indented = string.Concat(code.TrimEnd().Split('\n').Select(line => line.Length == 0 ? "\n" : $"    {line}\n"));
        Assert.Contains(indented, File.ReadAllText(Path.Combine(Fixtures.Root, "README.md")).ReplaceLineEndings("\n"),
            StringComparison.Ordinal);
        // Twelve lines after the namespaces.
        Assert.InRange(code.Split('\n').Count(line => line.Length > 0 && !line.StartsWith("using AnchorScope", StringComparison.Ordinal)),
            1, 12);
    }

    private static string[] Run(string name)
    {
        var folder = Path.Combine(Fixtures.Root, "samples", name, "bin");
        var built = Directory.EnumerateFiles(folder, $"AnchorScope.Samples.{name}.dll", SearchOption.AllDirectories)
            .MaxBy(File.GetLastWriteTimeUtc)!;
        using var process = Process.Start(new ProcessStartInfo("dotnet",
            [built]) { WorkingDirectory = Fixtures.Root, RedirectStandardOutput = true, UseShellExecute = false })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output.ReplaceLineEndings("\n").TrimEnd().Split('\n');
    }
}
