using System.Diagnostics;
using System.Reflection;

namespace AnchorScope.Tests.Rules;

/// <summary>The samples run as a user runs them, and README shows the first one as it is.</summary>
public sealed class SampleTests
{
    /// <summary>Each takes a second or two; a machine that others use takes longer.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(3);

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
    public void ChatClient_AnswersAndIsSteered_AsItsRecipeShows()
    {
        Assert.Equal(["green: follows vision by 7.9", "blocked: orange"], Run("ChatClient"));
        var code = File.ReadAllText(Path.Combine(Fixtures.Root, "samples", "ChatClient", "Program.cs")).ReplaceLineEndings("\n");
        Assert.Contains($"```csharp\n{code}```", File.ReadAllText(Path.Combine(Fixtures.Root, "docs", "recipes", "chat-client.md"))
            .ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

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

    /// <summary>Runs the sample that was built together with this test: in the same configuration, for the same framework.</summary>
    private static string[] Run(string name)
    {
        var configuration = typeof(SampleTests).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        var framework = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var built = Path.Combine(Fixtures.Root, "samples", name, "bin", configuration, framework, $"AnchorScope.Samples.{name}.dll");
        Assert.True(File.Exists(built), $"{built} was not built");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [built])
            { WorkingDirectory = Fixtures.Root, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        if (!process.WaitForExit(Longest))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{name} has not ended within {Longest}");
        }
        Assert.True(process.ExitCode == 0, $"{name} ended with {process.ExitCode}: {error.Result}");
        return output.Result.ReplaceLineEndings("\n").TrimEnd().Split('\n');
    }
}
