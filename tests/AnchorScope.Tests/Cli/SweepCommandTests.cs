using System.Text.Json;
using AnchorScope.Interventions;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>
/// The sweep from the command line, on the first organism: the same bytes planned and naive, and one clear line for what is wrong.
/// </summary>
public sealed class SweepCommandTests : IDisposable
{
    private const string Prompt = "text : the moon is pink , there are three , on night . which thing ? take the picture not the message";

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private static string[] Arguments(params string[] more) =>
        ["sweep", Fixtures.Organism, "--image", Path.Combine(Fixtures.Conflicts, "images", "test-0000.png"), "--prompt", Prompt, .. more];

    private string[] Rows(string file, params string[] more)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, Arguments([.. more, "--out", file]));
        Assert.Equal((0, ""), (exit, error));
        return File.ReadAllLines(_temp.File(file));
    }

    [Theory]
    [InlineData("last")]
    [InlineData("instruction")]
    [InlineData("all")]
    [InlineData("20,24-27")]
    public void PlannedAndNaive_AreTheSameBytes(string positions)
    {
        var planned = Rows("planned", "--heads", "all", "--positions", positions, "--factor", "0", "--logits", "7,3,7", "--threads", "2");
        Assert.Equal(Rows("naive", "--heads", "all", "--positions", positions, "--factor", "0", "--logits", "7,3", "--threads",
            "1", "--naive"), planned);
        var (layer, head) = (0, 0);
        using var plain = JsonDocument.Parse(planned[0]);
        Assert.Equal("baseline", plain.RootElement.GetProperty("name").GetString());
        Assert.Equal(["7", "3"], plain.RootElement.GetProperty("logits").EnumerateObject().Select(p => p.Name));
        foreach (var line in planned[1..])
        {
            using var row = JsonDocument.Parse(line);
            if (row.RootElement.GetProperty("layer").GetInt32() != layer) (layer, head) = (layer + 1, 0);
            Assert.Equal(
                (layer, head++), (row.RootElement.GetProperty("layer").GetInt32(), row.RootElement.GetProperty("head").GetInt32()));
            Assert.Equal(["7", "3"], row.RootElement.GetProperty("logits").EnumerateObject().Select(p => p.Name));
            Assert.True(row.RootElement.GetProperty("argmax").GetInt32() >= 0);
        }
        Assert.True(planned.Distinct(StringComparer.Ordinal).Count() > 1);
    }

    [Fact]
    public void Plan_TakesAnyListOfInterventions()
    {
        Intervention[] list = [Intervention.HeadGain("two heads", [(1, 0), (2, 1)], 0),
            Intervention.Knockout("window", [2, 3], Positions.Of(30), Positions.Range(0, 16)), Intervention.HeadGain(3, 0, 1.5f)];
        _temp.Write(
            "plan.json", "[" + string.Join(',', list.Select(i => System.Text.Encoding.UTF8.GetString(InterventionJson.Write(i)))) + "]");
        var planned = Rows("planned", "--plan", "plan.json");
        Assert.Equal(Rows("naive", "--plan", "plan.json", "--naive"), planned);
        Assert.Equal(list.Select(i => i.Name).Prepend("baseline"),
            planned.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("name").GetString()));
    }

    [Fact]
    public void Explain_SaysWhatThePlanSaves_AndRunsNothing()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, Arguments("--heads", "all", "--explain"));
        Assert.Equal((0, ""), (exit, error));
        foreach (var word in new[] { "rows x layers", "GFLOP", "weights read", "passes", "rows a pass" })
            Assert.Contains(word, output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_temp.Path));
    }

    [Theory]
    [InlineData("--heads: expected all, or layer:head pairs like 1:2,3:0, found 1.2", "--heads", "1.2")]
    [InlineData("--heads: expected each head once, found 1:2 2 times", "--heads", "1:2,1:2")]
    [InlineData("layer: expected one that the model has", "--heads", "99:0")]
    [InlineData("head: expected one that the model has", "--heads", "0:99")]
    [InlineData("--positions: expected positions of the prompt", "--heads", "all", "--positions", "3,4000")]
    [InlineData("--positions: expected last, instruction, all, or a list", "--heads", "all", "--positions", "first")]
    [InlineData("--logits: expected tokens of the vocabulary", "--heads", "all", "--logits", "1000000")]
    [InlineData("--logits: expected ids of tokens", "--heads", "all", "--logits", "red")]
    [InlineData("--memory: expected at least", "--heads", "all", "--memory", "1KB")]
    [InlineData("--threads: expected at least 1", "--heads", "all", "--threads", "0")]
    [InlineData("--factor: expected a finite number", "--heads", "all", "--factor", "NaN")]
    [InlineData("one of --heads and --plan")]
    [InlineData("one of --heads and --plan", "--heads", "all", "--plan", "plan.json")]
    [InlineData("none.json: there is no such file for --plan", "--plan", "none.json")]
    [InlineData("expected a folder to write into, found nothing", "--heads", "all", "--out", "no/such/rows.jsonl")]
    public void WrongInput_IsOneLine_AndNothingIsLeft(string message, params string[] more)
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, Arguments(more.Contains("--out") ? more : [.. more, "--out", "rows.jsonl"]));
        Assert.Equal((2, ""), (exit, output));
        Assert.StartsWith("ascope: ", error, StringComparison.Ordinal);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
        Assert.Empty(Directory.GetFiles(_temp.Path));
    }

    [Fact]
    public void LogitsBeyondFloat32_AreNull_AndSaid()
    {
        var (exit, output, error) = Ascope.Run(_temp.Path, "sweep", Fixtures.Grown("relay"), "--image",
            Path.Combine(Fixtures.Conflicts, "images", "test-0001.png"), "--prompt",
            "message : star , purple , one , night . what colour is it ? trust the picture", "--heads", "2:1", "--factor", "1e38",
            "--positions", "all", "--out", "rows.jsonl");
        Assert.Equal(0, exit);
        Assert.Contains("warning: 1 variant has logits beyond the range of float32, which are null in rows.jsonl", error,
            StringComparison.Ordinal);
        Assert.EndsWith("\"argmax\":null}\n", File.ReadAllText(_temp.File("rows.jsonl")), StringComparison.Ordinal);
        Assert.StartsWith("rows.jsonl: 2 variants", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "at least one intervention")]
    [InlineData("{}", "a JSON list of interventions")]
    [InlineData("[7]", "[0]")]
    [InlineData("[{\"version\": 3, \"edits\": []}]", "[0].version")]
    [InlineData("[{\"version\": 1, \"edits\": [{\"kind\": \"fly\"}]}]", "[0].edits[0]")]
    [InlineData("[{\"version\": 1, \"name\": \"a\", \"edits\": [{\"kind\": \"head_scale\", \"layer\": 0, \"factor\": 0}]}, {\"version\": "
        + "1, \"name\": \"a\", \"edits\": [{\"kind\": \"head_scale\", \"layer\": 0, \"factor\": 0}]}]", "2 called")]
    [InlineData("[{\"version\": 1, \"name\": \"baseline\", \"edits\": [{\"kind\": \"head_scale\", \"layer\": 0, \"factor\": 0}]}]",
        "name: expected another name: the run without edits is called so, found baseline")]
    [InlineData("[", "not valid JSON")]
    public void WrongPlan_NamesThePlace(string json, string message)
    {
        _temp.Write("plan.json", json);
        var (exit, _, error) = Ascope.Run(_temp.Path, Arguments("--plan", "plan.json", "--out", "rows.jsonl"));
        Assert.Equal(2, exit);
        Assert.Contains("plan.json", error, StringComparison.Ordinal);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }
}
