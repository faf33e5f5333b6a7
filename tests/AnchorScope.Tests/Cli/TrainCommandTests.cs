using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>docs/recipes/train.md at a small size.</summary>
public sealed class TrainCommandTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private static string Recipe => Path.Combine(Fixtures.Root, "recipes", "small.json");

    public void Dispose() => _temp.Dispose();

    [Fact]
    public void ARecipe_BecomesAModel_ThatOtherCommandsTake()
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, "train", Recipe, "--template", Fixtures.Grown("relay"), "--out",
            "run", "--series", "10");
        Assert.Equal((0, ""), (exit, error));
        Assert.Equal(6, Directory.GetDirectories(Path.Combine(_temp.File("run"), "series")).Length);
        foreach (var folder in Directory.GetDirectories(Path.Combine(_temp.File("run"), "series"))
            .Append(Path.Combine(_temp.File("run"), "model")))
        {
            var (inspected, output, _) = Ascope.Run(_temp.Path, "inspect", folder);
            Assert.Equal(0, inspected);
            Assert.Contains("LLaVA-1.5", output, StringComparison.Ordinal);
            // The template's own training record is not copied.
            foreach (var file in new[] { "provenance.json", "curve.svg", "curve.jsonl" })
                Assert.False(File.Exists(Path.Combine(folder, file)), file);
        }
        // The same command again finds nothing to do.
        Assert.Equal(0, Ascope.Run(_temp.Path, "train", Recipe, "--template", Fixtures.Grown("relay"), "--out", "run").ExitCode);
    }

    [Theory]
    [InlineData("--out: expected a folder, found nothing")]
    [InlineData("--threads: expected at least 1, found 0", "--out", "run", "--threads", "0")]
    [InlineData("--series: expected at least 1, found 0", "--out", "run", "--series", "0")]
    public void WrongInput_IsOneLine_AndNothingIsLeft(string message, params string[] more)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, ["train", Recipe, "--template", Fixtures.Organism, .. more]);
        Assert.Equal((2, ""), (exit, output));
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
        Assert.Empty(Directory.GetFileSystemEntries(_temp.Path));
    }

    [Fact]
    public void ARecipeThatIsNotThere_OrATemplateOfAnotherFamily_IsOneLine()
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, "train", "none.json", "--template", Fixtures.Organism, "--out", "run");
        Assert.Equal(2, exit);
        Assert.Contains("none.json: the file cannot be read", error, StringComparison.Ordinal);
        (exit, _, error) = Ascope.Run(_temp.Path, "train", Recipe, "--template", Fixtures.Path("qwen25vl"), "--out", "other");
        Assert.Equal(2, exit);
        Assert.Single(error.TrimEnd().Split('\n'));
        Assert.Contains("config.json: model_type: expected llava, the family that a recipe grows, found qwen2_5_vl", error,
            StringComparison.Ordinal);
        (exit, _, error) = Ascope.Run(_temp.Path, "train", Recipe, "--template", "nowhere", "--out", "other");
        Assert.Equal(2, exit);
        Assert.Contains("cannot be read", error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_temp.Path));
    }
}
