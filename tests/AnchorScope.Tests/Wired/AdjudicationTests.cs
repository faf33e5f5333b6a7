using System.Text.Json;
using System.Xml.Linq;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Wired;

/// <summary>Methods that name deciding heads, on models whose necessary or attentive heads do not arbitrate.</summary>
public sealed class AdjudicationTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void OnTheDecoy_AblationNamesCarriers_AndRolesTheArbiter()
    {
        var found = Run("wired-decoy");
        var arbiter = new HeadId(2, 0);
        MethodResult Of(HeadMethod method) => found.Methods.Single(m => m.Method == EnumName.Of(method));
        Assert.Equal([arbiter], found.Arbiters);
        Assert.Equal(Enum.GetValues<HeadMethod>().Length, found.Methods.Count);
        Flags(HeadMethod.ZeroAblation, 0.25, 1.0, new HeadId(0, 1), new HeadId(1, 2), arbiter, new HeadId(3, 1));
        Assert.Equal("carrier_question", Of(HeadMethod.ZeroAblation).BestRole);
        Assert.False(Of(HeadMethod.ZeroAblation).First);
        // Effects that do not arise at the last position are not visible there.
        Flags(HeadMethod.LastPositionAblation, 0.0, 0.0, new HeadId(3, 1));
        Flags(HeadMethod.DirectLogitAttribution, 0.0, 0.0, new HeadId(3, 1));
        Flags(HeadMethod.LastPositionPatching, 0.0, 0.0, new HeadId(3, 1));
        Flags(HeadMethod.RestorationPca, 0.0, 0.0, new HeadId(3, 1));
        Flags(HeadMethod.OutputInterchange, 0.5, 1.0, arbiter, new HeadId(3, 1));
        Flags(HeadMethod.QueryInterchange, 1.0, 1.0, arbiter);
        Flags(HeadMethod.QueryAttribution, 1.0, 1.0, arbiter);
        Flags(HeadMethod.Roles, 1.0, 1.0, arbiter);
        Assert.True(Of(HeadMethod.Roles).First);
        Assert.Contains("| roles | 2.0 | 1.00 | 1.00 | 1 of 1 | 2.0, arbiter |", AdjudicationFiles.Markdown(found),
            StringComparison.Ordinal);

        void Flags(HeadMethod method, double precision, double recall, params HeadId[] heads)
        {
            Assert.Equal(heads, Of(method).Flagged);
            Assert.Equal((precision, recall), (Of(method).Precision, Of(method).Recall));
        }
    }

    /// <summary>2.0 attends as the arbiter 2.3 does, and nothing reads what it writes.</summary>
    [Fact]
    public void OnTheOnlooker_AttentionNamesBoth_AndInterchangeTheArbiter()
    {
        var found = Run("wired-onlooker");
        HeadId onlooker = new(2, 0), arbiter = new(2, 3);
        MethodResult Of(HeadMethod method) => found.Methods.Single(m => m.Method == EnumName.Of(method));
        Assert.Equal([arbiter], found.Arbiters);
        var attention = Of(HeadMethod.AttentionShift);
        Assert.Equal([onlooker, arbiter], attention.Flagged);
        Assert.Equal((0.5, 1.0), (attention.Precision, attention.Recall));
        // Their attention patterns are bit-identical, so the two tie and the arbiter does not rank first.
        Assert.Equal((false, 0), (attention.First, attention.Hits));
        foreach (var method in new[] { HeadMethod.QueryInterchange, HeadMethod.PatternInterchange, HeadMethod.Roles })
        {
            Assert.Equal([arbiter], Of(method).Flagged);
            Assert.Equal((true, 1), (Of(method).First, Of(method).Hits));
        }
        Assert.All(found.Methods.Where(m => m != attention), method => Assert.DoesNotContain(onlooker, method.Flagged));
        CheckFiles(found);
    }

    /// <summary>
    /// Exchanged alone, neither changes anything; on the integration path, on which both are exchanged together, each gets its share.
    /// </summary>
    [Fact]
    public void OnTheRedundantPair_SingleExchangesNameNeither_AndAttributionBoth()
    {
        var found = Run("wired-redundant");
        MethodResult Of(HeadMethod method) => found.Methods.Single(m => m.Method == EnumName.Of(method));
        HeadId[] pair = [new(1, 2), new(2, 0)];
        Assert.Equal(pair, found.Arbiters);
        Assert.Empty(Of(HeadMethod.QueryInterchange).Flagged);
        Assert.Equal(pair, Of(HeadMethod.QueryAttribution).Flagged);
        Assert.Equal(pair, Of(HeadMethod.Roles).Flagged);
    }

    private Adjudication Run(string name)
    {
        var folder = Fixtures.Grown(name);
        using var study = new DiagnosisStudy(new DiagnosisOptions
        {
            Model = folder, Data = Path.Combine(Fixtures.Root, "data", "wired-conflicts"), Limit = 32, Windows = [3], Gains = [2],
        });
        using var store = ResultStore.Open(_temp.File($"{name}.jsonl"), resume: false);
        return new AdjudicationStudy(study, store).Run(name, PlantedRoles.Beside(folder));
    }

    /// <summary>The figures and the JSON say what the tables say.</summary>
    private void CheckFiles(Adjudication found)
    {
        var summaries = AdjudicationSummary.Of([found]);
        AdjudicationFiles.Write(_temp.Path, [found], summaries);
        AdjudicationFigures.Write(_temp.Path, summaries);
        using var json = JsonDocument.Parse(File.ReadAllBytes(_temp.File("adjudication.json")));
        Assert.Equal(AdjudicationFiles.Schema, json.RootElement.GetProperty("schema").GetInt32());
        var attention = json.RootElement.GetProperty("summaries")[0].GetProperty("methods").EnumerateArray()
            .Single(m => m.GetProperty("method").GetString() == "attention_shift");
        Assert.Equal([2, 1, 1], new[] { "flagged", "hits", "runs" }.Select(field => attention.GetProperty(field).GetInt32()));
        Assert.Equal(0.5, attention.GetProperty("precision").GetProperty("mean").GetDouble());
        var roles = Titles("figures/roles-planted.svg");
        // 12 generated heads and the onlooker have no role.
        Assert.Contains("attention shift, none: 1 of 13", roles);
        Assert.Contains("attention shift, arbiter: 1 of 1", roles);
        Assert.Contains("roles, none: 0 of 13", roles);
        const string precision = "precision: flagged heads that are arbiters\nattention shift: 0.5 [";
        Assert.Contains(Titles("figures/methods-planted.svg"), title => title.StartsWith(precision, StringComparison.Ordinal));
    }

    private List<string> Titles(string figure) =>
        [.. XDocument.Load(_temp.File(figure)).Descendants().Where(e => e.Name.LocalName == "title").Select(title => title.Value)];

    public void Dispose() => _temp.Dispose();
}
