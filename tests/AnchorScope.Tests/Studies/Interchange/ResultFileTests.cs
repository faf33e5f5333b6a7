using System.Globalization;
using System.Text.Json.Nodes;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>What other programs read of diagnosis.json and summary.csv.</summary>
public sealed class ResultFileTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void EveryHeadHasARoleAndAProfile_AndTestedNumbersHaveTheirPAndQ()
    {
        var options = new DiagnosisOptions
        {
            Model = Fixtures.Grown("relay"), Data = Fixtures.Conflicts, Limit = 12, Draws = 3, Windows = [3], Gains = [2],
        };
        using var study = new DiagnosisStudy(options);
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        DiagnosisFiles.Write(_temp.Path, found, study.Arbiters(found.Interchange), study.Necessary(store, plan));
        var json = JsonNode.Parse(File.ReadAllText(_temp.File("diagnosis.json")))!;
        Profiles(json);
        Summary(json);
    }

    private static void Profiles(JsonNode json)
    {
        var heads = json["interchange"]!["heads"]!.AsArray();
        var (layers, perLayer) = ((int)json["model"]!["layers"]!, (int)json["model"]!["heads"]!);
        Assert.Equal(
            from layer in Enumerable.Range(0, layers) from head in Enumerable.Range(0, perLayer) select (layer, head),
            heads.Select(h => ((int)h!["layer"]!, (int)h["head"]!)));
        var roles = Enum.GetValues<HeadRole>().Select(EnumName.Of).ToList();
        foreach (var head in heads)
        {
            Assert.Contains((string)head!["role"]!, roles);
            foreach (var entry in new[] { "choice", "content", "question", "picture", "note", "phrasing" })
            {
                foreach (var number in new[] { "moved", "switched" })
                {
                    var estimate = head["profile"]![entry]![number]!.AsObject();
                    Assert.Equal(["mean", "low", "high", "count"], estimate.Select(field => field.Key));
                    Assert.True(double.IsFinite((double)estimate["mean"]!), $"{entry}.{number}");
                    Assert.True((int)estimate["count"]! > 0);
                }
            }
        }
    }

    private void Summary(JsonNode json)
    {
        var rows = File.ReadAllLines(_temp.File("summary.csv")).Select(line => line.Split(',')).ToList();
        Assert.Equal("section,item,condition,metric,instruction,mean,low95,high95,runs,p,q".Split(','), rows[0]);
        Assert.All(rows.Where(r => !r.Any(field => field.Contains('"', StringComparison.Ordinal))), r => Assert.Equal(11, r.Length));
        string[] Row(params string[] begins) => Assert.Single(rows, r => r.Take(begins.Length).SequenceEqual(begins));
        void Same(JsonNode? expected, string field)
        {
            if (expected is null) Assert.Equal("", field);
            else Assert.Equal(((double)expected).ToString("G9", CultureInfo.InvariantCulture), field);
        }
        var ranked = json["heads"]!["ranked"]![0]!;
        var (layer, head) = ((int)ranked["layer"]!, (int)ranked["head"]!);
        var all = Row("heads", $"{layer}.{head}", "blocked alone", "causal_margin", "all");
        Same(ranked["test"]!["p"], all[9]);
        Same(ranked["test"]!["q"], all[10]);
        var vision = Row("heads", $"{layer}.{head}", "blocked alone", "causal_margin", "vision");
        Assert.Equal("", vision[9]);
        Same(json["heads"]!["vision_q"]![layer]![head], vision[10]);
        var knockout = json["knockouts"]![0]!;
        var cut = Row("knockout", (string)knockout["edge"]!, "all layers", "nssd_signed_kl", "all");
        Same(knockout["all_layers"]!["test"]!["p"], cut[9]);
        Same(knockout["all_layers"]!["test"]!["q"], cut[10]);
        var inside = json["inside"]![0]!;
        var number = inside["ranked"]![0]!;
        var item = $"{inside["layer"]}.{inside["head"]}.{number["component"]}";
        Same(number["test"]!["q"], Row("components", item, "set to 0 alone", "causal_margin", "all")[10]);
        var blocked = json["blocking"]!.AsArray().Single(b => (string)b!["name"]! == "top5")!;
        Same(blocked["random"]!["rank"]!["p"], Row("blocking", "top5", "random heads", "mfr_argmax", "all")[9]);
        var set = json["interchange"]!["sets"]!.AsArray().First(s => s!["random"] is not null)!;
        Same(set["random"]!["p"], Row("interchange", (string)set["name"]!, "random sets", "largest_effect", "all")[9]);
        // What was not tested has neither.
        Assert.Equal(["", ""], Row("following", "test/all/all", "baseline", "mfr_argmax", "all")[9..]);
    }

    public void Dispose() => _temp.Dispose();
}
