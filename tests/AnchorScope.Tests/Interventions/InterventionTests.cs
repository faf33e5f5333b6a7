using System.Text;
using AnchorScope.Interventions;

namespace AnchorScope.Tests.Interventions;

public sealed class InterventionTests
{
    private static readonly DecoderShape Shape = new(Layers: 4, Heads: 6, KeyHeads: 3, HeadSize: 8, ModelSize: 48, MlpSize: 100);

    private static Intervention Parse(string json) => InterventionJson.Parse(Encoding.UTF8.GetBytes(json), "edits.json");

    [Fact]
    public void PublicForm_IsRead()
    {
        var cut = Parse("""[{"kind":"attention_cut","layers":[0,1,2],"queries":[35],"keys":[5,6],"heads":null}]""");
        Assert.Equal([0, 1, 2], cut.Edits.Select(e => e.Layer));
        Assert.All(cut.Edits,
            e => Assert.True(e is { Site: Site.AttnScores, Operation: Operation.Set, Heads: null } && e.Positions.Equals(Positions.Of(35))
                && e.Keys.Equals(Positions.Of(5, 6))));
        var scale = Assert.Single(Parse("""[{"kind":"head_scale","layer":1,"head":3,"positions":null,"factor":0.0}]""").Edits);
        Assert.True(scale is { Site: Site.HeadOut, Layer: 1, Operation: Operation.Scale, Factor: 0f } && scale.Positions.IsAll
            && scale.Heads!.Single() == 3);
    }

    [Fact]
    public void Writing_AndReading_GiveTheSame()
    {
        var vector = Enumerable.Range(0, 48).Select(i => i / 7f).ToArray();
        var all = new Intervention(
            "everything",
            new Edit(Site.AttnScores, 2, Operation.Set) { Positions = Positions.Of(7, 9), Keys = Positions.Of(1), Heads = [4] },
            new Edit(Site.HeadOut, 1, Operation.Scale) { Heads = [0, 5], Factor = 2.5f },
            new Edit(Site.HeadOut, 1, Operation.Scale) { Components = [17], Factor = 0 },
            new Edit(Site.MlpOut, 3, Operation.Scale) { Factor = 0 },
            new Edit(Site.NeuronOut, 0, Operation.Scale) { Components = [99], Factor = -1, Positions = Positions.Of(3) },
            new Edit(Site.ResidPost, 2, Operation.Add) { Vector = vector, Factor = 0.25f },
            new Edit(Site.ResidMid, 1, Operation.Set) { Vector = vector, Positions = Positions.Of(4) });
        var bytes = InterventionJson.Write(all);
        var read = InterventionJson.Parse(bytes, "everything.json");
        Assert.Equal(bytes, InterventionJson.Write(read));
        Assert.Equal(all.Name, read.Name);
        Assert.Equal(all.Edits.Select(e => (e.Site, e.Layer, e.Operation, e.Factor, e.Positions, e.Keys)),
            read.Edits.Select(e => (e.Site, e.Layer, e.Operation, e.Factor, e.Positions, e.Keys)));
        Assert.Equal(vector, read.Edits[^1].Vector);
        Assert.Equal(all.Edits, read.Edits);
    }

    [Theory]
    [InlineData("""{"kind":"head_scale"}""", "version")]
    [InlineData("""[{"kind":"head_scale","layer":1,"head":3}]""", "edits[0].factor")]
    [InlineData("""[{"kind":"head_scale","layer":1.5,"head":3,"factor":2}]""", "edits[0].layer")]
    [InlineData("""[{"kind":"head_scale","layer":1,"head":3,"factor":1}]""",
        "edits[0].factor: expected a number other than 1: times 1 does nothing, found 1")]
    [InlineData("""[{"kind":"sublayer_scale","layer":1,"sublayer":"mlp","factor":1.0}]""",
        "edits[0].factor: expected a number other than 1")]
    [InlineData("""[{"kind":"steer","layer":1,"vector":[0,0,-0.0]}]""", "edits[0].vector: expected a number other than 0")]
    [InlineData("""[{"kind":"steer","layer":1,"vector":[1],"factor":0}]""", "edits[0].factor: expected a number other than 0")]
    [InlineData("""[{"kind":"head_scale","layer":1,"head":3,"facter":2}]""",
        "edits[0].facter: expected only layer, head, heads, components, positions, factor in head_scale, found this field; "
            + "did you mean factor?")]
    [InlineData("""[{"kind":"head_scal","layer":1,"head":3,"factor":2}]""", "found head_scal; did you mean head_scale?")]
    [InlineData("""[{"kind":"head_scale","layer":1,"head":3,"heads":[1],"factor":2}]""", "edits[0].heads")]
    [InlineData("""[{"kind":"headscale","layer":1}]""", "head_scale")]
    [InlineData("""[{"kind":"attention_cut","layers":[0],"queries":[],"keys":[1]}]""", "edits[0].queries")]
    [InlineData("""[{"kind":"attention_cut","layers":[0],"query":[3],"keys":[1]}]""", "edits[0].query")]
    [InlineData("""[{"kind":"attention_cut","layers":[0],"queries":[-3],"keys":[1]}]""", "-3")]
    [InlineData("""[{"kind":"patch","site":"attn_scores","layer":0,"vector":[1]}]""", "edits[0].site")]
    [InlineData("""[{"kind":"steer","layer":0,"vector":["a"]}]""", "edits[0].vector")]
    [InlineData("""[{"kind":"steer","site":"attn","layer":0,"vector":[1]}]""", "edits[0].site")]
    [InlineData("""[{"kind":"attention_boost","layers":[0],"queries":[3],"keys":[1]}]""", "edits[0].add")]
    [InlineData("""[{"kind":"attention_boost","queries":[3],"keys":[1],"add":1}]""", "edits[0].layers")]
    [InlineData("""[{"kind":"attention_boost","layers":[],"queries":[3],"keys":[1],"add":1}]""",
        "edits[0].layers: expected at least one layer, found an empty list")]
    [InlineData("""[{"kind":"attention_cut","layers":"all","queries":[3],"keys":[1]}]""",
        "edits[0].layers: expected a list of layers, found \"all\"")]
    [InlineData("""[{"kind":"attention_boost","layers":[0],"queries":[3],"keys":[1],"add":0}]""",
        "edits[0].add: expected a number other than 0")]
    [InlineData("""[1]""", "edits[0]")]
    [InlineData("""nonsense""", "not valid JSON")]
    public void WhatIsNotUnderstood_IsNamed(string json, string named)
    {
        var e = Assert.Throws<InputException>(() => Parse(json));
        Assert.Contains("edits.json", e.Message, StringComparison.Ordinal);
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }

    public static TheoryData<Edit, string> Refused => new()
    {
        { new Edit(Site.HeadOut, 4, Operation.Scale), "layer: expected one that the model has, 0 to 3, found 4" },
        { new Edit(Site.HeadOut, -1, Operation.Scale), "layer -1" },
        { new Edit(Site.HeadOut, 0, Operation.Scale) { Heads = [6] }, "head: expected one that the model has, 0 to 5, found 6" },
        { new Edit(Site.Key, 0, Operation.Scale) { Heads = [3] }, "head: expected one that the model has, 0 to 2, found 3" },
        { new Edit(Site.HeadOut, 0, Operation.Scale) { Positions = Positions.Of(10) },
            "position: expected one that the prompt has, 0 to 9, found 10" },
        { new Edit(Site.AttnScores, 0, Operation.Set) { Positions = Positions.Of(3), Keys = Positions.Of(12) },
            "key: expected one that the prompt has, 0 to 9, found 12" },
        { new Edit(Site.AttnScores, 0, Operation.Set) { Positions = Positions.Of(3), Keys = Positions.Of(5, 6) }, "never looks ahead" },
        { new Edit(Site.AttnScores, 0, Operation.Scale), "minus infinity" },
        { new Edit(Site.AttnPattern, 0, Operation.Scale), "can only be replaced by those of a donor run" },
        { new Edit(Site.MlpOut, 0, Operation.Scale) { Heads = [0] }, "no heads" },
        { new Edit(Site.MlpOut, 0, Operation.Scale) { Components = [0] }, "neurons" },
        { new Edit(Site.NeuronOut, 0, Operation.Scale) { Components = [100] },
            "neuron: expected one that the model has, 0 to 99, found 100" },
        { new Edit(Site.HeadOut, 0, Operation.Scale) { Components = [48] },
            "component: expected one that the model has, 0 to 47, found 48" },
        { new Edit(Site.HeadOut, 0, Operation.Scale) { Components = [0], Heads = [0] }, "heads or their components, found both" },
        { new Edit(Site.ResidPost, 0, Operation.Add), "vector of 48" },
        { new Edit(Site.ResidPost, 0, Operation.Add) { Vector = [1, 2] }, "expected 48 values, found 2" },
        { new Edit(Site.ResidPost, 0, Operation.Scale) { Factor = float.NaN }, "finite" },
        { new Edit(Site.HeadOut, 0, Operation.Scale) { Heads = [] }, "without heads" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatCannotBeDone_IsRefusedBeforeAnythingRuns(Edit edit, string why)
    {
        var e = Assert.Throws<InputException>(() => new Intervention("test", edit).Validate(Shape, 10));
        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AQueryLeftWithoutAnyKey_IsRefused()
    {
        var lonely = Intervention.Knockout("lonely", [1], Positions.Of(2), Positions.Of(0, 1, 2));
        Assert.Contains("position 2 without any key in layer 1", Assert.Throws<InputException>(() => lonely.Validate(Shape, 10)).Message,
            StringComparison.Ordinal);
        // Each alone leaves a key; together, in one head, they leave none.
        var together = new Intervention(
            "two", new Edit(Site.AttnScores, 0, Operation.Set) { Positions = Positions.Of(2), Keys = Positions.Of(0, 1), Heads = [3] },
            new Edit(Site.AttnScores, 0, Operation.Set) { Positions = Positions.Of(2), Keys = Positions.Of(2) });
        Assert.Contains("head 3", Assert.Throws<InputException>(() => together.Validate(Shape, 10)).Message, StringComparison.Ordinal);
        Intervention.Knockout("one key left", [1], Positions.Of(2), Positions.Of(0, 1)).Validate(Shape, 10);
    }

    [Fact]
    public void GeneratedPositions_MayBeNamed_OnlyWhenTheyWillExist()
    {
        var later = Intervention.HeadGain(0, 0, 0, Positions.Of(12));
        later.Validate(Shape, 10, generated: 3);
        Assert.Throws<InputException>(() => later.Validate(Shape, 10, generated: 2));
    }

    [Fact]
    public void Corner_IsTheFirstLayerAndPosition()
    {
        var intervention = new Intervention(
            "", new Edit(Site.HeadOut, 3, Operation.Scale) { Positions = Positions.Of(8, 5) },
            new Edit(Site.MlpOut, 2, Operation.Scale) { Positions = Positions.Of(9) });
        Assert.Equal((2, 5), (intervention.FirstLayer, intervention.FirstPosition));
    }

    private static Dictionary<string, string> Files(string digest) => new(StringComparer.Ordinal) { ["config.json"] = digest };

    [Fact]
    public void HeadSet_OfAnotherModel_IsRefused()
    {
        var set = new HeadSet("a", "1234", "", "", "", [new ScoredHead(1, 2, 0.5)]);
        set.Validate(Shape, new("1234", Files("a")));
        Assert.Contains("other weights (sha256 1234 then, 5678 now); another model's heads",
            Assert.Throws<InputException>(() => set.Validate(Shape, new("5678", Files("a")))).Message, StringComparison.Ordinal);
        var whole = set with { Files = Files("a") };
        whole.Validate(Shape, new("1234", Files("a")));
        Assert.Contains("found one for another: config.json has changed;",
            Assert.Throws<InputException>(() => whole.Validate(Shape, new("1234", Files("b")))).Message, StringComparison.Ordinal);
        whole.Validate(Shape, null);
        Assert.Contains("head",
            Assert.Throws<InputException>(() => (set with { Heads = [new ScoredHead(0, 6, 1)] }).Validate(Shape, null)).Message,
            StringComparison.Ordinal);
    }
}
