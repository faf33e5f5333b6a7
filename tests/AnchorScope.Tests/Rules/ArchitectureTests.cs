using System.Text.RegularExpressions;

namespace AnchorScope.Tests.Rules;

/// <summary>
/// The order of namespaces and the line between data and tensors, as docs/architecture.md draws them, in what the compiler wrote.
/// </summary>
public sealed partial class ArchitectureTests
{
    private const string Root = "AnchorScope";

    /// <summary>Each may use those before it and no other.</summary>
    private static readonly string[] Order =
    [
        "Checkpoints", "Prompts.Tokenization", "Prompts.Jinja", "Prompts", "Metrics", "Figures", "Interventions", "Engines",
        "Tensors", "Models", "Readouts",
        "Conflicts", "Synthesis", "World", "Baking", "Optimization", "Studies", "Reports", "Wired", "Training", "Tuning",
    ];

    /// <summary>What is above the boundary: it describes runs as data and sees rows of floats. So do all commands and the server.</summary>
    private static readonly string[] Above =
        ["Prompts", "Metrics", "Figures", "Interventions", "Engines", "Readouts", "Conflicts", "World", "Studies", "Reports", "Wired"];

    /// <summary>How a model is opened and run. They have tensors; their members without one may be used above the boundary.</summary>
    private static readonly string[] Doors = ["AnchorScope.Models.VisionLanguageModel", "AnchorScope.Models.CpuEngine"];

    /// <summary>Known uses, each with its reason.</summary>
    private static readonly (string Type, string Uses)[] Known =
    [
        // A direction is learnt with the optimiser of training, which sums its gradients there.
        ("AnchorScope.Studies.LearntDirection", "AnchorScope.Tensors.Gradients"),
    ];

    private static readonly IReadOnlyDictionary<string, TypeUse> Library = CompiledTypes.Of(typeof(InputException).Assembly.Location);

    private static readonly IReadOnlyList<KeyValuePair<string, TypeUse>> Programs =
    [
        .. CompiledTypes.Of(typeof(AnchorScope.Cli.Opening).Assembly.Location),
        .. CompiledTypes.Of(typeof(AnchorScope.Server.Scheduling.Scheduler).Assembly.Location),
        .. CompiledTypes.Of(typeof(AnchorScope.Extensions.AI.AnchorScopeChatClient).Assembly.Location),
    ];

    /// <summary>The types of Tensors, and those of Models that have one in a field, at any depth.</summary>
    private static readonly HashSet<string> OfTensors = WithTensors();

    [Fact]
    public void NamespacesUseThoseBelowThemOnly()
    {
        var types = from type in Library
                    let own = Place(type.Key)
                    from used in type.Value.All
                    where used.StartsWith(Root + ".", StringComparison.Ordinal) && Place(used) > own
                    select $"{type.Key}: uses {used}, whose namespace stands after its own";
        // Constants are copied by the compiler, so only their using lines show where they are from.
        var folder = Path.Combine(Fixtures.Root, "src", Root);
        var usings = from path in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
                     where !path.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj")
                     let code = File.ReadAllText(path)
                     let own = Array.IndexOf(Order, Declared().Match(code).Groups["name"].Value)
                     from use in Usings().Matches(code)
                     let used = Order.Where(name => $"{use.Groups["name"].Value}.".StartsWith(name + ".", StringComparison.Ordinal))
                         .MaxBy(name => name.Length)
                     where Array.IndexOf(Order, used) > own
                     select $"{Path.GetFileName(path)}: {use.Value} stands after its own namespace";
        SourceRulesTests.Empty(types.Concat(usings));
    }

    [Fact]
    public void EveryNamespaceHasAPlace() => Assert.Equal(
        Order.Order(StringComparer.Ordinal),
        Library.Keys.Select(Space).Where(name => name.Length > 0).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));

    [Fact]
    public void NoTensorIsAboveTheBoundary() => SourceRulesTests.Empty(
        from type in Library.Where(type => Above.Contains(Space(type.Key).Split('.')[0])).Concat(Programs)
        from used in type.Value.All
        where OfTensors.Contains(used) && !Known.Contains((type.Key, used))
        select $"{type.Key}: {used}: describe the run as data (RunPlan, GradientPlan) and let the engine compute it");

    [Fact]
    public void KnownUses_AreStillThere() =>
        Assert.All(Known, known => Assert.Contains(known.Uses, Library[known.Type].All));

    /// <summary>What the rules look for is found: qualified names, lambdas, generic arguments, members of members.</summary>
    [Fact]
    public void TheScanSeesWhatIsNotSpeltOut()
    {
        var uses = CompiledTypes.Of(typeof(ArchitectureTests).Assembly.Location)[typeof(ArchitectureTests).FullName!].All;
        Assert.Contains("AnchorScope.Models.Decoder", uses);
        Assert.Contains("AnchorScope.Tensors.Rope", uses);
        Assert.Contains("AnchorScope.Tensors.Tensor", uses);
        Assert.Contains("AnchorScope.Tensors.Arena", uses);
        // By their fields; a door is none.
        Assert.Contains("AnchorScope.Models.RowBlock", OfTensors);
        Assert.Contains("AnchorScope.Models.ModelFamily", OfTensors);
        Assert.DoesNotContain("AnchorScope.Models.GenerationSettings", OfTensors);
        Assert.DoesNotContain(Doors[0], OfTensors);
    }

    private static HashSet<string> WithTensors()
    {
        var found = Library.Keys.Where(name => Space(name) == "Tensors").ToHashSet(StringComparer.Ordinal);
        int before;
        do
        {
            before = found.Count;
            found.UnionWith(Library.Where(type => Space(type.Key) == "Models" && !Doors.Contains(type.Key)
                && type.Value.Fields.Any(found.Contains)).Select(type => type.Key).ToList());
        }
        while (found.Count > before);
        return found;
    }

    private static bool IsOurs(string type) => type.StartsWith(Root + ".", StringComparison.Ordinal);

    /// <summary>The namespace below AnchorScope; empty for the root itself and for what the compiler adds.</summary>
    private static string Space(string type) =>
        IsOurs(type) && type.LastIndexOf('.') is var end && end > Root.Length ? type[(Root.Length + 1)..end] : "";

    /// <summary>Its namespace's place in the order; -1 for the root, which all may use and which uses none.</summary>
    private static int Place(string type) => Array.IndexOf(Order, Space(type));

    [GeneratedRegex(@"^namespace AnchorScope(\.(?<name>[\w.]+))?;",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Multiline, 1000)]
    private static partial Regex Declared();

    [GeneratedRegex(@"^using (static |\w+ = )?AnchorScope\.(?<name>[\w.]+);",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Multiline, 1000)]
    private static partial Regex Usings();

    /// <summary>Uses tensors in ways that no using line shows.</summary>
    private static class HiddenUses
    {
        public static int Chained(AnchorScope.Models.VisionLanguageModel model) => model.Decoder.Rope.Axes;

        public static Func<int> InALambda() => () => new List<AnchorScope.Tensors.Tensor>().Count;

        public static bool Tested(object value) => value is AnchorScope.Tensors.Arena;
    }
}
