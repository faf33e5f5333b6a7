using System.CommandLine;
using AnchorScope.Checkpoints;
using AnchorScope.Reports;
using AnchorScope.Studies;

namespace AnchorScope.Cli;

/// <summary><c>ascope adjudicate</c>: compares methods that name deciding heads, on models whose arbiters are known.</summary>
internal static class AdjudicateCommand
{
    private static int HeadMethods => Enum.GetValues<HeadMethod>().Length;

    public static Command Create()
    {
        var models = new Argument<string[]>("MODEL")
        {
            Description = "checkpoints with a truth.json, or trained ones; for the latter their own diagnosis is the reference",
            Arity = ArgumentArity.OneOrMore,
        };
        var data = new Option<string>("--data") { Description = "folder of their conflict sets", HelpName = "DIR", Required = true };
        var output = new Option<string>("--out") { Description = "folder to write", HelpName = "DIR", Required = true };
        var threads = Counts.Threads();
        var command = new Command(
            "adjudicate", "Runs every usual method of naming deciding heads and compares the result with the known arbiters.")
        {
            models, data, output, threads,
        };
        command.SetAction(parsed =>
        {
            var folder = parsed.GetValue(output)!;
            OutputPath.CheckFolder(folder);
            var given = parsed.GetValue(models)!;
            if (given.GroupBy(Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
                throw InputException.At("MODEL", twice.Key, "every name once", $"{twice.Count()} folders");
            foreach (var model in given.Where(m => !File.Exists(Path.Combine(m, "config.json"))))
                throw InputException.At(model, "config.json", "a checkpoint", "none");
            using var interrupt = new Interruption();
            var left = 0;
            var results = new List<Adjudication>();
            foreach (var model in given)
            {
                var truth = PlantedRoles.Beside(model);
                var options = new DiagnosisOptions
                {
                    Model = model, Data = parsed.GetValue(data)!, Windows = [3], Gains = [1.5], Threads = parsed.GetValue(threads),
                };
                using var study = new DiagnosisStudy(options);
                var name = Name(model);
                Directory.CreateDirectory(folder);
                using var held = FolderLock.Take(folder);
                using var store = ResultStore.Open(Path.Combine(folder, $"{name}.jsonl"), resume: false);
                DiagnoseCommand.Introduce(study);
                var estimate = DryRun.Line(study.Estimate(interrupt.Token));
                Terminal.Note(
                    $"the diagnosis of {name}: {estimate}; then {HeadMethods} methods on {AdjudicationStudy.Samples} conflicts at most");
                results.Add(WorkProgress.Run(progress => new AdjudicationStudy(study, store).Run(
                    name, truth, step => progress.Tell(step.Phase, step.Done, step.Of, PhaseNames.Of(step.Phase)), interrupt.Token)));
                left += study.Data.Rejected.Count;
                Console.WriteLine(AdjudicationFiles.Markdown(results[^1]));
            }
            var summaries = AdjudicationSummary.Of(results);
            AdjudicationFiles.Write(folder, results, summaries);
            AdjudicationFigures.Write(folder, summaries);
            foreach (var summary in summaries) Console.WriteLine(AdjudicationFiles.Markdown(summary));
            Console.WriteLine(Path.Combine(folder, "adjudication.md"));
            return left > 0 ? CommandLine.SomeLeftOut : 0;
        });
        return command;
    }

    /// <summary>The folder's name, which identifies the model in tables.</summary>
    private static string Name(string model) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model)));
}
