using System.Text.Json;
using System.Xml.Linq;
using AnchorScope.Metrics;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>Heads ranked by their effects in single exchanges.</summary>
public sealed class ExchangeScoreTests : IDisposable
{
    private static readonly HeadScoreVariant[] Exchanges =
        [HeadScoreVariant.Choice, HeadScoreVariant.Content, HeadScoreVariant.Question, HeadScoreVariant.Picture, HeadScoreVariant.Note];

    private static readonly DiagnosisOptions Small = new()
    {
        Model = Fixtures.Grown("relay"), Data = Fixtures.Conflicts, Limit = 12, Draws = 1, Windows = [3], Gains = [2],
    };

    private readonly TempFolder _temp = new();

    [Fact]
    public void Scores_AreTheProfilesOwn_AndThoseOfAModalityWithoutPairsAreNone()
    {
        using var study = new DiagnosisStudy(Small with { Variants = new Definitions { HeadScore = HeadScoreVariant.Note } });
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        foreach (var score in Exchanges)
        {
            var (all, vision, text) = study.Scores(store, score);
            var profile = found.Interchange.Heads.Select(h => score switch
            {
                HeadScoreVariant.Choice => h.Profile.Choice,
                HeadScoreVariant.Content => h.Profile.Content,
                HeadScoreVariant.Question => h.Profile.Question,
                HeadScoreVariant.Picture => h.Profile.Picture,
                _ => h.Profile.Note,
            });
            Assert.Equal(profile.Select(e => e.Moved.Mean), all);
            Assert.Equal(score == HeadScoreVariant.Note, vision.All(double.IsNaN));
            Assert.Equal(score == HeadScoreVariant.Picture, text.All(double.IsNaN));
            if (score == HeadScoreVariant.Note) Assert.Equal(all, text);
            if (score == HeadScoreVariant.Picture) Assert.Equal(all, vision);
        }
        // Runs told to follow the picture have no other note: nothing is ranked for them, and nothing blocked.
        Assert.Empty(plan.Vision);
        Assert.Equal(plan.Arbitration, plan.Text);
        Assert.Equal(HeadRanking.Order(study.Scores(store, HeadScoreVariant.Note).All, 8).Take(3), plan.Arbitration);
        Assert.Contains(found.Blocking, b => b.Name.Text == "text5");
        Assert.DoesNotContain(found.Blocking, b => b.Name.Kind == HeadSetKind.Vision);
        Assert.Empty(found.Heads.Shared);
        Assert.Equal(3, found.Heads.Count);
        Assert.Equal(plan.Arbitration.Select(h => new HeadId(h.Layer, h.Head)), found.Interchange.Necessary.Heads);
        Assert.Contains("by note", found.Findings[2].Text, StringComparison.Ordinal);
        var necessary = study.Necessary(store, plan);
        Assert.Equal("note", necessary.MetricVariant);
        DiagnosisFiles.Write(_temp.Path, found, study.Arbiters(found.Interchange), necessary);
        DiagnosisReport.Write(_temp.Path, found, Small.Data);
        using var json = JsonDocument.Parse(File.ReadAllBytes(_temp.File("diagnosis.json")));
        var heads = json.RootElement.GetProperty("heads");
        Assert.Equal(JsonValueKind.Null, heads.GetProperty("vision")[0][0].ValueKind);
        Assert.Equal(JsonValueKind.Number, heads.GetProperty("text")[0][0].ValueKind);
        var report = XDocument.Load(_temp.File("report.html")).Root!.Value;
        Assert.DoesNotContain("NaN", report, StringComparison.Ordinal);
        Assert.Contains("Share of the margin moved (note)", report, StringComparison.Ordinal);
        Assert.Contains($"heads,{plan.Arbitration[0].Layer}.{plan.Arbitration[0].Head},exchanged alone,note,all,",
            File.ReadAllText(_temp.File("summary.csv")), StringComparison.Ordinal);
    }

    /// <summary>A single sample has no other sample that could provide a picture.</summary>
    [Fact]
    public void WithoutAPair_NothingIsRanked()
    {
        Directory.CreateDirectory(_temp.File("data/images"));
        var line = File.ReadLines(Path.Combine(Fixtures.Conflicts, "rank.jsonl")).First();
        foreach (var set in new[] { "rank", "test" }) _temp.Write($"data/{set}.jsonl", line + "\n");
        File.Copy(Path.Combine(Fixtures.Conflicts, "images", "rank-0000.png"), _temp.File("data/images/rank-0000.png"));
        File.Copy(Path.Combine(Fixtures.Conflicts, "prompt.json"), _temp.File("data/prompt.json"));
        var options = Small with { Data = _temp.File("data"), Variants = new Definitions { HeadScore = HeadScoreVariant.Picture } };
        using var study = new DiagnosisStudy(options);
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var error = Assert.Throws<InputException>(() => study.Run(store));
        Assert.Equal(
            "--head-score: picture: expected a pair of receiver and donor among the first 80 conflicts of the ranking set, found none",
            error.Message);
    }

    public void Dispose() => _temp.Dispose();
}
