using System.CommandLine;
using AnchorScope.Engines;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope parity</c>: compares our arrays with those of the reference library, site by site.</summary>
internal static class ParityCommand
{
    private const int Differs = 1;

    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "folder of the checkpoint" };
        var golden =
            new Argument<string>("GOLDEN") { Description = "folder of golden .safetensors files, or one of them (docs/recipes/parity.md)" };
        var kernel = new Option<KernelFamily>("--kernel") { Description = "matrix kernel: panel (many rows) or direct (few rows)" };
        var threads = Counts.Threads();
        var all = new Option<bool>("--all") { Description = "list every array, not only those that differ" };
        var json = JsonOutput.Option();
        var command = new Command("parity", "Compares a checkpoint's activations with golden files of the reference library; "
            + "exit code 1 if one is out of tolerance.") { model, golden, kernel, all, json, threads };
        command.SetAction(parsed =>
        {
            var files = Files(parsed.GetValue(golden)!);
            using var opened = Opening.Model(parsed.GetValue(model)!);
            using var session = Opening.Session(opened, parsed.GetValue(threads), parsed.GetValue(kernel));
            var results = files.Select(file => ParityCheck.Run(opened, file, session)).ToList();
            var rows = results.SelectMany(r => r.Rows).ToList();
            if (rows.Count == 0)
                throw InputException.At(parsed.GetValue(golden)!, "arrays", "at least one that a trace of this model has", "none");
            var left = results.SelectMany(r => r.NotCompared).Distinct().ToList();
            if (parsed.GetValue(json))
            {
                JsonOutput.Print(new { Rows = rows, NotCompared = left, Equal = !rows.Exists(r => r.Where is not null) });
            }
            else
            {
                Print(rows, parsed.GetValue(all));
                if (left.Count > 0) Console.WriteLine($"not compared, unknown here: {string.Join(", ", left)}");
            }
            return rows.Exists(r => r.Where is not null) ? Differs : 0;
        });
        return command;
    }

    private static IReadOnlyList<string> Files(string path)
    {
        if (File.Exists(path)) return [path];
        if (!Directory.Exists(path)) throw new InputException($"{path}: there is no such file or folder of golden files");
        var files = Directory.GetFiles(path, "*.safetensors").Order(StringComparer.Ordinal).ToList();
        return files.Count > 0 ? files : throw InputException.At(path, "files", "golden .safetensors files", "none");
    }

    private static void Print(List<ParityRow> rows, bool all)
    {
        var wrong = rows.Where(r => r.Where is not null).ToList();
        var table = new Table().Border(TableBorder.Minimal).AddColumn("case").AddColumn("array")
            .AddColumn(new TableColumn("largest error").RightAligned())
            .AddColumn(new TableColumn("tolerance").RightAligned()).AddColumn("");
        foreach (var row in all ? rows : wrong)
        {
            table.AddRow(
                new Text(row.Case), new Text(row.Array), new Text(row.Error == 0 ? "0" : $"{row.Error:0.0e+0}"),
                new Text(row.Tolerance == 0 ? "equal" : $"{row.Tolerance:0.0e+0}"),
                new Text(row.Where is null ? "ok" : "DIFFERS", new Style(row.Where is null ? Color.Green : Color.Red)));
        }
        if (table.Rows.Count > 0) AnsiConsole.Write(table);
        if (wrong.Count > 0)
        {
            Console.WriteLine($"{wrong.Count} of {Plural.Of(rows.Count, "array")} {(wrong.Count == 1 ? "differs" : "differ")}; the first "
                + $"in the order of computation: {wrong[0].Case}, {wrong[0].Array} {wrong[0].Where}");
            return;
        }
        var nearest = rows.MaxBy(r => r.Tolerance > 0 ? r.Error / r.Tolerance : 0)!;
        var share = nearest.Tolerance > 0 ? nearest.Error / nearest.Tolerance : 0;
        var used = FormattableString.Invariant($"{share * 100:0.##} % of what is allowed ({nearest.Case}, {nearest.Array})");
        Console.WriteLine($"{Plural.Of(rows.Count, "array")} within tolerance; the largest error is {used}; --all lists them");
    }
}
