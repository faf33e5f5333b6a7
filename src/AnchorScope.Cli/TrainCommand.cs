using System.CommandLine;
using AnchorScope.Training;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope train</c>: trains a small model from scratch by a recipe.</summary>
internal static class TrainCommand
{
    private const int KeepEvery = 50;

    public static Command Create()
    {
        var recipe = new Argument<string>("RECIPE") { Description = "JSON file of the recipe (docs/recipes/train.md)" };
        var template = new Option<string?>("--template")
            { Description = "LLaVA checkpoint that provides tokenizer, preprocessor and vision sizes (the bundled organism)",
                HelpName = "DIR" };
        var output = new Option<string>("--out")
            { Description = "folder of the run; the finished model is in its subfolder model; an interrupted run is resumed",
                HelpName = "DIR", Required = true };
        var series = new Option<int?>("--series")
            { Description = "also keep a checkpoint every STEPS steps, in the run's subfolder series", HelpName = "STEPS" }.AtLeast(1);
        var threads = Counts.Threads();
        var command = new Command("train", "Trains a small vision-language model from scratch by a recipe: a known circuit to test "
            + "instruments on.") { recipe, template, output, series, threads };
        command.SetAction(parsed =>
        {
            var folder = parsed.GetValue(output)!;
            var loaded = Recipe.Load(parsed.GetValue(recipe)!);
            var trainer = new Trainer(loaded, parsed.GetValue(template) ?? Bundled.Model, folder,
                new TrainerOptions(parsed.GetValue(threads), KeepEvery, parsed.GetValue(series)));
            Run(trainer, loaded, folder);
            return 0;
        });
        return command;
    }

    private static void Run(Trainer trainer, Recipe recipe, string folder)
    {
        using var interrupt = new Interruption();
        try
        {
            WorkProgress.Run(progress =>
            {
                foreach (var stage in recipe.Stages) progress.Expect(stage.Name, stage.Name, stage.Steps);
                trainer.Run(at => progress.Tell(
                    recipe.Stages[at.Stage].Name, at.Step, recipe.Stages[at.Stage].Steps,
                    $"{recipe.Stages[at.Stage].Name}  loss {at.Loss:0.000}{(at.Accuracy is { } right ? $"  right {right:0.000}" : "")}"),
                    interrupt.Token);
                return 0;
            });
        }
        catch (OperationCanceledException e)
        {
            throw Interruption.Stopped($"; the last state is in {folder}", e);
        }
        var steps = Plural.Of(recipe.Stages.Sum(s => s.Steps), "step");
        AnsiConsole.MarkupLineInterpolated($"{trainer.ModelFolder}: trained by {recipe.Name}, {steps}");
    }
}
