using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>The choosing and carrying heads of the bundled relay, as found with the reference library by separate exchanges.</summary>
public sealed class RelayRolesTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void ArbitersAndCarriersAreFoundAndAreOthersThanTheNecessaryHeads()
    {
        var options = new DiagnosisOptions
            { Model = Path.Combine(Fixtures.Root, "models", "relay"), Data = Fixtures.Conflicts, Limit = 60, Windows = [3], Gains = [2] };
        using var study = new DiagnosisStudy(options);
        using var store = ResultStore.Open(_temp.File("results.jsonl"), resume: false);
        var plan = study.Run(store);
        var found = study.Reduce(store, plan);
        var who = found.Interchange;
        var (arbiters, carriers) = (who.Set("arbiters"), who.Set("decision_carriers"));
        Assert.True(arbiters.Found);
        Assert.InRange(arbiters.Heads.Count, 1, 8);
        Assert.True(arbiters.Measured!.Choice.Switched.Mean >= 0.6, $"{arbiters.Measured.Choice.Switched}");
        // Their queries hold the choice: even from a donor with another picture and note, they give the run's own other answer.
        Assert.True(arbiters.Measured.ChoiceCrossed.OwnOther.Low > arbiters.Measured.ChoiceCrossed.Switched.High);
        Assert.True(carriers.Found);
        Assert.Empty(carriers.Heads.Intersect(arbiters.Heads));
        Assert.True(carriers.Measured!.Content.Switched.Mean >= 0.85, $"{carriers.Measured.Content.Switched}");
        Assert.True(carriers.Measured.Choice.Switched.Mean <= 0.05, $"{carriers.Measured.Choice.Switched}");
        // The same instruction in other words: their queries keep the answer.
        Assert.True(arbiters.Measured.Phrasing is { Pairs: > 20, Moved.High: < 0.05, Switched.High: < 0.1 },
            $"{arbiters.Measured.Phrasing}");
        // The head whose blocking costs most holds neither the choice nor the answer: it holds the question.
        var necessary = found.Blocking.First(b => b.Name == HeadPlan.Tested).Heads;
        Assert.Equal(new HeadId(2, 1), necessary[0]);
        var first = who.Heads.First(h => (h.Layer, h.Head) == (2, 1));
        Assert.Equal(EnumName.Of(HeadRole.CarrierQuestion), first.Role);
        Assert.True(first.Profile.Question.Switched.Low > 0.7);
        Assert.True(first.Profile.Choice.Moved.High < 0.05 && first.Profile.Content.Moved.High < 0.05);
        Assert.True(who.Necessary.Choice.Switched.High < 0.1);
        // The portable set is that of the arbiters; a set found by blocking is stored next to it.
        Assert.Equal("choice", study.Arbiters(who).MetricVariant);
        Assert.Equal(arbiters.Heads.Select(h => (h.Layer, h.Head)), study.Arbiters(who).Heads.Select(h => (h.Layer, h.Head)));
        ADifferentPhrasing_CouldHaveSaidNo(study, store, plan);
    }

    /// <summary>As if their queries of the same instruction in other words did what those of the other instruction do.</summary>
    private static void ADifferentPhrasing_CouldHaveSaidNo(DiagnosisStudy study, ResultStore store, HeadPlan plan)
    {
        foreach (var run in study.Data.Test.Samples.SelectMany(s => store.Find("exchange", s.Id)!))
        {
            foreach (var condition in run.Outcomes.Keys.Where(k => k.StartsWith("interchange/phrasing/query/", StringComparison.Ordinal))
                .ToList())
            {
                var other = condition.Replace("/phrasing/", "/instruction/", StringComparison.Ordinal);
                if (run.Outcomes.TryGetValue(other, out var switched)) run.Outcomes[condition] = switched;
            }
        }
        var doubted = study.Reduce(store, plan);
        var arbiters = doubted.Interchange.Set("arbiters");
        Assert.False(arbiters.Found);
        Assert.True(arbiters.Measured!.Phrasing.Moved.Low > 0.05);
        Assert.Equal(FindingStatus.Unclear, doubted.Findings[1].Status);
        Assert.Contains("queries of the same instruction phrased otherwise move the answer as well", doubted.Findings[1].Text,
            StringComparison.Ordinal);
        Assert.Contains("not which modality it names", doubted.Findings[1].Text, StringComparison.Ordinal);
        Assert.Empty(study.Arbiters(doubted.Interchange).Heads);
    }

    public void Dispose() => _temp.Dispose();
}
