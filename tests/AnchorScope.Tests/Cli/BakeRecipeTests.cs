using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>Runs the commands of docs/recipes/bake.md in order, unchanged.</summary>
public sealed class BakeRecipeTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void EveryCommand_Works()
    {
        var commands = File.ReadLines(Path.Combine(Fixtures.Root, "docs", "recipes", "bake.md"))
            .Where(line => line.StartsWith("    ascope ", StringComparison.Ordinal)).ToList();
        Assert.Equal(6, commands.Count);
        foreach (var command in commands)
        {
            var parts = command.Split(" > ");
            var arguments = parts[0].Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..].Select(word => word.Trim('"'))
                .Select(word => word.StartsWith("models/", StringComparison.Ordinal) || word.StartsWith("data/", StringComparison.Ordinal)
                    ? Path.Combine(Fixtures.Root, word) : word);
            var (exit, output, error) = Ascope.Run(_temp.Path, [.. arguments, "--quiet"]);
            Assert.True(exit == 0 && error.Length == 0, $"{command}: exit code {exit}: {error}");
            if (parts.Length > 1) File.WriteAllText(_temp.File(parts[1]), output);
        }
        Assert.Contains("2 heads of relay times 0, folded into the weights", File.ReadAllText(_temp.File("blocked/report.html")),
            StringComparison.Ordinal);
    }

    public void Dispose() => _temp.Dispose();
}
