using System.CommandLine;
using AnchorScope.Models;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>Previews a diagnosis before anything is computed: one prompt as the model reads it, and the estimated cost.</summary>
internal static class DryRun
{
    public static Option<bool> Option() =>
        new("--dry-run")
            { Description = "check model and data, print one prompt with its parts and the estimated cost; nothing is written" };

    /// <param name="checkpoints">Number of models to diagnose, each with the same cost.</param>
    public static void Print(DiagnosisStudy study, int checkpoints, bool json, CancellationToken cancel)
    {
        var (prompt, estimate) = (study.Render(cancel), study.Estimate(cancel));
        if (json)
        {
            JsonOutput.Print(new { Prompt = prompt, Estimate = estimate });
            return;
        }
        AnsiConsole.MarkupLineInterpolated($"[bold]{prompt.Run}[/] as the model reads it, {Plural.Of(prompt.Tokens.Count, "position")}:");
        AnsiConsole.Write(Parts(study.Model, prompt));
        AnsiConsole.Write(Phases(estimate));
        AnsiConsole.MarkupLine("[grey]The smaller number assumes that no run fails and no search finds a head; the larger one that every "
            + "run fails and every search continues to its last head. Exchanges are left out if the donor run has a different length. "
            + "Shares refer to the larger number.[/]");
        AnsiConsole.MarkupLineInterpolated($"{Line(estimate, checkpoints)}");
    }

    /// <summary>The estimated cost in one sentence.</summary>
    public static string Line(StudyEstimate estimate, int checkpoints = 1)
    {
        var runs = $"{Amount.Count(checkpoints * estimate.Least.Runs)} to {Amount.Count(checkpoints * estimate.Most.Runs)} runs";
        return $"about {runs}, {Amount.Range(checkpoints * estimate.LeastSeconds, checkpoints * estimate.MostSeconds)} on this machine, "
            + $"{Amount.Bytes(estimate.WeightBytes)} of weights and up to "
            + $"{Amount.Bytes(estimate.WorkBytes)} of recorded runs and activations";
    }

    /// <summary>A table of the contiguous position ranges and the part of the prompt that each belongs to.</summary>
    private static Table Parts(VisionLanguageModel model, PromptRecord prompt)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("part").AddColumn("positions").AddColumn("text");
        // The last position also belongs to the suffix.
        var kinds = new string[prompt.Tokens.Count];
        foreach (var (kind, positions) in prompt.Spans.Where(span => span.Key != "last"))
        {
            foreach (var position in positions) kinds[position] = kind;
        }
        for (int from = 0, to; from < kinds.Length; from = to)
        {
            for (to = from + 1; to < kinds.Length && kinds[to] == kinds[from];) to++;
            var text = kinds[from] == "image" ? $"{Plural.Of(to - from, "position")} of the picture"
                : model.Tokenizer.Decode([.. prompt.Tokens.Skip(from).Take(to - from)], skipSpecial: false);
            table.AddRow(kinds[from] is { } part ? $"[bold]{part}[/]" : "[grey]template[/]",
                from == to - 1 ? $"{from}" : $"{from} to {to - 1}", Markup.Escape(text.Replace("\n", "\\n", StringComparison.Ordinal)));
        }
        return table;
    }

    private static Table Phases(StudyEstimate estimate)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("part of the run");
        foreach (var column in new[] { "samples", "runs", "share of the time" })
            table.AddColumn(new TableColumn(column) { Alignment = Justify.Right });
        foreach (var phase in estimate.Phases)
        {
            var (least, most) = (Amount.Count(phase.Least.Runs), Amount.Count(phase.Most.Runs));
            table.AddRow(PhaseNames.Of(phase.Phase), $"{phase.Samples:#,0}", least == most ? most : $"{least} to {most}",
                $"{100 * phase.Most.Operations / estimate.Most.Operations:0} %");
        }
        return table;
    }
}
