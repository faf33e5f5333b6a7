using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>What `ascope adjudicate` refuses: one line, exit code 2, no table.</summary>
public sealed class AdjudicateCommandTests : IDisposable
{
    private static readonly string Data = Path.Combine(Fixtures.Root, "data", "wired-conflicts");

    private readonly TempFolder _temp = new();

    [Fact]
    public void TwoModelsOfOneName_AreRefused()
    {
        Refused("expected every name once", Fixtures.Grown("wired-direct"), Fixtures.Grown("wired-direct"));
        Assert.False(Directory.Exists(_temp.File("out")));
    }

    [Theory]
    [InlineData("\"role\": \"carrier_question\"", "\"role\": \"judge\"", "heads[1].role: 'judge' is not supported")]
    [InlineData("\"head\": 1,", "\"head\": 0,", "expected every head once, found 0.0 twice")]
    [InlineData("\"head\": 3,", "\"head\": 7,", "expected one for each of 3 x 4 heads, found 12, up to 2.7")]
    [InlineData("\"heads\": [", "\"heads\": 3, \"others\": [", "heads: expected an array of objects")]
    [InlineData("{", "", "not valid JSON")]
    public void ATruthThatIsNone_IsRefused(string text, string other, string said)
    {
        Copy(Fixtures.Grown("wired-direct"), _temp.File("wired-direct"));
        var path = _temp.File("wired-direct/truth.json");
        var written = File.ReadAllText(path);
        Assert.Contains(text, written, StringComparison.Ordinal);
        File.WriteAllText(path, written.Replace(text, other, StringComparison.Ordinal));
        Refused(said, _temp.File("wired-direct"));
        Assert.False(File.Exists(_temp.File("out/adjudication.json")));
    }

    private void Refused(string said, params string[] models)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["adjudicate", "--quiet", .. models, "--data", Data, "--out", "out"]);
        Assert.Equal((2, ""), (exit, output));
        Assert.Contains(said, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    public void Dispose() => _temp.Dispose();
}
