namespace AnchorScope.Tests.Rules;

/// <summary>
/// Checks that every planted fault (tools/mutants) still matches the source. Running the faults takes an hour, and a site that no longer
/// exists would be found only then.
/// </summary>
public sealed class PlantedFaultTests
{
    private static readonly string List = File.ReadAllText(Path.Combine(Fixtures.Root, "tools", "mutants", "list.txt"));

    private static readonly Dictionary<char, string>[] Faults = [.. List.Split("\n\n").Where(block => block.StartsWith('=')).Select(block =>
        block.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToDictionary(line => line[0], line => line.Length > 2 ? line[2..] : ""))];

    [Fact]
    public void EverySite_IsThereOnce()
    {
        Assert.True(Faults.Length >= 60, $"{Faults.Length}");
        Assert.Equal(Faults.Length, Faults.Select(fault => fault['=']).Distinct().Count());
        Assert.All(Faults, fault => Assert.True(Sites(fault) == 1, $"{fault['=']}: {Sites(fault)} times: {fault['-']}"));
        Assert.All(Faults, fault => Assert.NotEqual(fault['-'], fault['+']));
    }

    [Fact]
    public void EveryTestClass_Exists()
    {
        var known = typeof(PlantedFaultTests).Assembly.GetTypes().Select(type => type.Name).ToHashSet(StringComparer.Ordinal);
        Assert.All(Faults.SelectMany(fault => fault['?'].Split(' ')), name => Assert.Contains(name, known));
    }

    private static int Sites(Dictionary<char, string> fault)
    {
        var file = fault['='][(fault['='].LastIndexOf(": ", StringComparison.Ordinal) + 2)..];
        return File.ReadAllText(Path.Combine(Fixtures.Root, "src", "AnchorScope", file)).Split(fault['-']).Length - 1;
    }
}
