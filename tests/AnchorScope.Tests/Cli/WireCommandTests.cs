using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>`ascope wire`: what it writes where, and what it refuses.</summary>
public sealed class WireCommandTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void ANamedModel_AndTheConflicts_AreWrittenOnce()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, "wire", "--out", "out", "wired-direct");
        Assert.Equal((0, ""), (exit, error));
        Assert.Equal(2, output.Trim().Split('\n').Length);
        Assert.Equal(["wired-direct"], Directory.GetDirectories(_temp.File("out/models")).Select(Path.GetFileName));
        Assert.True(File.Exists(_temp.File("out/data/wired-conflicts/test.jsonl")));
        (exit, _, error) = Ascope.Run(_temp.Path, "wire", "--out", "out", "wired-direct");
        Assert.Equal(2, exit);
        Assert.Contains("expected a new or empty folder", error, StringComparison.Ordinal);
    }

    [Fact]
    public void AModelThatIsNotThere_IsNamed_AndNothingIsWritten()
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, "wire", "--out", "out", "wired-wrong");
        Assert.Equal(2, exit);
        Assert.Contains("found wired-wrong", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_temp.File("out")));
    }

    public void Dispose() => _temp.Dispose();
}
