using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>A small diagnosis with as many random sets as a claim requires.</summary>
public sealed class SmallRun : IDisposable
{
    private readonly TempFolder _folder = new();

    public SmallRun()
    {
        Study = new DiagnosisStudy(Options);
        Store = ResultStore.Open(_folder.File("results.jsonl"), resume: false);
        Plan = Study.Run(Store);
        // Tests with changed outcomes may choose a factor where the measured run chose none, and other runs may fail: these rows are for
        // them; random heads repair nothing in them.
        foreach (var sample in Study.Data.Hard!.Samples.Take(8).Where(s => Store.Find(AmplificationStudy.NormPhase, s.Id) is null))
        {
            var rows = sample.Runs.Select(r => new RunResult(r.Id, 0, 0)).ToList();
            foreach (var row in rows)
            {
                row.Outcomes["baseline"] = default;
                foreach (var set in Plan.Draws(HeadPlan.Random).Prepend(HeadPlan.Tested))
                    foreach (var factor in StrengthMatch.Further([2]))
                        row.Curves[DirectionRunner.Norm + ConditionId.Gain(set, factor)] = [1];
            }
            Store.Append(AmplificationStudy.NormPhase, sample.Id, rows);
        }
        foreach (var sample in Study.Data.Test.Samples)
        {
            var rows = sample.Runs.Select(r => new RunResult(r.Id, 0, 0)).ToList();
            foreach (var row in rows)
            {
                for (var draw = 0; draw < AmplificationStudy.MatchedDraws; draw++) row.Outcomes[ConditionId.MatchedGain(draw)] = default;
                row.Outcomes["baseline"] = Store.Find("test", sample.Id)!.First(r => r.Run == row.Run).Outcomes["baseline"] with
                    { ArgMax = 0 };
            }
            Store.Append(AmplificationStudy.MatchedPhase, sample.Id, rows);
        }
    }

    internal static DiagnosisOptions Options { get; } = new() { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 24,
        Windows = [3], Gains = [2] };

    internal DiagnosisStudy Study { get; }

    internal ResultStore Store { get; }

    internal HeadPlan Plan { get; }

    public void Dispose()
    {
        Study.Dispose();
        Store.Dispose();
        _folder.Dispose();
    }
}
