using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>
/// Runs the commands of docs/recipes/interchange.md in order, unchanged, and compares their results with those stated there.
/// </summary>
public sealed class InterchangeRecipeTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void EveryCommand_Works_AndTheAnswersSwitch()
    {
        var answers = new List<string>();
        foreach (var line in File.ReadLines(Path.Combine(Fixtures.Root, "docs", "recipes", "interchange.md"))
            .Where(line => line.StartsWith("    ", StringComparison.Ordinal)).Select(line => line.Trim()))
        {
            if (line.StartsWith("echo '", StringComparison.Ordinal))
            {
                var parts = line.Split('\'');
                _temp.Write(parts[2].Trim(' ', '>'), parts[1]);
                continue;
            }
            var quoted = line.Split('"');
            var arguments = quoted.SelectMany((part, i) => i % 2 == 1 ? [part] : part.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .ToList();
            Assert.Equal("ascope", arguments[0]);
            var (exit, output, error) = Ascope.Run(_temp.Path,
                [.. arguments[1..].Select(
                    word => word.StartsWith("models/", StringComparison.Ordinal) || word.StartsWith("data/", StringComparison.Ordinal)
                        ? Path.Combine(Fixtures.Root, word) : word)]);
            Assert.True(exit == 0 && error.Length == 0, $"{line}: exit code {exit}: {error}");
            answers.Add(output.Split('\n')[0].Trim());
        }
        Assert.Equal(["green", "purple", "purple", "green", "green"], answers);
    }

    public void Dispose() => _temp.Dispose();
}
