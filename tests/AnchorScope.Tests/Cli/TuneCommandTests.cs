using System.Text.Json;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>docs/recipes/tune.md at a small size, and what is refused.</summary>
public sealed class TuneCommandTests : IDisposable
{
    private static readonly string[] Sets = ["--train", "learn", "--validate", "check", "--test", "unseen"];

    private static readonly Lazy<string> Template = new(
        () => Ascope.Run(Fixtures.Root, "inspect", Fixtures.Organism, "--heads-template", "2:0").Output);

    private readonly TempFolder _temp = new();

    [Fact]
    public void EveryCommandOfTheRecipe_Works()
    {
        var commands = File.ReadLines(Path.Combine(Fixtures.Root, "docs", "recipes", "tune.md"))
            .Where(line => line.StartsWith("    ascope ", StringComparison.Ordinal)).ToList();
        Assert.Equal(9, commands.Count);
        // Samples first: the first tuning of the recipe draws its own, as many as take a minute.
        foreach (var command in commands.OrderBy(c => !c.Contains(" data world ", StringComparison.Ordinal)))
        {
            var parts = command.Split(" > ");
            IEnumerable<string> arguments = parts[0].Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..].Select(word => word.Trim('"'))
                .Select(word => word.StartsWith("models/", StringComparison.Ordinal) ? Path.Combine(Fixtures.Root, word) : Hundredth(word));
            if (command.Contains(" tune ", StringComparison.Ordinal))
                arguments = [.. arguments, .. command.Contains("--train", StringComparison.Ordinal) ? [] : Sets, "--steps", "4", "--batch",
                    "4", "--measure-every", "2", "--random", "1", "--diagnose",
                    command.Contains("low-rank", StringComparison.Ordinal) ? "2" : "0"];
            var (exit, output, error) = Ascope.Run(_temp.Path, [.. arguments, "--quiet"]);
            Assert.True(exit == 0 && error.Length == 0, $"{command}: exit code {exit}: {error}");
            if (parts.Length > 1) File.WriteAllText(_temp.File(parts[1]), output);
        }
        using var tune = JsonDocument.Parse(File.ReadAllText(_temp.File("low-rank/tune.json")));
        var root = tune.RootElement;
        Assert.Equal(["baseline", "tuned", "plain_gain", "random/0", "full"],
            root.GetProperty("arms").EnumerateArray().Select(a => a.GetProperty("name").GetString()));
        Assert.Equal("low_rank 4", root.GetProperty("variants").GetProperty("learnt").GetString());
        Assert.Equal(3, root.GetProperty("circuit").GetProperty("named").GetArrayLength());
        Assert.Contains("control", root.GetProperty("sets").EnumerateArray().Where(s => !s.GetProperty("conflict").GetBoolean())
            .Select(s => s.GetProperty("name").GetString()));
        Assert.Contains("Measured effects and side effects", File.ReadAllText(_temp.File("low-rank/model/README.md")),
            StringComparison.Ordinal);
        Assert.Contains("Did the circuit move?", File.ReadAllText(_temp.File("low-rank/report.html")), StringComparison.Ordinal);
        Assert.Contains("Tuned (AnchorScope", File.ReadAllText(_temp.File("low-rank/diagnosis-after/report.html")),
            StringComparison.Ordinal);
        // Gains in a head set, baked: the checkpoint that tuning wrote.
        Assert.Equal(File.ReadAllBytes(_temp.File("tuned/model/model.safetensors")),
            File.ReadAllBytes(_temp.File("again/model.safetensors")));
        // The same command again does the same, and other settings are refused.
        string[] same = ["tune", "--heads", "heads.json", "--out", "tuned", .. Sets, "--batch", "4", "--measure-every", "2", "--random",
            "1", "--diagnose", "0", "--model", Path.Combine(Fixtures.Root, "models", "relay")];
        var before = File.ReadAllBytes(_temp.File("tuned/tune.json"));
        var (again, _, none) = Ascope.Run(_temp.Path, [.. same, "--steps", "4", "--threads", "1", "--quiet"]);
        Assert.Equal((0, ""), (again, none));
        Assert.Equal(before, File.ReadAllBytes(_temp.File("tuned/tune.json")));
        Assert.Contains("settings.json: belongs to another run: made with --steps 4, now with --steps 5; name another folder",
            Refused([.. same, "--steps", "5"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--out: expected a folder, found nothing")]
    [InlineData("no/such.json: the file cannot be read", "--out", "run", "--heads", "no/such.json")]
    [InlineData("--what: expected gain, slices or low-rank, found all", "--out", "run", "--what", "all")]
    [InlineData("--rank: expected at least 1, found 0", "--out", "run", "--rank", "0")]
    [InlineData("--rank: is that of low-rank additions; expected --what low-rank beside it, found gain", "--out", "run", "--rank", "2")]
    [InlineData("--measure-every: expected at most --steps, 3, found 4", "--out", "run", "--steps", "3", "--measure-every", "4")]
    [InlineData("--rate: expected a number above 0 and at most 1, found 2", "--out", "run", "--rate", "2")]
    [InlineData("--keep: expected a number of at least 0, found -1", "--out", "run", "--keep=-1")]
    [InlineData("--random: expected at least 0, found -1", "--out", "run", "--random=-1")]
    [InlineData("--diagnose: expected at least 0, found -1", "--out", "run", "--diagnose=-1")]
    [InlineData("--train, --validate and --test: expected all or none, found some", "--out", "run", "--train", "x")]
    [InlineData("expected a new or empty folder, found one with files in it; there is no settings.json of a tuning", "--out", ".")]
    [InlineData("no/such: there is no such data folder", "--out", "run", "--train", "x", "--validate", "x", "--test", "no/such")]
    [InlineData("no/such: expected a conflict set", "--out", "run", "--train", "no/such", "--validate", "x",
        "--test", "x", "--diagnose", "0")]
    [InlineData("head set of organism: expected one that was made for this model, found one for another: other weights", "--out", "run",
        "--model", "llava15", "--train", "x", "--validate", "x", "--test", "x", "--diagnose", "0")]
    public void WrongInput_IsOneLine_AndNothingIsLeft(string message, params string[] arguments)
    {
        File.WriteAllText(_temp.File("heads.json"), Template.Value);
        string[] model = arguments.Contains("llava15") ? [] : ["--model", Fixtures.Organism];
        string[] heads = arguments.Contains("--heads") ? [] : ["--heads", "heads.json"];
        Assert.Contains(message, Refused(["tune", .. heads, .. model, .. arguments.Select(a => a == "llava15" ? Fixtures.Path(a) : a)]),
            StringComparison.Ordinal);
        Assert.Equal(["heads.json"], Directory.EnumerateFileSystemEntries(_temp.Path).Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public void SetsWithoutOneKind_AreRefused_OrDoneWithout()
    {
        File.WriteAllText(_temp.File("heads.json"), Template.Value);
        string[] none = ["--rank", "0", "--test", "0", "--heldout", "0", "--inertia", "0"];
        Ascope.Run(_temp.Path, ["data", "world", "--out", "hard", .. none, "--hard", "3", "--control", "0"]);
        Ascope.Run(_temp.Path, ["data", "world", "--out", "control", .. none, "--hard", "0", "--control", "3"]);
        string[] Arguments(string train) =>
            ["tune", "--model", Fixtures.Organism, "--heads", "heads.json", "--train", train, "--validate", "hard", "--test", "hard",
                "--out", "run", "--diagnose", "0", "--steps", "1", "--batch", "2", "--random", "0", "--no-full", "--what", "slices"];
        Assert.Contains("--train: control: expected samples with a conflict, found none", Refused(Arguments("control")),
            StringComparison.Ordinal);
        Assert.Contains("--train: hard: expected samples without a conflict",
            Refused(Arguments("hard/hard.jsonl")).Replace("hard/hard.jsonl", "hard", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.False(Path.Exists(_temp.File("run")));
        var (exit, _, error) = Ascope.Run(_temp.Path, [.. Arguments("hard/hard.jsonl"), "--keep", "0"]);
        Assert.Equal((0, ""), (exit, error));
        Assert.Equal(0, Ascope.Run(_temp.Path, "verify-baked", "--model", Fixtures.Organism, "--baked", "run/model").ExitCode);
    }

    private string Refused(params string[] arguments)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, arguments);
        Assert.Equal(2, exit);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("ascope: ", line, StringComparison.Ordinal);
        return line;
    }

    /// <summary>As few samples as take seconds: 3 for 300.</summary>
    private static string Hundredth(string word) => word.Length == 3 && word.EndsWith("00", StringComparison.Ordinal) ? word[..1] : word;

    public void Dispose() => _temp.Dispose();
}
