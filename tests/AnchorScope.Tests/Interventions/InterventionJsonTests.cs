using AnchorScope.Interventions;

namespace AnchorScope.Tests.Interventions;

/// <summary>Every intervention that validation accepts can be written, and is read back as it was.</summary>
public sealed class InterventionJsonTests
{
    internal const int Length = 6;

    internal static readonly DecoderShape Shape = new(Layers: 3, Heads: 4, KeyHeads: 2, HeadSize: 4, ModelSize: 12, MlpSize: 20);

    public static TheoryData<Site, Operation> SitesAndOperations { get; } = All();

    [Theory]
    [MemberData(nameof(SitesAndOperations))]
    public void WhatIsAccepted_GoesThroughAndBack(Site site, Operation operation)
    {
        var accepted = Accepted(site, operation);
        foreach (var edit in accepted)
        {
            var written = InterventionJson.Write(new Intervention("one", edit));
            var read = InterventionJson.Parse(written, "one.json", Shape);
            Assert.Equal([edit], read.Edits);
            Assert.Equal("one", read.Name);
        }
        // Invalid operations at these sites: scores cannot be scaled, and probabilities can only be replaced.
        Assert.Equal((site, operation) is (Site.AttnScores, Operation.Scale) or (Site.AttnPattern, Operation.Scale or Operation.Add),
            accepted.Count == 0);
    }

    [Fact]
    public void OlderReleasesReadWhatTheirKindsSay()
    {
        static string Version(Edit edit) => System.Text.Encoding.UTF8.GetString(InterventionJson.Write(new Intervention("one", edit)));
        Assert.Contains("\"version\": 1", Version(new Edit(Site.HeadOut, 1, Operation.Scale) { Factor = 0, Heads = [2] }),
            StringComparison.Ordinal);
        Assert.Contains("\"version\": 2", Version(new Edit(Site.ResidPost, 1, Operation.Scale) { Factor = 0 }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("site", """{"kind": "edit", "site": "zz", "layer": 0, "operation": "scale"}""", "expected one of resid_pre")]
    [InlineData("operation", """{"kind": "edit", "site": "z", "layer": 0, "operation": "scales"}""",
        "expected scale, add, set, found scales; did you mean scale?")]
    [InlineData("rows", """{"kind": "edit", "site": "z", "layer": 0, "operation": "set", "positions": [1], "rows": [[1]], "vector": [1]}""",
        "expected either vector or rows, found both")]
    [InlineData("positions", """{"kind": "edit", "site": "z", "layer": 0, "operation": "set", "rows": [[1]]}""",
        "expected a list of positions")]
    [InlineData("", """{"kind": "edit", "site": "z", "layer": 0, "operation": "scale"}""", "times 1 changes nothing")]
    [InlineData("layers", """{"kind": "attention_boost", "layers": [2, 2], "add": 1, "keys": [0]}""", "each layer once")]
    [InlineData("key", """{"kind": "edit", "site": "z", "layer": 0, "operation": "scale", "key": [1]}""", "did you mean keys?")]
    public void WrongFields_AreNamed(string field, string edit, string message)
    {
        var error = Assert.Throws<InputException>(
            () => InterventionJson.Parse(System.Text.Encoding.UTF8.GetBytes($$"""{"version": 2, "edits": [{{edit}}]}"""), "e.json", Shape));
        Assert.Contains(field.Length == 0 ? "e.json: edits[0]:" : $"e.json: edits[0].{field}", error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheFirstVersionHasNoKindEdit() => Assert.Contains(
        "e.json: version: expected 2, the first that has the kind edit, found 1",
        Assert.Throws<InputException>(() => InterventionJson.Parse(
            """{"version": 1, "edits": [{"kind": "edit", "site": "z", "layer": 0, "operation": "scale", "factor": 0}]}"""u8.ToArray(),
            "e.json", Shape)).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"version": 2, "edits": []}""")]
    public void AListWithoutEdits_IsRefused(string json) => Assert.Contains(
        "e.json: edits: expected at least one edit, found none",
        Assert.Throws<InputException>(() => InterventionJson.Parse(System.Text.Encoding.UTF8.GetBytes(json), "e.json", Shape)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void FieldsWithoutAnEffect_AreRefused()
    {
        static void Refused(string message, Edit edit) =>
            Assert.Contains(message, Assert.Throws<InputException>(() => new Intervention("one", edit).Validate(Shape, Length)).Message,
                StringComparison.Ordinal);
        Refused("only attn_scores, and k and v along an edge, have keys",
            new Edit(Site.HeadOut, 0, Operation.Scale) { Factor = 0, Keys = Positions.Of(1) });
        Refused("expected a factor alone, found a vector",
            new Edit(Site.ResidPost, 0, Operation.Scale) { Factor = 0, Vector = new float[12] });
        Refused("head: expected each once, found 2 twice", new Edit(Site.HeadOut, 0, Operation.Scale) { Factor = 0, Heads = [2, 1, 2] });
        Refused("neuron: expected each once, found 7 twice",
            new Edit(Site.NeuronOut, 0, Operation.Scale) { Factor = 0, Components = [7, 7] });
        Refused("times 1 changes nothing", new Edit(Site.MlpOut, 0, Operation.Scale));
        Refused("adding zeros changes nothing", new Edit(Site.ResidPost, 0, Operation.Add) { Vector = new float[12] });
        Refused("adding zeros changes nothing",
            new Edit(Site.ResidPost, 0, Operation.Add) { Positions = Positions.Of(1, 2), Rows = new DonorRows(new float[24], 2) });
        Refused("adding 0 times a vector changes nothing",
            new Edit(Site.ResidPost, 0, Operation.Add) { Factor = 0, Vector = [.. Enumerable.Repeat(1f, 12)] });
        Refused("adding 0 changes nothing", new Edit(Site.AttnScores, 0, Operation.Add) { Factor = 0, Keys = Positions.Of(0) });
        // A constant added to the scores of all keys that a query sees cancels in its softmax.
        Refused("the same number added to every key",
            new Edit(Site.AttnScores, 0, Operation.Add) { Factor = 2, Positions = Positions.Of(1, 3), Keys = Positions.Range(0, 4) });
        new Intervention("one", new Edit(Site.AttnScores, 0, Operation.Add)
            { Factor = 2, Positions = Positions.Of(1, 4), Keys = Positions.Range(0, 4) }).Validate(Shape, Length);
        Refused("expected no factor, found 2", new Edit(Site.ResidPost, 0, Operation.Set) { Factor = 2, Vector = new float[12] });
    }

    private static TheoryData<Site, Operation> All()
    {
        var all = new TheoryData<Site, Operation>();
        foreach (var site in Enum.GetValues<Site>())
        {
            foreach (var operation in Enum.GetValues<Operation>()) all.Add(site, operation);
        }
        return all;
    }

    /// <summary>Edits of one site and operation, with every combination of the fields that validation accepts.</summary>
    internal static List<Edit> Accepted(Site site, Operation operation) => [.. Edits(site, operation).Where(IsAccepted)];

    private static bool IsAccepted(Edit edit)
    {
        try
        {
            new Intervention("one", edit).Validate(Shape, Length);
            return true;
        }
        catch (InputException)
        {
            return false;
        }
    }

    /// <summary>Every combination of the fields, including those that validation refuses.</summary>
    private static IEnumerable<Edit> Edits(Site site, Operation operation) =>
        from heads in new int[]?[] { null, [1], [0, 1], [1, 1] }
        from neurons in new int[]?[] { null, [3], [2, 5], [5, 5] }
        from positions in new[] { Positions.All, Positions.Of(5), Positions.Of(2, 4) }
        from keys in new[] { Positions.All, Positions.Of(0, 1) }
        from factor in new[] { 1f, 0f, -1.5f }
        from values in Values(site, heads, neurons, positions, keys)
        select new Edit(site, 1, operation)
        {
            Heads = heads, Components = neurons, Positions = positions, Keys = keys, Factor = factor,
            Vector = values.Vector, Rows = values.Rows,
        };

    private static IEnumerable<(float[]? Vector, DonorRows? Rows)> Values(Site site, int[]? heads, int[]? neurons,
        Positions positions, Positions keys)
    {
        yield return (null, null);
        foreach (var width in new[] { 12, 16, 8, 4, 20, neurons?.Length ?? 1 }.Distinct())
        {
            yield return ([.. Enumerable.Range(0, width).Select(i => i - 0.5f)], null);
            yield return (new float[width], null);
        }
        var at = site is Site.Key or Site.Value && !keys.IsAll ? keys : positions;
        var widths = site == Site.AttnPattern
            ? new[] { (heads?.Length ?? 4) * Length } : new[] { 12, 16, 8, 4, 20, neurons?.Length ?? 1, (heads?.Length ?? 4) * 4 };
        foreach (var width in widths.Distinct())
        {
            if (at.IsAll) continue;
            // Probabilities of a position cover keys up to that position.
            yield return (null,
                new DonorRows([.. Enumerable.Range(0, at.List.Count * width).Select(i => i % Length == 0 ? 0.25f : 0f)], at.List.Count));
        }
    }
}
