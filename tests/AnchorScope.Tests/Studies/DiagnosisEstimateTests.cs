using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>The estimate before a diagnosis compared with what the diagnosis then runs.</summary>
public sealed class DiagnosisEstimateTests
{
    private static readonly DiagnosisOptions Options = new()
    {
        Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 12, Windows = [1, 3], Gains = [1.5, 2], Draws = 12,
    };

    public static TheoryData<string> Screens => [.. Enum.GetNames<HeadScreen>()];

    [Theory]
    [MemberData(nameof(Screens))]
    public void EveryPhaseRunsAsManyConditionsAsItsRangeSays(string screen)
    {
        using var temp = new TempFolder();
        using var study = new DiagnosisStudy(Options with { Variants = new Definitions { Screen = Enum.Parse<HeadScreen>(screen) } });
        using var store = ResultStore.Open(temp.File("results.jsonl"), resume: false);
        var estimate = study.Estimate();
        study.Run(store);
        Assert.Equal(study.Phases.Select(p => p.Phase), estimate.Phases.Select(p => p.Phase));
        foreach (var phase in estimate.Phases)
        {
            var (run, runs) = (Conditions(study, store, phase.Phase), 2 * phase.Samples);
            // Runs without a row: generated answers, points of backward passes, the run whose values replace what is removed.
            var points = study.Options.Variants.Screen switch { HeadScreen.Exact => 0, HeadScreen.Slope => 1, _ => 5 };
            var rowless = phase.Phase switch
            {
                "rank" => (1 + points) * runs,
                "parts" or "test" or "hard" or "control" or "ablation" => runs,
                "attribute" => 5 * runs,
                _ => 0,
            };
            Assert.True(run <= phase.Most.Runs, $"{phase.Phase}: {run} conditions, at most {phase.Most.Runs} expected");
            // A donor that is there may have another length than its receiver: then some exchanges are left out.
            var donors = phase.Phase is "profile" or "search" or "attribute" or "exchange" or "exchange_random";
            Assert.True(run >= (donors ? 0.85 : 1) * (phase.Least.Runs - rowless),
                $"{phase.Phase}: {run} conditions, at least {phase.Least.Runs - rowless} expected");
            Assert.True(phase.Most.Runs - phase.Least.Runs > 0
                == phase.Phase is not ("rank" or "verify" or "parts" or "control" or "profile" or "attribute"), phase.Phase);
        }
    }

    [Fact]
    public void TheWholeIsTheSumOfItsParts_AndMoreSamplesAreMoreWork()
    {
        using var study = new DiagnosisStudy(Options);
        var few = study.Estimate();
        Assert.Equal(few.Phases.Sum(p => p.Most.Runs), few.Most.Runs);
        Assert.Equal(few.Phases.Sum(p => p.Least.Operations), few.Least.Operations);
        Assert.All(few.Phases, p => Assert.True(p.Least.Operations <= p.Most.Operations && p.Least.Runs <= p.Most.Runs, p.Phase));
        Assert.True(few.LeastSeconds > 0 && few.LeastSeconds <= few.MostSeconds);
        using var larger = new DiagnosisStudy(Options with { Limit = 24 });
        Assert.Equal(2, larger.Estimate().Phases[0].Most.Runs / few.Phases[0].Most.Runs, 1e-9);
        // Memory is that of every worker.
        using var threads = new DiagnosisStudy(Options with { Threads = 4 });
        using var one = new DiagnosisStudy(Options with { Threads = 1 });
        Assert.Equal(4 * one.Estimate().WorkBytes, threads.Estimate().WorkBytes);
    }

    private static int Conditions(DiagnosisStudy study, ResultStore store, string phase)
    {
        var names = phase == "search"
            ? InterchangeStudy.Searches.SelectMany(
                s => Enumerable.Range(1, InterchangeStudy.MostHeads)
                    .SelectMany(i => new[] { $"search/{s.Name}/{i}", $"search/{s.Name}/{i}-pairs" }))
            : [phase];
        return names.SelectMany(name => study.Data.Sets.SelectMany(set => set.Samples).Select(sample => store.Find(name, sample.Id)))
            .Where(rows => rows is not null).SelectMany(rows => rows!)
            .Sum(row => phase == AmplificationStudy.NormPhase
                ? row.Curves.Count : row.Outcomes.Keys.Count(name => !name.StartsWith("receiver/", StringComparison.Ordinal)));
    }
}
