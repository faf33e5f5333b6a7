using AnchorScope.Reports;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>
/// <c>ascope diagnose --series</c>: diagnoses every checkpoint that training kept, each into its own subfolder, and writes one report on
/// all of them.
/// </summary>
internal static class DiagnoseSeries
{
    public static int Run(string series, DiagnosisOptions options, string folder, bool resume)
    {
        var checkpoints = SeriesCheckpoint.In(series);
        using var first = new DiagnosisStudy(options with { Model = checkpoints[0].Folder });
        using var held = DiagnosisFolder.Begin(folder, TrainingSeries.IdentityOf(first), resume);
        DiagnoseCommand.Introduce(first);
        var steps = checkpoints.Count == 1 ? $"step {checkpoints[0].Step}" : $"steps {checkpoints[0].Step} to {checkpoints[^1].Step}";
        Terminal.Note($"[bold]{series}[/]: {Plural.Of(checkpoints.Count, "checkpoint")}, {steps}");
        using var interrupt = new Interruption();
        var (points, facts) = (new List<SeriesPoint>(), (Diagnosis?)null);
        try
        {
            if (!resume) Terminal.Note($"{DryRun.Line(first.Estimate(interrupt.Token), checkpoints.Count)}");
            WorkProgress.Run(progress =>
            {
                foreach (var checkpoint in checkpoints)
                {
                    facts = One(checkpoint, options, Path.Combine(folder, checkpoint.Name),
                        share => progress.Tell("checkpoints", points.Count + share, checkpoints.Count, checkpoint.Name), interrupt.Token);
                    points.Add(SeriesPoint.Of(checkpoint, facts));
                    progress.Tell("checkpoints", points.Count, checkpoints.Count);
                }
                return 0;
            });
        }
        catch (OperationCanceledException e)
        {
            throw Interruption.Stopped($"after {points.Count} of {Plural.Of(checkpoints.Count, "checkpoint")}", e, "--resume",
                ("--out", folder));
        }
        SeriesReport.Write(folder, new TrainingSeries(3, facts!.Tool, facts.Data, facts.Variants, facts.Seed, points));
        foreach (var point in points)
        {
            var (arbiters, necessary) = (Heads(point.Set("arbiters")), string.Join(' ', point.Best.Take(3)));
            AnsiConsole.MarkupInterpolated($"{point.Checkpoint}: MFR {point.Argmax.All.Mean:0.00}, {EnumName.Of(point.Route.Verdict)}; ");
            AnsiConsole.MarkupLineInterpolated($"arbiters {arbiters}; necessary heads blocked {point.Blocked.All.Mean:0.00} ({necessary})");
        }
        AnsiConsole.MarkupLineInterpolated($"[bold]{Path.Combine(folder, "report.html")}[/]");
        return facts.Rejected.Count > 0 ? CommandLine.SomeLeftOut : 0;
    }

    private static string Heads(SeriesSet set) => set.Found ? $"{string.Join(' ', set.Heads)}: {set.Switched.Mean:0.00}" : "not found";

    private static Diagnosis One(SeriesCheckpoint checkpoint, DiagnosisOptions options, string folder, Action<double> progress,
        CancellationToken cancel)
    {
        using var study = new DiagnosisStudy(options with { Model = checkpoint.Folder });
        using var store = DiagnosisFolder.Open(folder, study.Identity, resume: DiagnosisFolder.IsBegun(folder));
        var samples = study.Phases.Sum(p => p.Samples);
        return DiagnosisJob.Complete(study, store, folder, _ => progress((double)store.Samples / samples), cancel);
    }
}
