using AnchorScope.Metrics;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary>The terminal summary of a finished diagnosis: one table, the findings, and the path of the report.</summary>
internal static class Summary
{
    public static void Print(Diagnosis diagnosis, string folder)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("");
        foreach (var column in new[] { "picture", "text", "both", "95 % interval" })
            table.AddColumn(new TableColumn(column) { Alignment = Justify.Right });
        Row(table, "MFR (arg-max)", diagnosis.Following[0].Argmax);
        Row(table, "MFR (larger of the two)", diagnosis.Following[0].Larger);
        foreach (var cells in Exchanged(diagnosis.Interchange)) table.AddRow(cells);
        var by = diagnosis.Variants["ablation"] is "zero" ? "" : $" by {diagnosis.Variants["ablation"]} ablation";
        foreach (var block in diagnosis.Blocking.Where(b => b.Share is not null))
        {
            Row(table, $"MFR, {block.Name.Shown} of heads blocked{by} ({block.Heads.Count})", block.Argmax);
            if (block.Random is { } random) Row(table,
                $"    random heads, {Plural.Of(random.Sets.Count, "draw")}", random.Argmax);
        }
        AnsiConsole.Write(table);
        foreach (var finding in diagnosis.Findings)
        {
            var (mark, colour) = finding.Status switch
            {
                FindingStatus.Present => ("found", "green"),
                FindingStatus.Absent => ("absent", "yellow"),
                _ => ("unclear", "yellow"),
            };
            AnsiConsole.MarkupLine($"[{colour}]{mark}[/] {Markup.Escape(finding.Text)}");
        }
        AnsiConsole.MarkupLineInterpolated(
            $"[{(diagnosis.Route.Verdict == Route.Undecided ? "yellow" : "green")}]route[/] {diagnosis.Route.Text}");
        if (diagnosis.Model.Provenance is { } statement) AnsiConsole.MarkupLineInterpolated($"[grey]{statement}[/]");
        AnsiConsole.WriteLine();
        AnsiConsole.MarkupLineInterpolated($"[bold]{Path.Combine(folder, "report.html")}[/]");
    }

    /// <summary>The effect of exchanging the found sets; if a search found none, the effect of exchanging all heads.</summary>
    internal static IEnumerable<string[]> Exchanged(InterchangeResult result)
    {
        yield return Row("queries", "switch", result.Set("arbiters"), m => m.Choice, result.AllQueries);
        yield return Row("outputs", "carry", result.Set("decision_carriers"), m => m.Content, result.AllOutputs);

        static string[] Row(string what, string does, FoundSet set, Func<MeasuredHeads, ExchangeEffect> effect, ExchangeEffect all)
        {
            var (heads, e) = set.Measured is { } m
                ? ($"{Plural.Of(set.Heads.Count, "head")}{(set.Found ? "" : ", not confirmed,")}", effect(m)) : ("all heads", all);
            var interval = e.Pairs == 0 ? "no pairs" : FormattableString.Invariant($"{e.Switched.Low:0.00} to {e.Switched.High:0.00}");
            return [$"{what} of {heads} {does}", "", "", Share(e.Switched), interval];
        }
    }

    private static void Row(Table table, string name, ByInstruction by) => table.AddRow(
        Markup.Escape(name), Share(by.Vision), Share(by.Text), Share(by.All),
        FormattableString.Invariant($"{by.All.Low:0.00} to {by.All.High:0.00}"));

    private static string Share(Estimate e) => double.IsNaN(e.Mean) ? "-" : FormattableString.Invariant($"{e.Mean:0.000}");
}
