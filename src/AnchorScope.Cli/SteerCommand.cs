using System.CommandLine;
using System.Globalization;
using AnchorScope.Reports;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope steer</c>: directions that steer a model towards picture or text.</summary>
internal static class SteerCommand
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["fit"] = "differences between instructions",
        ["learn"] = "trained directions",
        ["norm"] = "change of the residual stream",
        ["validate"] = "strengths, ranking half",
        ["validate_hard"] = "strengths, hard samples",
        ["test"] = "test samples",
        ["control"] = "side effects on controls",
        ["unseen"] = "unseen samples",
    };

    public static Command Create()
    {
        var settings = new DiagnosisSettings();
        var diagnosis = new Option<string>("--diagnosis")
            { Description = "folder of the model's diagnosis: its arbiters and carriers are steered", HelpName = "DIR", Required = true };
        var unseen = new Option<string?>("--unseen")
            { Description = "a second data folder, whose test split is reported as well: phrasings that were not used for fitting",
                HelpName = "DIR" };
        var strengths = new Option<string?>("--strengths")
            { Description = "strengths of a direction, each with both signs; 1 is the mean difference between the instructions "
                + "(0.5,1,1.5,2,3,4)", HelpName = "LIST" };
        var draws = new Option<int?>("--draws")
            { Description = "random sets of heads whose queries are steered for comparison (19); 0: no claim is made", HelpName = "N" }
            .AtLeast(0);
        var output = new Option<string>("--out") { Description = "folder to write", HelpName = "DIR", Required = true };
        var resume = new Option<bool>("--resume") { Description = "resume the run in --out" };
        var command = new Command(
            "steer", "Fits directions that steer a model towards picture or text, and compares them with gains, boosts and random heads.")
        {
            diagnosis, unseen, strengths, draws, output, resume,
        };
        foreach (var option in settings.SteeringOptions) command.Options.Add(option);
        command.SetAction(parsed =>
        {
            var defaults = new SteeringOptions { Diagnosis = parsed.GetValue(diagnosis)!, Unseen = parsed.GetValue(unseen) };
            var options = defaults with
            {
                Strengths = parsed.GetValue(strengths) is { } list
                    ? [.. DiagnosisSettings.Numbers("--strengths", list, 0, 1e6).Order()] : defaults.Strengths,
                Draws = parsed.GetValue(draws) ?? defaults.Draws,
            };
            var folder = parsed.GetValue(output)!;
            using var study = new SteeringStudy(settings.Read(parsed), options);
            using var store = DiagnosisFolder.Open(folder, study.Identity, parsed.GetValue(resume));
            using var interrupt = new Interruption();
            DiagnoseCommand.Introduce(study.Diagnosed);
            DiagnoseCommand.List([.. study.Rejected.Except(study.Diagnosed.Data.Rejected)]);
            if (store.Samples > 0) Terminal.Note($"resuming: {Plural.Of(store.Samples, "sample", "is", "are")} done");
            try
            {
                var (result, file) = Show(study, store, folder, interrupt.Token);
                file.Save(result.Model.Name);
                SteeringReport.Write(folder, result);
                Print(result, folder);
            }
            catch (OperationCanceledException e)
            {
                throw Interruption.Stopped($"after {Plural.Of(store.Samples, "sample")}", e, "--resume");
            }
            return study.Rejected.Count > 0 ? CommandLine.SomeLeftOut : 0;
        });
        return command;
    }

    private static (SteeringResult Result, Interventions.DirectionFile File) Show(SteeringStudy study, ResultStore store, string folder,
        CancellationToken cancel) =>
        WorkProgress.Run(progress =>
        {
            foreach (var (phase, samples) in study.Phases) progress.Expect(phase, Names[phase], samples);
            return study.Run(store, folder, step => progress.Tell(step.Phase, step.Done, step.Of, Names[step.Phase]), cancel);
        });

    private static void Print(SteeringResult result, string folder)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("method");
        foreach (var column in new[] { "knob", "text to picture", "kept", "picture to text", "kept", "repair",
            "repaired", "net", "no conflict" })
            table.AddColumn(new TableColumn(column) { Alignment = Justify.Right });
        foreach (var m in result.Methods)
        {
            string Text(double? value, string form) => value?.ToString(form, CultureInfo.InvariantCulture) ?? "";
            string Chosen(SteeringChoice? chosen) =>
                chosen is { } c ? FormattableString.Invariant($"{(c.Label.Length > 0 ? c.Label + " " : "")}x{c.Strength:R}") : "none";
            table.AddRow(
                Markup.Escape(m.Name), m.Turn is null ? "" : Chosen(m.Turn.Chosen), Text(m.Turn?.ToPicture?.Switched.Mean, "0.00"),
                Text(m.Turn?.ToPicture?.Kept.Mean, "0.00"),
                Text(m.Turn?.ToText?.Switched.Mean, "0.00"), Text(m.Turn?.ToText?.Kept.Mean, "0.00"), Chosen(m.Repair.Chosen),
                Text(m.Repair.Test?.Repaired.Mean, "0.00"), Text(m.Repair.Test?.Net.Mean, "+0.000;-0.000;0"),
                Text(m.Repair.Control?.Net.Mean, "+0.000;-0.000;0"));
        }
        AnsiConsole.Write(table);
        if (result.Heads.Arbiters.Count == 0)
            AnsiConsole.MarkupLine("no arbiters were found in this model, so no directions of queries were fitted");
        if (result.Heads.ChoiceCarriers.Count == 0)
            AnsiConsole.MarkupLine("no carriers of the choice were found in this model, so no directions of outputs (z) were fitted");
        foreach (var (text, _) in SteeringReport.Findings(result)) AnsiConsole.MarkupLineInterpolated($"{text}");
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{Path.Combine(folder, "report.html")}[/], the directions: {Path.Combine(folder, "directions.safetensors")}");
    }
}
