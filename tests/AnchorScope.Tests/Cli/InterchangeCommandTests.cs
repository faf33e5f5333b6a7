using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Cli;

/// <summary>Interchanges from the command line: a donor is traced, and its file is read by trace and by sweep.</summary>
public sealed class InterchangeCommandTests : IDisposable
{
    private const string Words = "text : the moon is pink , there are three , on night . which thing ? trust the note";

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private static string[] Arguments(string command, string prompt, params string[] more) =>
        [command, Fixtures.Grown("relay"), "--image", Path.Combine(Fixtures.Conflicts, "images", "test-0000.png"),
            "--prompt", prompt, .. more];

    private float[] Logits(string prompt, string output, params string[] more)
    {
        var (exit, _, error) = Ascope.Run(_temp.Path, Arguments("trace", prompt, [.. more, "--force", "--out", output]));
        Assert.Equal((0, ""), (exit, error));
        using var found = SafetensorsFile.Open(_temp.File(output));
        return found.ReadSingles("lm.logits");
    }

    private void Donor() => Logits("text : the leaf is blue , there are one , on sand . which thing ? trust the photo", "donor.safetensors",
        "--keep", "z,q,k,v,k_rope,attn");

    /// <summary>
    /// The donor's whole residual stream after the last layer, then each kind of interchange with the recipient's own values.
    /// </summary>
    [Fact]
    public void Trace_GivesTheDonorsValues()
    {
        Donor();
        var plain = Logits(Words, "own.safetensors", "--keep", "z,q,k,v,k_rope,attn");
        using (var donor = SafetensorsFile.Open(_temp.File("donor.safetensors")))
        {
            Assert.NotEqual(donor.ReadSingles("lm.logits"), plain);
            _temp.Write("edits.json",
                $$"""[{"kind":"interchange","site":"resid_post","layer":7,"positions":[{{string.Join(',', Enumerable.Range(0, 40))}}],"donor":"donor.safetensors"}]""");
            Assert.Equal(donor.ReadSingles("lm.logits"), Logits(Words, "out.safetensors", "--edits", "edits.json"));
        }
        string Edits(string donor) => JsonSerializer.Serialize((object[])
        [
            .. new[] { "z", "query", "key", "value", "pattern" }.Select(what => new { kind = "head_interchange", what, heads =
            new[] { new[] { 3, 1 }, [2, 7], [3, 0] }, positions = new[] { 39, 5, 20 }, donor }),
            new { kind = "edge_interchange", what = "both", layers = new[] { 4, 5 }, heads = new[] { 2 }, queries = new[] { 38, 39 }, keys =
            new[] { 20, 5 }, donor },
        ]);
        _temp.Write("edits.json", Edits("own.safetensors"));
        Assert.Equal(plain, Logits(Words, "out.safetensors", "--edits", "edits.json"));
        _temp.Write("edits.json", Edits(_temp.File("donor.safetensors")));
        Assert.NotEqual(plain, Logits(Words, "out.safetensors", "--edits", "edits.json", "--generate", "2"));
    }

    [Fact]
    public void GeneratedPositions_MayBeNamed()
    {
        _temp.Write("edits.json", """[{"kind":"sublayer_scale","layer":7,"sublayer":"mlp","positions":[39,40,41],"factor":0}]""");
        Logits(Words, "out.safetensors", "--edits", "edits.json", "--generate", "3");
        var (exit, _, error) = Ascope.Run(
            _temp.Path, Arguments("trace", Words, "--edits", "edits.json", "--generate", "1", "--force", "--out", "two.safetensors"));
        Assert.Equal(2, exit);
        Assert.Contains("0 to 39, found 41", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Sweep_ReadsDonors_PlannedAndNaiveAreTheSameBytes_AndGoesOn()
    {
        Donor();
        var plan = JsonSerializer.Serialize(new object[]
        {
            new { version = 1, name = "z", edits = new[] { new { kind = "head_interchange", what = "z", heads =
            new[] { new[] { 6, 4 }, [7, 7] }, positions = new[] { 39 }, donor = "donor.safetensors" } } },
            new { version = 1, name = "query", edits = new[] { new { kind = "head_interchange", what = "query", heads =
            new[] { new[] { 3, 3 }, [4, 5] }, positions = new[] { 36, 39 }, donor = "donor.safetensors" } } },
            new { version = 1, name = "edges", edits = new[] { new { kind = "edge_interchange", what = "value", layers =
            new[] { 2, 3, 4 }, queries = new[] { 36, 39 }, keys = new[] { 18, 19 }, donor = "donor.safetensors" } } },
            new { version = 1, name = "cut", edits = new[] { new { kind = "attention_cut", layers = new[] { 2, 3 }, queries =
            new[] { 36, 39 }, keys = new[] { 18, 19 } } } },
        });
        _temp.Write("plan.json", plan);
        string Rows(string file, params string[] more)
        {
            var (exit, _, error) = Ascope.Run(
                _temp.Path, Arguments("sweep", Words, ["--plan", "plan.json", "--quiet", "--logits", "5,7", "--out", file, .. more]));
            Assert.Equal((0, ""), (exit, error));
            return File.ReadAllText(_temp.File(file));
        }
        var planned = Rows("planned.jsonl");
        Assert.Equal(4, planned.Trim().Split('\n').Skip(1).Select(row => row[row.IndexOf("logits", StringComparison.Ordinal)..])
            .Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(planned, Rows("naive.jsonl", "--naive"));
        // What a stopped sweep leaves: the line that says what is run, and some rows.
        using (var model = VisionLanguageModel.Open(Fixtures.Grown("relay")))
        {
            using var arena = new Arena();
            using var team = new Team(1);
            var pixels = model.Preprocess([Picture.Load(Path.Combine(Fixtures.Conflicts, "images", "test-0000.png"))]);
            var prompt = model.Prompt([new ChatMessage("user", [new ImagePart(), new TextPart(Words)])], pixels,
                model.Engine.On(new Compute(arena, team)).Features(pixels));
            IReadOnlyList<Intervention> list = [Intervention.None,
                .. InterventionJson.LoadList(_temp.File("plan.json"), model.Decoder.Shape)];
            using var rows = SweepFile.Open(_temp.File("rows.jsonl"), model, prompt, list, [5, 7], heads: false);
            rows.Add([(0, System.Text.Encoding.UTF8.GetBytes(planned.Split('\n')[0]))]);
        }
        var before = File.ReadAllBytes(_temp.File("rows.jsonl.partial"));
        Assert.Equal(planned, Rows("rows.jsonl"));
        // Another donor under the same name is another sweep.
        File.WriteAllBytes(_temp.File("again.jsonl.partial"), before);
        Logits("text : the leaf is blue , there are one , on sand . which thing ? trust the note", "donor.safetensors",
            "--keep", "z,q,k,v,k_rope,attn");
        var (code, _, refused) = Ascope.Run(_temp.Path,
            Arguments("sweep", Words, "--plan", "plan.json", "--logits", "5,7", "--out", "again.jsonl"));
        Assert.Equal(2, code);
        Assert.Contains("belongs to another run: plan has changed", refused, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(""" "what":"z","heads":[[6,4]],"positions":[39],"donor":"none.safetensors" """,
        ".donor: expected a safetensors file of ascope trace, found no file")]
    [InlineData(""" "what":"z","heads":[[6,4]],"positions":[39],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.z: expected an array that ascope trace writes with --keep z, found none")]
    [InlineData(""" "what":"query","heads":[[6,4]],"positions":[43],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.q: expected position 43, found 40 positions")]
    [InlineData(""" "what":"query","heads":[[6,4],[6,4]],"positions":[39],"donor":"donor.safetensors" """,
        ".heads: expected each head once, found one twice")]
    [InlineData(""" "what":"query","heads":[[6,4]],"positions":[39],"donor":"donor.safetensors","rows":[[1]] """,
        ".donor: expected either donor or rows, found both")]
    [InlineData(""" "what":"queries","heads":[[6,4]],"positions":[39],"donor":"donor.safetensors" """,
        ".what: expected z, query, key, value or pattern, found queries")]
    [InlineData(""" "what":"query","heads":[[6,8]],"positions":[39],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.q: expected head 8, found 8 heads")]
    [InlineData(""" "what":"query","heads":[[8,0]],"positions":[39],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.q: expected layer 8, found 8 layers")]
    [InlineData(""" "what":"query","heads":[[6,4]],"positions":[50],"donor":"donor.safetensors","donor_positions":[3] """,
        "edit at layer 6, q_proj: position: expected one that the prompt has, 0 to 39, found 50")]
    [InlineData(""" "what":"query","heads":[[6,4]],"positions":[39],"donor":"donor.txt" """, "donor.txt")]
    public void WrongInterchange_IsOneLine(string fields, string message)
    {
        Logits(Words, "donor.safetensors", "--keep", "q");
        _temp.Write("donor.txt", "no safetensors");
        var edit = $$"""{"kind":"head_interchange",{{fields}}}""";
        foreach (var (command, option, json) in new[] { ("trace", "--edits", $"[{edit}]"),
            ("sweep", "--plan", $$"""[{"version":1,"name":"one","edits":[{{edit}}]}]""") })
        {
            _temp.Write("edits.json", json);
            var (exit, output, error) = Ascope.Run(_temp.Path, Arguments(command, Words, option, "edits.json", "--out", "out"));
            Assert.Equal((2, ""), (exit, output));
            Assert.StartsWith("ascope: ", error, StringComparison.Ordinal);
            Assert.Contains(message, error, StringComparison.Ordinal);
            Assert.Single(error.TrimEnd().Split('\n'));
            Assert.False(File.Exists(_temp.File("out")));
        }
    }
}
