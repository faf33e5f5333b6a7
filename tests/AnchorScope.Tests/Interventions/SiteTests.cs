using System.Text.Json;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Tests.Models;
using AnchorScope.Tests.Studies;

namespace AnchorScope.Tests.Interventions;

/// <summary>What every site needs, and where: a member that is added to <see cref="Site"/> fails here until it has all of it.</summary>
public sealed class SiteTests
{
    private static readonly string Document = File.ReadAllText(Path.Combine(Fixtures.Root, "docs", "sites.md")).ReplaceLineEndings("\n");

    /// <summary>The rows of the document's first table: site, JSON name, shape, read, written by.</summary>
    private static readonly string[][] Table = [.. Document.Split('\n')
        .SkipWhile(line => !line.StartsWith("| site |", StringComparison.Ordinal)).Skip(2).TakeWhile(line => line.StartsWith('|'))
        .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim(' ', '`')).ToArray())];

    private static readonly JsonElement[] Kinds = [.. JsonDocument
        .Parse(File.ReadAllBytes(Path.Combine(Fixtures.Root, "docs", "schemas", "edits.schema.json"))).RootElement
        .GetProperty("$defs").GetProperty("edit").GetProperty("oneOf").EnumerateArray()];

    private static DecoderShape Shape => InterventionJsonTests.Shape;

    public static TheoryData<Site> All => [.. Enum.GetValues<Site>()];

    [Theory]
    [MemberData(nameof(All))]
    public void HasAnOrderAndALineInTheDocument(Site site)
    {
        Assert.Equal(Enum.GetValues<Site>().Length, Table.Length);
        var row = Table[SiteOrder.Of(site)];
        Assert.Equal([$"{site}", SiteNames.Of(site)], row[..2]);
        Assert.Equal(site, SiteNames.Parse(row[1]));
        Assert.Equal(SiteNames.Of(site), SiteNames.All[SiteOrder.Of(site)]);
        // "read" is what a trace takes.
        Assert.Equal(row[3] == "yes" ? null : typeof(ArgumentException), Record.Exception(() => new Trace([site]))?.GetType());
        foreach (var operation in Enum.GetValues<Operation>())
        {
            var isWritten = row[4].Contains($"{operation}", StringComparison.OrdinalIgnoreCase);
            Assert.True(isWritten == InterventionJsonTests.Accepted(site, operation).Count > 0, $"{operation}: {row[4]}");
        }
        // Where a donor's file has its values, the document says how they are written.
        if (DonorFile.ArrayOf(site) is var (array, keep))
            Assert.All(new[] { array, keep }, name => Assert.Contains(name, Document, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void HasTheWidthThatTheDocumentSays(Site site)
    {
        var shape = Table[SiteOrder.Of(site)][2];
        if (shape.StartsWith("[head, pos, key]", StringComparison.Ordinal))
        {
            var error = Assert.Throws<ArgumentOutOfRangeException>(() => Shape.Width(site));
            Assert.Contains("no fixed width", error.Message, StringComparison.Ordinal);
            return;
        }
        Assert.Equal(
            shape[..(shape.IndexOf(']', StringComparison.Ordinal) + 1)] switch
            {
                "[pos, d_model]" => Shape.ModelSize,
                "[pos, head x d_head]" => Shape.Heads * Shape.HeadSize,
                "[pos, kv_head x d_head]" => Shape.KeyHeads * Shape.HeadSize,
                "[pos, d_mlp]" => Shape.MlpSize,
                _ => 0,
            },
            Shape.Width(site));
    }

    [Fact]
    public void IsRecordedInThatWidth()
    {
        using var tiny = Tiny.Open("llava15-gqa-f16-sharded");
        var trace = new Trace(Exchange.Sites);
        tiny.Alone(Intervention.None, trace);
        foreach (var site in Exchange.Sites.Where(site => site != Site.AttnPattern))
            Assert.Equal(tiny.Prompt.Length * tiny.Decoder.Shape.Width(site), trace[site, 1].Length);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void TakesItsHeads_OrRefusesAny(Site site)
    {
        var accepted = Enum.GetValues<Operation>().SelectMany(operation => InterventionJsonTests.Accepted(site, operation)).ToList();
        Assert.NotEmpty(accepted);
        Assert.Equal(Exchange.HasHeads(site), accepted.Exists(edit => edit.Heads is not null));
        var one = accepted.Find(edit => edit.Heads is not null) ?? accepted[0];
        string Refused(int head) => Assert.Throws<InputException>(
            () => new Intervention("one", one with { Heads = [head], Components = null })
            .Validate(Shape, InterventionJsonTests.Length)).Message;
        if (!Exchange.HasHeads(site))
        {
            Assert.EndsWith($"{SiteNames.Of(site)}: this site has no heads", Refused(0), StringComparison.Ordinal);
            return;
        }
        var heads = Table[SiteOrder.Of(site)][2].Contains("kv_head", StringComparison.Ordinal) ? Shape.KeyHeads : Shape.Heads;
        Assert.Contains($"0 to {heads - 1}, found {heads}", Refused(heads), StringComparison.Ordinal);
    }

    /// <summary>
    /// Every edit that is accepted goes through JSON and back; what is written has the fields of its kind in the schema, and those that the
    /// schema requires.
    /// </summary>
    [Theory]
    [MemberData(nameof(All))]
    public void IsWrittenAsTheSchemaSays_AndReadBack(Site site)
    {
        foreach (var edit in Enum.GetValues<Operation>().SelectMany(operation => InterventionJsonTests.Accepted(site, operation)))
        {
            var bytes = InterventionJson.Write(new Intervention("one", edit));
            Assert.Equal([edit], InterventionJson.Parse(bytes, "one.json", Shape).Edits);
            using var json = JsonDocument.Parse(bytes);
            var written = json.RootElement.GetProperty("edits")[0];
            var kind = Kinds.Single(k => Word(k) == written.GetProperty("kind").GetString());
            foreach (var field in written.EnumerateObject())
            {
                Assert.True(Fields(kind).TryGetProperty(field.Name, out var rule), $"{edit}: {field.Name}");
                if (rule.TryGetProperty("enum", out var words)) Assert.Contains(field.Value.GetString(), Words(words));
            }
            Assert.All(Words(kind.GetProperty("required")), name => Assert.True(written.TryGetProperty(name, out _), $"{edit}: {name}"));
        }
    }

    /// <summary>Each kind's list of sites in the schema is the list that the reader takes.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void IsInTheSchemaWhereItIsRead(Site site)
    {
        var name = SiteNames.Of(site);
        foreach (var kind in Kinds.Where(kind => Fields(kind).TryGetProperty("site", out _)))
        {
            var operation = Word(kind) == "edit" ? "\"operation\": \"set\"," : "";
            var json = $$"""[{"kind": "{{Word(kind)}}", "site": "{{name}}", "layer": 0, {{operation}} "positions": [0], "rows": [[1]]}]""";
            var error = Record.Exception(() => InterventionJson.Parse(System.Text.Encoding.UTF8.GetBytes(json), "e.json", Shape))?.Message;
            Assert.StartsWith("e.json: edits[0].site: expected", error ?? "e.json: edits[0].site: expected", StringComparison.Ordinal);
            Assert.True(error is null == Words(Fields(kind).GetProperty("site").GetProperty("enum")).Contains(name), $"{kind}: {error}");
        }
    }

    /// <summary>In the edited layer nothing that is computed earlier changes, and the site itself does.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void IsComputedAfterTheSitesBeforeIt(Site site)
    {
        const int Layer = 1;
        using var tiny = Tiny.Open("llava15-gqa-f16-sharded");
        var end = Positions.Of(tiny.Prompt.Length - 1);
        var edit = site == Site.AttnScores
            ? new Edit(site, Layer, Operation.Set) { Positions = end, Keys = Positions.Of(3) }
            : new Exchange(tiny, Exchange.Other(tiny), Intervention.None).At(site, Layer, end);
        var (plain, edited) = (new Trace(Exchange.Sites), new Trace(Exchange.Sites));
        tiny.Alone(Intervention.None, plain);
        tiny.Alone(new Intervention("one", edit), edited);
        foreach (var other in Exchange.Sites)
        {
            if (other.IsBefore(site)) Assert.Equal(plain[other, Layer], edited[other, Layer]);
            else if (other == site || other == Site.ResidPost) Assert.NotEqual(plain[other, Layer], edited[other, Layer]);
        }
    }

    [Fact]
    public void AnUnknownOne_IsRefusedByWhateverAsksForIt()
    {
        var unknown = (Site)Enum.GetValues<Site>().Length;
        void Refused(string why, Action ask) =>
            Assert.Contains(why, Assert.Throws<ArgumentOutOfRangeException>(ask).Message, StringComparison.Ordinal);
        Refused("no place in the order of computation", () => unknown.IsBefore(Site.ResidPost));
        Refused("no place in the order of computation", () => Site.ResidPre.IsBefore(unknown));
        Refused("no known width", () => Shape.Width(unknown));
        Refused("no name", () => SiteNames.Of(unknown));
    }

    private static JsonElement Fields(JsonElement kind) => kind.GetProperty("properties");

    private static string Word(JsonElement kind) => Fields(kind).GetProperty("kind").GetProperty("const").GetString()!;

    private static IEnumerable<string> Words(JsonElement list) => list.EnumerateArray().Select(word => word.GetString()!);
}
