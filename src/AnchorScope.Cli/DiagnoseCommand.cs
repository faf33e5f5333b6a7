using System.CommandLine;
using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Reports;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope diagnose</c>, the main command: from a checkpoint and a conflict set to a report.</summary>
internal static class DiagnoseCommand
{
    /// <summary>Number of left-out lines that are listed on the terminal.</summary>
    private const int Listed = 10;

    public static Command Create()
    {
        var settings = new DiagnosisSettings();
        var output =
            new Option<string?>("--out") { Description = "folder to write (default: the next free out/diagnosis-NNN)", HelpName = "DIR" };
        var resume = new Option<bool>("--resume") { Description = "resume the run in --out, or in the latest out/diagnosis-NNN" };
        var series = new Option<string?>("--series")
            { Description = "folder of checkpoints kept during training (ascope train --series): diagnoses each and writes one report "
                + "on all steps", HelpName = "DIR" };
        var dry = DryRun.Option();
        var json = JsonOutput.Option();
        var command = new Command("diagnose", "Finds where a model decides between picture and text, and which heads decide; "
            + "writes a report.") { output, resume, series, dry, json };
        foreach (var option in settings.Options) command.Options.Add(option);
        command.SetAction(parsed =>
        {
            var options = settings.Read(parsed);
            if (parsed.GetValue(series) is not null && settings.NamesModel(parsed))
                throw new InputException("--series: names the models; expected no --model beside it, found one");
            if (parsed.GetValue(dry))
            {
                if (parsed.GetValue(output) is not null || parsed.GetValue(resume))
                    throw new InputException("--dry-run: writes nothing; expected no --out and no --resume beside it, found one");
                return Look(options, parsed.GetValue(series), parsed.GetValue(json));
            }
            var folder = parsed.GetValue(output) ?? DiagnosisFolder.Default(parsed.GetValue(resume));
            if (parsed.GetValue(series) is { } checkpoints)
            {
                if (parsed.GetValue(json))
                    throw new InputException(
                        "--json: prints one diagnosis; expected no --series beside it, found one (its series.json is in --out)");
                return DiagnoseSeries.Run(checkpoints, options, folder, parsed.GetValue(resume));
            }
            using var study = new DiagnosisStudy(options);
            using var store = DiagnosisFolder.Open(folder, study.Identity, parsed.GetValue(resume));
            using var interrupt = new Interruption();
            Introduce(study);
            if (store.Samples > 0) Terminal.Note($"resuming: {Plural.Of(store.Samples, "sample", "is", "are")} done");
            try
            {
                if (store.Samples == 0) Terminal.Note($"{DryRun.Line(study.Estimate(interrupt.Token))}");
                var diagnosis = WorkProgress.Run(progress => Complete(study, store, folder, progress, interrupt.Token));
                if (parsed.GetValue(json)) JsonOutput.Print(diagnosis);
                else Summary.Print(diagnosis, folder);
            }
            catch (OperationCanceledException e)
            {
                throw Interruption.Stopped($"after {Plural.Of(store.Samples, "sample")}", e, "--resume", ("--out", folder));
            }
            return study.Data.Rejected.Count > 0 ? CommandLine.SomeLeftOut : 0;
        });
        return command;
    }

    private static int Look(DiagnosisOptions options, string? series, bool json)
    {
        var checkpoints = series is null ? [] : SeriesCheckpoint.In(series);
        using var study = new DiagnosisStudy(checkpoints.Count == 0 ? options : options with { Model = checkpoints[0].Folder });
        using var interrupt = new Interruption();
        Introduce(study, all: true);
        DryRun.Print(study, Math.Max(1, checkpoints.Count), json, interrupt.Token);
        return study.Data.Rejected.Count > 0 ? CommandLine.SomeLeftOut : 0;
    }

    /// <summary>Prints the model, the sets and the lines that were left out.</summary>
    /// <param name="all">Whether to list all left-out lines, because no report will list them.</param>
    internal static void Introduce(DiagnosisStudy study, bool all = false)
    {
        var shape = study.Model.Engine.Shape;
        Opening.Warn(study.Warnings);
        var heads = $"{Plural.Of(shape.Layers, "layer")} of {Plural.Of(shape.Heads, "head")}";
        var steered = study.Named.TryGetValue("steering", out var steering) ? $", steered: {steering}" : "";
        Terminal.Note($"[bold]{study.Options.Model}[/]: {study.Model.Family}, {heads}{steered}");
        Terminal.Note($"[bold]{study.Options.Data}[/]: {string.Join(", ", study.Data.Sets.Select(s => $"{s.Samples.Count} {s.Name}"))}");
        List(study.Data.Rejected, all ? int.MaxValue : Listed);
    }

    /// <summary>Prints the first left-out lines and how many more there are.</summary>
    internal static void List(IReadOnlyList<RejectedLine> rejected, int most = Listed)
    {
        foreach (var left in rejected.OrderBy(r => r.File, StringComparer.Ordinal).ThenBy(r => r.Line).Take(most))
            Terminal.Error.MarkupLineInterpolated(
                $"[yellow]left out[/] {left.File}{(left.Line > 0 ? $":{left.Line}" : "")} {left.Id}: {left.Reason}");
        if (rejected.Count > most)
            Terminal.Error.MarkupLineInterpolated($"[yellow]left out[/] {rejected.Count - most} more, listed in the report");
    }

    private static Diagnosis Complete(DiagnosisStudy study, ResultStore store, string folder, WorkProgress progress,
        CancellationToken cancel)
    {
        string Name(string phase) => PhaseNames.Of(phase, estimated: study.Options.Variants.Screen != HeadScreen.Exact);
        foreach (var set in study.Phases) progress.Expect(set.Phase, Name(set.Phase), set.Samples);
        return DiagnosisJob.Complete(study, store, folder, step => progress.Tell(step.Phase, step.Done, step.Of, Name(step.Phase)), cancel);
    }
}
