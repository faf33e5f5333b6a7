using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Interventions;

/// <summary>Directions: as edits, as a file, and named in an edits file.</summary>
public sealed class DirectionTests : IDisposable
{
    private static readonly DecoderShape Shape = new(4, 6, 3, 8, 48, 100);

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private static DonorRows Row(float first, int rows = 1, int width = 8) =>
        new([.. Enumerable.Range(0, rows * width).Select(i => first + i / width * 10 + i % width / 100f)], rows);

    private static Direction ByPosition => new("query_position",
    [
        new DirectionPart(Site.QueryProj, 1, 4, SpanKind.Instruction, Row(1, rows: 2), ByPosition: true),
        new DirectionPart(Site.QueryProj, 1, 0, SpanKind.Instruction, Row(100)),
        new DirectionPart(Site.QueryProj, 1, 0, SpanKind.Suffix, Row(200)),
        new DirectionPart(Site.QueryProj, 3, 2, SpanKind.Suffix, Row(300)),
    ]);

    private static IReadOnlyList<int> Spans(SpanKind span) => span switch
    {
        SpanKind.Instruction => [5, 6, 7],
        SpanKind.Suffix => [8],
        _ => [],
    };

    [Fact]
    public void ADirection_IsAnEditForEachLayer_WithARowForEachPosition()
    {
        var edits = ByPosition.At("turn", -2, Spans).Edits;
        Assert.Equal([1, 3], edits.Select(e => e.Layer));
        var edit = edits[0];
        Assert.Equal((Site.QueryProj, Operation.Add, -2f), (edit.Site, edit.Operation, edit.Factor));
        Assert.Equal([0, 4], edit.Heads);
        Assert.Equal([5, 6, 7, 8], edit.Positions.List);
        // Head 0 has one row for the span; head 4 has one row for the last position, one for the second-to-last, and none for earlier ones.
        Assert.Equal(Row(100)[0], edit.Rows![0][..8]);
        Assert.All(edit.Rows[0][8..].ToArray(), v => Assert.Equal(0, v));
        Assert.Equal(Row(1, 2)[1], edit.Rows[1][8..]);
        Assert.Equal(Row(1, 2)[0], edit.Rows[2][8..]);
        Assert.Equal(Row(200)[0], edit.Rows[3][..8]);
        Assert.All(edit.Rows[3][8..].ToArray(), v => Assert.Equal(0, v));
        Assert.Equal([8], edits[1].Positions.List);
        new Intervention("turn", edits).Validate(Shape, 9);
    }

    [Fact]
    public void APartWithoutASpan_ActsAtEveryPosition()
    {
        var direction = new Direction("everywhere",
            [new DirectionPart(Site.QueryProj, 1, 4, null, Row(1)), new DirectionPart(Site.ResidPre, 2, null, null, Row(2, width: 48))]);
        var edits = direction.At("turn", 0.5f, _ => []).Edits;
        Assert.Equal(
            [
                new Edit(Site.QueryProj, 1, Operation.Add) { Heads = [4], Factor = 0.5f, Vector = Row(1)[0].ToArray() },
                new Edit(Site.ResidPre, 2, Operation.Add) { Factor = 0.5f, Vector = Row(2, width: 48)[0].ToArray() },
            ], edits);
    }

    [Fact]
    public void ADirectionThatReachesNoPosition_IsRefused() =>
        Assert.Contains("expected positions of instruction or suffix, found none in this prompt",
            Assert.Throws<InputException>(() => ByPosition.At("turn", 1, _ => [])).Message, StringComparison.Ordinal);

    private static readonly ModelIdentity Fitted = new(new string('a', 64), new SortedDictionary<string, string> { ["config.json"] = "5" });

    private DirectionFile Saved(string name = "directions.safetensors")
    {
        var file = new DirectionFile
        {
            Path = _temp.File(name), Model = Fitted, TokenizerHash = "b", DatasetHash = "c",
            Directions = new Dictionary<string, BoundedDirection>(StringComparer.Ordinal)
            {
                ["query_position"] = new(ByPosition, -1.5, 2),
                ["everywhere"] = new(new Direction("everywhere", [new DirectionPart(Site.ResidPre, 2, null, null, Row(2, width: 48))]), -4,
                    4),
            },
        };
        file.Save("tiny");
        return file;
    }

    [Fact]
    public void WhatIsSaved_IsRead()
    {
        var saved = Saved();
        var read = DirectionFile.Load(saved.Path);
        Assert.Empty(saved.Model.ChangesSince(read.Model));
        Assert.Equal(saved.Model.Files, read.Model.Files);
        Assert.Equal(("b", "c"), (read.TokenizerHash, read.DatasetHash));
        Assert.Equal(["everywhere", "query_position"], read.Directions.Keys.Order(StringComparer.Ordinal));
        Assert.Equal((-1.5, 2), (read.Directions["query_position"].Lowest, read.Directions["query_position"].Highest));
        Assert.Equal(ByPosition.At("turn", 1, Spans).Edits, read.Directions["query_position"].Direction.At("turn", 1, Spans).Edits);
    }

    [Fact]
    public void AnEditsFile_TakesADirection_AtThePositionsThatItNames()
    {
        Saved();
        var edits = Parse(
            """[{"kind":"direction","file":"directions.safetensors","name":"query_position","strength":-1.5,"at":{"instruction":[7,5,6],"suffix":[8]}}]""").Edits;
        Assert.Equal(ByPosition.At("turn", -1.5f, Spans).Edits, edits);
        Assert.Equal(edits, InterventionJson.Parse(InterventionJson.Write(new Intervention("turn", edits)), "edits.json").Edits);
        Assert.Equal(2,
            Parse(
                """[{"kind":"direction","file":"directions.safetensors","name":"query_position","strength":3,"beyond_bounds":true,"at":{"suffix":[8]}}]""").Edits.Count);
        Assert.True(
            Parse("""[{"kind":"direction","file":"directions.safetensors","name":"everywhere","strength":1}]""").Edits[0].Positions.IsAll);
    }

    [Theory]
    [InlineData("""{"file":"none.safetensors","name":"query_position","strength":1,"at":{"suffix":[8]}}""",
        "none.safetensors: file: expected directions.safetensors of ascope steer, found no such file")]
    [InlineData("""{"file":"directions.safetensors","name":"other","strength":1,"at":{"suffix":[8]}}""",
        "edits[0].name: expected everywhere, query_position, found other")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":2.5,"at":{"suffix":[8]}}""",
        "edits[0].strength: expected a strength of query_position within its bounds, -1.5 to 2, found 2.5")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":0,"at":{"suffix":[8]}}""",
        "expected a finite strength other than 0, found 0")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","at":{"suffix":[8]}}""",
        "edits[0].strength: expected a finite number, found nothing")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":1}""", "edits[0].at: expected positions by span")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":1,"at":{"question":[8]}}""",
        "edits[0].at.question: expected spans of query_position: instruction, suffix")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":1,"at":{"suffix":[-1]}}""",
        "edits[0].at.suffix: expected positions from 0 on, found -1")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":1,"at":{}}""",
        "edits[0].at: expected at least one span, found none")]
    [InlineData("""{"file":"directions.safetensors","name":"everywhere","strength":1,"at":{"suffix":[8]}}""", "edits[0].at: expected none")]
    [InlineData("""{"file":"directions.safetensors","name":"query_position","strength":1,"beyond_bounds":1,"at":{"suffix":[8]}}""",
        "edits[0].beyond_bounds: expected true or false, found 1")]
    public void WhatDoesNotFit_IsNamed(string json, string named)
    {
        Saved();
        Assert.Contains(named,
            Assert.Throws<InputException>(
                () => Parse($"[{json.Replace("{\"file", "{\"kind\":\"direction\",\"file", StringComparison.Ordinal)}]")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void DirectionsOfOtherWeights_AreRefused()
    {
        Saved();
        var e = Assert.Throws<InputException>(() => InterventionJson.Parse(
            Encoding.UTF8.GetBytes("""[{"kind":"direction","file":"directions.safetensors","name":"everywhere","strength":1}]"""),
            _temp.File("edits.json"), Shape, Fitted with { Weights = new string('d', 64) }));
        Assert.Contains("expected one that was made for this model, found one for another: other weights (sha256 aaaaaaaaaaaa then, "
            + "dddddddddddd now)", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("format", "other", "query_position/q_proj/1/4/suffix/position",
        "__metadata__.format: expected ascope directions, found other")]
    [InlineData("version", "2", "query_position/q_proj/1/4/suffix/position", "__metadata__.version: expected 1, found 2")]
    [InlineData("query_position.lowest", "low", "query_position/q_proj/1/4/suffix/position",
        "__metadata__.query_position.lowest: expected a number, found low")]
    [InlineData("x", "", "query_position/q_proj/1/4/suffix", "expected a name NAME/SITE/LAYER/HEAD/SPAN/KIND")]
    [InlineData("x", "", "query_position/attn/1/4/suffix/position", "expected a site that a vector can be added to, found attn")]
    [InlineData("x", "", "query_position/q_proj/one/4/suffix/position", "expected whole numbers for layer and head, found one")]
    [InlineData("x", "", "query_position/q_proj/1/4/end/position", "expected a span, or all, found end")]
    [InlineData("x", "", "query_position/q_proj/1/4/all/span", "expected one row for every position, found 2 rows")]
    [InlineData("x", "", "query_position/q_proj/1/4/suffix/span", "expected one row for the whole span, found 2 rows")]
    [InlineData("x", "", "query_position/q_proj/1/4/suffix/end", "expected span or position, found end")]
    [InlineData("x", "", "other/q_proj/1/4/suffix/position", "__metadata__.other.lowest: expected what ascope steer writes, found nothing")]
    public void AFileThatIsNone_IsNamed(string field, string value, string tensor, string named)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = "ascope directions", ["version"] = "1", ["revision"] = "a", ["tokenizer_hash"] = "b", ["dataset_hash"] = "c",
            ["query_position.lowest"] = "-1", ["query_position.highest"] = "1",
        };
        metadata[field] = value;
        SafetensorsWriter.Write(_temp.File("d.safetensors"), [TensorData.Of(tensor, new float[16], 2, 8)], metadata);
        Assert.Contains(named, Assert.Throws<InputException>(() => DirectionFile.Load(_temp.File("d.safetensors"))).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("d/q_proj/1/4/suffix/position", "d/q_proj/1/all/suffix/position", "d/q_proj/1: expected heads, or all, found both")]
    [InlineData("d/q_proj/1/4/suffix/position", "d/q_proj/2/4/all/span", "d: expected parts that all act everywhere, or none, found both")]
    public void PartsThatDoNotGoTogether_AreNamed(string first, string second, string named)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = "ascope directions", ["version"] = "1", ["revision"] = "a", ["tokenizer_hash"] = "b", ["dataset_hash"] = "c",
            ["d.lowest"] = "-1", ["d.highest"] = "1",
        };
        SafetensorsWriter.Write(_temp.File("d.safetensors"),
            [TensorData.Of(first, new float[8], 1, 8), TensorData.Of(second, new float[8], 1, 8)], metadata);
        Assert.Contains(named, Assert.Throws<InputException>(() => DirectionFile.Load(_temp.File("d.safetensors"))).Message,
            StringComparison.Ordinal);
    }

    private Intervention Parse(string json) => InterventionJson.Parse(Encoding.UTF8.GetBytes(json), _temp.File("edits.json"), Shape);
}
