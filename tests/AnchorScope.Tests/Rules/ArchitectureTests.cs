using System.Text.RegularExpressions;

namespace AnchorScope.Tests.Rules;

/// <summary>The order of namespaces and the line between data and tensors, as docs/architecture.md draws them.</summary>
public sealed partial class ArchitectureTests
{
    /// <summary>Each may use those before it and no other.</summary>
    private static readonly string[] Order =
    [
        "Checkpoints", "Prompts.Jinja", "Prompts.Tokenization", "Prompts", "Metrics", "Figures", "Interventions", "Engines",
        "Tensors", "Models", "Readouts",
        "Conflicts", "Synthesis", "World", "Baking", "Optimization", "Studies", "Reports", "Wired", "Training", "Tuning",
    ];

    /// <summary>What is above the boundary: it describes runs as data and sees rows of floats.</summary>
    private static readonly string[] Above =
        ["Prompts", "Metrics", "Figures", "Interventions", "Engines", "Readouts", "Conflicts", "World", "Studies", "Reports", "Wired"];

    private static readonly string Library = Path.Combine(Fixtures.Root, "src", "AnchorScope");

    private static readonly (string Name, string Code)[] Files = [.. Directory.EnumerateFiles(Library, "*.cs", SearchOption.AllDirectories)
        .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))
        .Select(path => (Path.GetRelativePath(Library, path).Replace('\\', '/'), Comment().Replace(File.ReadAllText(path), "")))];

    [Fact]
    public void NamespacesUseThoseBelowThemOnly()
    {
        var found = from file in Files
                    let own = Place(Declared().Match(file.Code).Groups["name"].Value)
                    from use in Uses().Matches(file.Code)
                    let used = Place(use.Groups["name"].Value)
                    where used > own
                    select $"{file.Name}: uses {Order[used]}, which stands after {(own < 0 ? "the root" : Order[own])}";
        SourceRulesTests.Empty(found.Distinct());
    }

    [Fact]
    public void EveryNamespaceHasAPlace() => Assert.Equal(
        [.. Order.Order(StringComparer.Ordinal)],
        Files.Select(f => Declared().Match(f.Code).Groups["name"].Value).Where(name => name.Length > 0).Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal));

    [Fact]
    public void NoTensorIsAboveTheBoundary()
    {
        var found = from file in Files
                    where Above.Contains(Declared().Match(file.Code).Groups["name"].Value.Split('.')[0])
                    from word in TensorWords().Matches(file.Code)
                    select $"{file.Name}: {word.Value}: describe the run as data (RunPlan, GradientPlan) and let the engine compute it";
        SourceRulesTests.Empty(found.Distinct());
    }

    /// <summary>Its place in the order; -1 for the root, which all may use and which uses none.</summary>
    private static int Place(string name) => Array.FindIndex(Order, o => o == name || (o == "Prompts" && name == "Prompts"));

    [GeneratedRegex(@"//[^\n]*", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Comment();

    [GeneratedRegex(@"^namespace AnchorScope(\.(?<name>[\w.]+))?;",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Multiline, 1000)]
    private static partial Regex Declared();

    [GeneratedRegex(
        @"^using (static )?AnchorScope\.(?<name>[\w.]+?)(\.\w+)?;|(?<![\w.])(AnchorScope\.)?(?<name>Studies|Reports|Tuning|Training|"
            + @"Baking)\.[A-Z]\w+[.(<]", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Multiline, 1000)]
    private static partial Regex Uses();

    [GeneratedRegex(@"(?<![\w.""])((Tensor|Compute|Arena|Team|Pass|RowBlock|Tape|CpuSession|RecordedRun)(?=[ ?\[\]>(,;.])|KeyValues(?=[ "
        + @"?\[\]>,;.]))", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex TensorWords();
}
