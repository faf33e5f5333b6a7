using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Interventions;

/// <summary>Interchanges as data: written, read back, or refused with one clear line.</summary>
public sealed class InterchangeTests : IDisposable
{
    private const int Length = 10;

    private static readonly DecoderShape Shape = new(Layers: 4, Heads: 6, KeyHeads: 3, HeadSize: 8, ModelSize: 48, MlpSize: 100);

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    private static DonorRows Rows(int count, int width, float from = 0) =>
        new([.. Enumerable.Range(0, count * width).Select(i => from + i / 7f)], count);

    private Intervention Parse(string json) => InterventionJson.Parse(Encoding.UTF8.GetBytes(json), _temp.File("edits.json"), Shape);

    private string Wrong(string json) =>
        Assert.Throws<InputException>(() => Parse(json)).Message.Replace(_temp.Path + Path.DirectorySeparatorChar, "",
            StringComparison.Ordinal);

    /// <summary>
    /// A donor of two layers and <see cref="Length"/> positions whose values encode their place: layer in thousands, position in tens.
    /// </summary>
    private void WriteDonor(string name = "donor.safetensors", int positions = Length)
    {
        TensorData Array(string array, int width) =>
            TensorData.Of(array,
                [.. Enumerable.Range(0, 2 * positions * width).Select(
                    i => i / (positions * width) * 1000 + i / width % positions * 10 + i % width / 100f)], 2, positions, width);
        float[] pattern = [.. Enumerable.Range(0, 2 * 6 * positions * positions)
            .Select(i => i % positions == i / positions % positions ? 1f + i / (positions * positions) : 0)];
        SafetensorsWriter.Write(
            _temp.File(name), [Array("lm.z", 48), Array("lm.q", 48), Array("lm.k", 24), Array("lm.v", 24), Array("lm.k_rope", 24),
                Array("lm.hidden", 48), Array("lm.neuron_out", 100), TensorData.Of("lm.attn", pattern, 2, 6, positions, positions)],
            new Dictionary<string, string>(StringComparer.Ordinal));
    }

    public static TheoryData<Edit, string> Written => new()
    {
        { new Edit(Site.HeadOut, 1, Operation.Set) { Heads = [5, 0], Positions = Positions.Of(3, 7), Rows = Rows(2, 16) },
            "head_interchange" },
        { new Edit(Site.QueryProj, 1, Operation.Set) { Heads = [2], Positions = Positions.Of(3), Rows = Rows(1, 8) }, "head_interchange" },
        { new Edit(Site.KeyProj, 1, Operation.Set) { Heads = [2], Positions = Positions.Of(3), Rows = Rows(1, 8) }, "head_interchange" },
        { new Edit(Site.Value, 1, Operation.Set) { Heads = [2, 1], Positions = Positions.Of(3), Rows = Rows(1, 16) }, "head_interchange" },
        { new Edit(Site.AttnPattern, 1, Operation.Set) { Heads = [4], Positions = Positions.Of(9), Rows = Rows(1, Length) },
            "head_interchange" },
        { new Edit(Site.Key, 2, Operation.Set)
            { Heads = [4], Positions = Positions.Of(8, 9), Keys = Positions.Of(1, 2), Rows = Rows(2, 24) }, "edge_interchange" },
        { new Edit(Site.Value, 2, Operation.Set) { Keys = Positions.Of(1, 2), Rows = Rows(2, 24) }, "edge_interchange" },
        { new Edit(Site.Key, 2, Operation.Set) { Positions = Positions.Of(1, 2), Rows = Rows(2, 24) }, "interchange" },
        { new Edit(Site.AttnOut, 0, Operation.Set) { Positions = Positions.Of(0), Rows = Rows(1, 48) }, "interchange" },
        { new Edit(Site.ResidMid, 0, Operation.Set) { Positions = Positions.Of(0), Rows = Rows(1, 48) }, "interchange" },
        { new Edit(Site.NeuronOut, 0, Operation.Set) { Positions = Positions.Of(0), Rows = Rows(1, 100) }, "interchange" },
        { new Edit(Site.MlpOut, 0, Operation.Set) { Positions = Positions.Of(0), Rows = Rows(1, 48) }, "interchange" },
        { new Edit(Site.ResidPost, 3, Operation.Set)
            { Positions = Positions.Of(0, 9), Rows = new DonorRows([.. Enumerable.Repeat(-0f, 95), float.Epsilon], 2) }, "interchange" },
        // An edit with rows that no interchange mentions is a patch.
        { new Edit(Site.ResidPre, 3, Operation.Set) { Positions = Positions.Of(0, 9), Rows = Rows(2, 48) }, "patch" },
        { new Edit(Site.Query, 3, Operation.Set) { Heads = [1], Positions = Positions.Of(0, 9), Rows = Rows(2, 8) }, "patch" },
        { new Edit(Site.Key, 3, Operation.Set) { Heads = [1], Positions = Positions.Of(0, 9), Rows = Rows(2, 8) }, "patch" },
        { new Edit(Site.HeadOut, 3, Operation.Set) { Positions = Positions.Of(0, 9), Rows = Rows(2, 48) }, "patch" },
        { new Edit(Site.HeadOut, 3, Operation.Set) { Components = [7, 1], Positions = Positions.Of(0, 9), Rows = Rows(2, 2) }, "patch" },
        { new Edit(Site.NeuronOut, 3, Operation.Set) { Components = [7, 1], Positions = Positions.Of(0, 9), Rows = Rows(2, 2) }, "patch" },
        { new Edit(Site.AttnPattern, 3, Operation.Set) { Positions = Positions.Of(9), Rows = Rows(1, 6 * Length) }, "patch" },
        { new Edit(Site.ResidPost, 3, Operation.Add) { Positions = Positions.Of(0, 9), Factor = 0.5f, Rows = Rows(2, 48) }, "steer" },
        { new Edit(Site.HeadOut, 1, Operation.Add) { Heads = [2], Positions = Positions.Of(3), Rows = Rows(1, 8) }, "steer" },
        { new Edit(Site.QueryProj, 1, Operation.Add) { Heads = [2, 0], Factor = -1.5f, Vector = [1, 2, 3, 4, 5, 6, 7, 8] }, "steer" },
        { new Edit(Site.AttnScores, 1, Operation.Add)
            { Heads = [2], Positions = Positions.Of(8, 9), Keys = Positions.Of(1, 2), Factor = 0.3f }, "attention_boost" },
    };

    [Theory]
    [MemberData(nameof(Written))]
    public void Writing_AndReading_GiveTheSame(Edit edit, string kind)
    {
        var intervention = new Intervention("one", edit);
        intervention.Validate(Shape, Length);
        var bytes = InterventionJson.Write(intervention);
        Assert.Contains($"\"kind\": \"{kind}\"", Encoding.UTF8.GetString(bytes), StringComparison.Ordinal);
        var read = InterventionJson.Parse(bytes, "edits.json");
        Assert.Equal(edit, Assert.Single(read.Edits));
        Assert.Equal(bytes, InterventionJson.Write(read));
        read.Validate(Shape, Length);
    }

    [Fact]
    public void PublicForm_TakesValuesFromADonorsFile()
    {
        WriteDonor();
        foreach (var (what, site, heads) in new[] { ("z", Site.HeadOut, 6), ("query", Site.QueryProj, 6), ("key", Site.KeyProj, 3),
            ("value", Site.Value, 3) })
        {
            var edits = Parse(
                $$"""[{"kind":"head_interchange","what":"{{what}}","heads":[[1,2],[0,1],[1,0]],"positions":[4,2],"donor":"donor.safetensors"}]""").Edits;
            Assert.Equal([(site, 0), (site, 1)], edits.Select(e => (e.Site, e.Layer)));
            Assert.All(edits, e => Assert.Equal((Operation.Set, Positions.Of(2, 4)), (e.Operation, e.Positions)));
            Assert.Equal([2, 0], edits[1].Heads!);
            Assert.Equal([1020 + 0.16f, 1020 + 0.00f], [edits[1].Rows![0][0], edits[1].Rows![0][8]]);
            Assert.Equal([40 + 0.08f, 40 + 0.15f], [edits[0].Rows![1][0], edits[0].Rows![1][7]]);
            new Intervention("", edits).Validate(Shape, Length);
            Assert.Contains($"found head {heads}".Split(' ')[^1],
                Wrong(
                    $$"""[{"kind":"head_interchange","what":"{{what}}","heads":[[1,{{heads}}]],"positions":[4],"donor":"donor.safetensors"}]"""), StringComparison.Ordinal);
        }
        var pattern = Parse(
            """[{"kind":"head_interchange","what":"pattern","heads":[[1,3],[1,0]],"positions":[4],"donor":"donor.safetensors"}]""")
            .Edits[0];
        Assert.Equal((Site.AttnPattern, 2 * Length, 10f, 7f),
            (pattern.Site, pattern.Rows!.Width, pattern.Rows[0][4], pattern.Rows[0][Length + 4]));
        var whole = Parse(
            $$"""[{"kind":"interchange","site":"resid_post","layer":1,"positions":[0],"donor":{{System.Text.Json.JsonSerializer.Serialize(_temp.File("donor.safetensors"))}},"donor_positions":[9]}]""").Edits[0];
        Assert.Equal((Site.ResidPost, 48, 1090f), (whole.Site, whole.Rows!.Width, whole.Rows[0][0]));
        var edges = Parse(
            """[{"kind":"edge_interchange","what":"both","layers":[0,1],"heads":[5],"queries":[9],"keys":[3,1],"donor":"donor.safetensors","donor_positions":[7,5]}]""").Edits;
        Assert.Equal([(Site.Key, 0), (Site.Value, 0), (Site.Key, 1), (Site.Value, 1)], edges.Select(e => (e.Site, e.Layer)));
        Assert.All(edges,
            e => Assert.True(
                e.IsEdge && e.Positions.Equals(Positions.Of(9)) && e.Keys.Equals(Positions.Of(1, 3)) && e.Heads!.Single() == 5));
        Assert.Equal([1050f, 1070f], [edges[2].Rows![0][0], edges[2].Rows![1][0]]);
    }

    /// <summary>Lists may be in any order; entries at the same index belong together.</summary>
    [Fact]
    public void PositionsAndWhatGoesWithThem_StayInPairs()
    {
        WriteDonor();
        var edit = Parse(
            """[{"kind":"interchange","site":"resid_post","layer":0,"positions":[5,3,4],"donor":"donor.safetensors","donor_positions":[1,9,2]}]""").Edits[0];
        Assert.Equal([90f, 20f, 10f], Enumerable.Range(0, 3).Select(i => edit.Rows![i][0]));
        edit = Parse(
            """[{"kind":"head_interchange","what":"z","heads":[[0,1]],"positions":[5,3],"rows":[[50,1,1,1,1,1,1,1],[30,1,1,1,1,1,1,1]]}]""")
            .Edits[0];
        Assert.Equal([30f, 50f], Enumerable.Range(0, 2).Select(i => edit.Rows![i][0]));
        edit = Parse("""[{"kind":"patch","site":"neuron_out","layer":0,"neurons":[1],"positions":[5,3],"rows":[[50],[30]]}]""").Edits[0];
        Assert.Equal([30f, 50f], Enumerable.Range(0, 2).Select(i => edit.Rows![i][0]));
    }

    [Theory]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1] """,
        "edits.json: edits[0].donor: expected either donor or rows, found neither")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor":"donor.safetensors","rows":[[1]] """,
        "edits.json: edits[0].donor: expected either donor or rows, found both")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor_positions":[1],"rows":[[1]] """,
        "edits.json: edits[0].donor_positions: expected a donor, found rows")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor":"none.safetensors" """,
        "edits.json: edits[0].donor: expected a safetensors file of ascope trace, found no file 'none.safetensors'")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor":"edits.json" """, "edits.json")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor":7 """, "edits.json: edits[0].donor: expected a string, found 7")]
    [InlineData(""" "what":"w","heads":[[1,0]],"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].what: expected z, query, key, value or pattern, found w")]
    [InlineData(""" "what":"z","heads":[[1,0],[1,0]],"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].heads: expected each head once, found one twice")]
    [InlineData(""" "what":"z","heads":[],"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].heads: expected a list of pairs [layer, head], found []")]
    [InlineData(""" "what":"z","heads":[1,0],"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].heads: expected pairs [layer, head], found 1")]
    [InlineData(""" "what":"z","heads":[["1","0"]],"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].heads: expected pairs [layer, head], found [\"1\",\"0\"]")]
    [InlineData(""" "what":"z","heads":[[1,6]],"positions":[1],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.z: expected head 6, found 6 heads")]
    [InlineData(""" "what":"key","heads":[[1,3]],"positions":[1],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.k: expected head 3, found 3 heads")]
    [InlineData(""" "what":"z","heads":[[2,0]],"positions":[1],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.z: expected layer 2, found 2 layers")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[10],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.z: expected position 10, found 10 positions")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor":"donor.safetensors","donor_positions":[11] """,
        "donor.safetensors: lm.z: expected position 11, found 10 positions")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"donor":"donor.safetensors","donor_positions":[-1] """,
        "edits.json: edits[0].donor_positions: expected positions from 0 on, found -1")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1,2],"donor":"donor.safetensors","donor_positions":[1] """,
        "edits.json: edits[0].donor_positions: expected 2, one for each of positions, found 1")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1,1],"donor":"donor.safetensors","donor_positions":[1,2] """,
        "edits.json: edits[0].positions: expected each position once beside donor_positions, found one twice")]
    [InlineData(""" "what":"z","heads":[[1,0]],"donor":"donor.safetensors" """,
        "edits.json: edits[0].positions: expected a list of positions, found all")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":"all","donor":"donor.safetensors" """,
        "edits.json: edits[0].positions: expected a list of positions, found all")]
    [InlineData(""" "what":"z","heads":[[1,0],[2,0]],"positions":[1],"rows":[[1]] """,
        "edits.json: edits[0].heads: expected heads of one layer beside rows, found several layers")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"rows":[1] """,
        "edits.json: edits[0].rows: expected a list of lists of numbers, found [1]")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"rows":[[]] """,
        "edits.json: edits[0].rows: expected a list of lists of numbers, found [[]]")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"rows":[["a"]] """,
        "edits.json: edits[0].rows: expected finite numbers, found \"a\"")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"rows":[[1e99]] """,
        "edits.json: edits[0].rows: expected finite numbers, found 1e99")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1,2],"rows":[[1],[1,2]] """,
        "edits.json: edits[0].rows: expected rows of one width, found several widths")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1,2],"rows":[[1]] """,
        "edits.json: edits[0].rows: expected 2, one for each of positions, found 1")]
    [InlineData(""" "what":"z","heads":[[1,0]],"positions":[1],"layers":[1],"rows":[[1]] """,
        "edits.json: edits[0].layers: expected only what, heads, positions, donor, donor_positions, rows in head_interchange, "
            + "found this field")]
    public void HeadInterchange_NotUnderstood_IsOneLine(string fields, string message)
    {
        WriteDonor();
        _temp.Write("edits.json", "no safetensors");
        var line = Wrong($$"""[{"kind":"head_interchange",{{fields}}}]""");
        Assert.StartsWith(message, line, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', line);
    }

    [Theory]
    [InlineData(""" "kind":"interchange","site":"z","layer":0,"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].site: expected k, attn_out, resid_mid, neuron_out, mlp_out or resid_post, found z")]
    [InlineData(""" "kind":"interchange","site":"q","layer":0,"positions":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].site: expected k, attn_out, resid_mid, neuron_out, mlp_out or resid_post, found q")]
    [InlineData(""" "kind":"interchange","site":"resid_mid","layer":0,"positions":[1],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.resid_mid: expected an array that ascope trace writes with --keep resid_mid, found none")]
    [InlineData(""" "kind":"interchange","site":"attn_out","layer":0,"positions":[1],"donor":"donor.safetensors" """,
        "donor.safetensors: lm.attn_out: expected an array of ascope trace, found none")]
    [InlineData(""" "kind":"interchange","site":"resid_post","layer":0,"positions":"all","donor":"donor.safetensors" """,
        "edits.json: edits[0].positions: expected a list of positions, found all")]
    [InlineData(""" "kind":"edge_interchange","what":"z","layers":[0],"keys":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].what: expected key, value or both, found z")]
    [InlineData(""" "kind":"edge_interchange","what":"key","layers":[0],"donor":"donor.safetensors" """,
        "edits.json: edits[0].keys: expected a list of positions, found all")]
    [InlineData(""" "kind":"edge_interchange","what":"key","keys":[1],"donor":"donor.safetensors" """,
        "edits.json: edits[0].layers: expected a list of layers, found nothing")]
    [InlineData(""" "kind":"edge_interchange","what":"both","layers":[0],"keys":[1],"rows":[[1]] """,
        "edits.json: edits[0].what: expected key or value beside rows, found both")]
    [InlineData(""" "kind":"edge_interchange","what":"key","layers":[0],"keys":[1,2],"rows":[[1]] """,
        "edits.json: edits[0].rows: expected 2, one for each of keys, found 1")]
    [InlineData(""" "kind":"patch","site":"attn","layer":0,"positions":[1],"vector":[1] """,
        "edits.json: edits[0].site: expected a site that can be patched, found attn")]
    [InlineData(""" "kind":"patch","site":"z","layer":0,"positions":[1],"vector":[1],"rows":[[1]] """,
        "edits.json: edits[0].rows: expected either vector or rows, found both")]
    [InlineData(""" "kind":"patch","site":"z","layer":0,"rows":[[1]] """,
        "edits.json: edits[0].positions: expected a list of positions, since there is a row for each, found all")]
    public void OtherKinds_NotUnderstood_AreOneLine(string fields, string message)
    {
        WriteDonor();
        Assert.StartsWith(message, Wrong($$"""[{{{fields}}}]"""), StringComparison.Ordinal);
    }

    private static Edit Set(Site site) => new(site, 0, Operation.Set) { Positions = Positions.Of(4), Rows = Rows(1, 48) };

    public static TheoryData<Edit, string> Refused => new()
    {
        { Set(Site.HeadOut) with { Rows = Rows(1, 47) }, "test: edit at layer 0, z: rows: expected rows of 48 values, found 47" },
        { Set(Site.HeadOut) with { Heads = [1, 2] }, "test: edit at layer 0, z: rows: expected rows of 16 values, found 48" },
        { Set(Site.KeyProj), "test: edit at layer 0, k_proj: rows: expected rows of 24 values, found 48" },
        { Set(Site.NeuronOut) with { Components = [1, 2] },
            "test: edit at layer 0, neuron_out: rows: expected rows of 2 values, found 48" },
        { Set(Site.HeadOut) with { Positions = Positions.Of(4, 5) },
            "test: edit at layer 0, z: rows: expected 2, one for each of positions 4-5, found 1" },
        { Set(Site.HeadOut) with { Positions = Positions.All },
            "test: edit at layer 0, z: positions: expected a list, since a donor run has a row for each" },
        { Set(Site.HeadOut) with { Vector = new float[48] },
            "test: edit at layer 0, z: expected a vector or rows of a donor run, found both" },
        { Set(Site.HeadOut) with { Operation = Operation.Scale },
            "test: edit at layer 0, z: only add and set take the values of a donor run" },
        { Set(Site.AttnScores), "test: edit at layer 0, attn_scores: only add and set take the values of a donor run" },
        { Set(Site.QueryProj) with { Heads = [6] },
            "test: edit at layer 0, q_proj: head: expected one that the model has, 0 to 5, found 6" },
        { Set(Site.KeyProj) with { Heads = [3] }, "test: edit at layer 0, k_proj: head: expected one that the model has, 0 to 2, found 3" },
        { Set(Site.ResidPost) with { Heads = [0] }, "test: edit at layer 0, resid_post: this site has no heads" },
        { Set(Site.ResidPost) with { Layer = 4 },
            "test: edit at layer 4, resid_post: layer: expected one that the model has, 0 to 3, found 4" },
        { Set(Site.ResidPost) with { Positions = Positions.Of(10) },
            "test: edit at layer 0, resid_post: position: expected one that the prompt has, 0 to 9, found 10" },
        { Set(Site.AttnPattern) with { Operation = Operation.Scale, Rows = null },
            "test: edit at layer 0, attn: attention probabilities can only be replaced by those of a donor run: "
                + "cut edges at attn_scores instead" },
        { Set(Site.AttnPattern) with { Operation = Operation.Add },
            "test: edit at layer 0, attn: attention probabilities can only be replaced by those of a donor run: "
                + "cut edges at attn_scores instead" },
        { Set(Site.AttnPattern) with { Rows = null, Vector = new float[10] },
            "test: edit at layer 0, attn: attention probabilities can only be replaced by those of a donor run: "
                + "cut edges at attn_scores instead" },
        { Set(Site.AttnPattern), "test: edit at layer 0, attn: rows: expected rows of 60 values, found 48" },
        { Set(Site.AttnPattern) with { Heads = [0], Rows = new DonorRows([.. Enumerable.Repeat(0f, 9), 0.5f], 1) },
            "test: edit at layer 0, attn: donor: expected no probability after position 4, found some at key 9: "
                + "attention never looks ahead" },
        { Set(Site.Key) with { Keys = Positions.Of(5), Rows = Rows(1, 24) },
            "test: edit at layer 0, k: all keys 5 come after the queries 4: attention never looks ahead, so the edit does nothing" },
        { Set(Site.Value) with { Keys = Positions.Of(1), Rows = Rows(1, 8), Heads = [5] },
            "test: edit at layer 0, v: rows: expected rows of 24 values, found 8" },
        { Set(Site.Value) with { Keys = Positions.Of(1), Rows = Rows(1, 24), Heads = [6] },
            "test: edit at layer 0, v: head: expected one that the model has, 0 to 5, found 6" },
        { Set(Site.Value) with { Keys = Positions.Of(1, 2), Rows = Rows(1, 24) },
            "test: edit at layer 0, v: rows: expected 2, one for each of keys 1-2, found 1" },
        { Set(Site.Value) with { Keys = Positions.Of(1), Rows = null, Vector = new float[24] },
            "test: edit at layer 0, v: along an edge keys and values can only be replaced by those of a donor run" },
        { Set(Site.Value) with { Keys = Positions.Of(1), Rows = null, Operation = Operation.Scale },
            "test: edit at layer 0, v: along an edge keys and values can only be replaced by those of a donor run" },
        { Set(Site.Value) with { Keys = Positions.Of(1), Rows = Rows(1, 24), Operation = Operation.Add },
            "test: edit at layer 0, v: along an edge keys and values can only be replaced" },
        { Set(Site.Value) with { Keys = Positions.Of(10), Rows = Rows(1, 24), Positions = Positions.All },
            "test: edit at layer 0, v: key: expected one that the prompt has, 0 to 9, found 10" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatCannotBeDone_IsRefusedBeforeAnythingRuns(Edit edit, string why) =>
        Assert.Equal(why, Assert.Throws<InputException>(() => new Intervention("test", edit).Validate(Shape, Length)).Message);

    [Fact]
    public void TooManyEdgesOfALayer_AreRefused()
    {
        Edit[] edges = [.. Enumerable.Range(0, 65).Select(i => Set(Site.Value) with { Keys = Positions.Of(i % 4), Rows = Rows(1, 24) })];
        new Intervention("test", edges[..64]).Validate(Shape, Length);
        Assert.Equal("test: expected at most 64 interchanges along edges in a layer, found 65 in layer 0",
            Assert.Throws<InputException>(() => new Intervention("test", edges).Validate(Shape, Length)).Message);
    }

    [Fact]
    public void APattern_HasTheKeysOfThePrompt_WhateverIsGenerated()
    {
        var edit = Set(Site.AttnPattern) with { Heads = [0], Positions = Positions.Of(9), Rows = Rows(1, Length) };
        new Intervention("test", edit).Validate(Shape, Length, generated: 5);
        Assert.Contains("position: expected one that the prompt has, 0 to 9, found 10",
            Assert.Throws<InputException>(
                () => new Intervention("test", edit with { Positions = Positions.Of(10) }).Validate(Shape, Length, generated: 5)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, new float[0])]
    [InlineData(2, new[] { 1f, 2, 3 })]
    [InlineData(0, new[] { 1f })]
    [InlineData(1, new[] { float.NaN })]
    [InlineData(1, new[] { 1, float.PositiveInfinity })]
    public void RowsOfNoWidth_OrOfNoNumbers_AreRefused(int count, float[] values) => Assert.StartsWith("donor: expected",
        Assert.Throws<InputException>(() => new DonorRows(values, count)).Message, StringComparison.Ordinal);

    [Fact]
    public void EqualEdits_HaveEqualBits()
    {
        var edit = Set(Site.HeadOut);
        Assert.Equal(edit, edit with { Rows = Rows(1, 48) });
        Assert.Equal(edit.GetHashCode(), (edit with { Rows = Rows(1, 48) }).GetHashCode());
        Assert.NotEqual(edit, edit with { Rows = Rows(1, 48, 1e-7f) });
        Assert.NotEqual(edit, edit with { Rows = null });
        Assert.NotEqual(edit with { Rows = new DonorRows([0, 0], 1) }, edit with { Rows = new DonorRows([0, -0f], 1) });
        Assert.NotEqual(edit with { Rows = new DonorRows([0, 0], 1) }, edit with { Rows = new DonorRows([0, 0], 2) });
    }
}
