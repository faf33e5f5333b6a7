using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope sweep</c>: many interventions on one prompt, each as exact as a separate run.</summary>
internal static class SweepCommand
{
    private const double WorthSaying = 10; // seconds

    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "folder of the checkpoint" };
        var given = new PromptOptions();
        var heads = new Option<string?>("--heads")
            { Description = "heads to scale one at a time: all, or layer:head, comma-separated", HelpName = "HEADS" };
        var positions = new Option<string>("--positions")
            { Description = "positions to scale at: last, instruction (the text of --prompt), all, or a list like 3,7-9",
                DefaultValueFactory = _ => "last", HelpName = "WHERE" };
        var factor = new Option<float>("--factor") { Description = "factor of the head outputs; 0 blocks", HelpName = "F" };
        var plan = new Option<string?>("--plan")
            { Description = "instead of --heads: a JSON list of interventions (docs/schemas/edits.schema.json)", HelpName = "FILE" };
        var output = new Option<string?>("--out")
            { Description = "JSON lines file to write: the run without edits, then a row for each variant; an interrupted sweep is resumed",
                HelpName = "FILE" };
        var force = OutputPath.Force();
        var logits = new Option<string?>("--logits")
            { Description = "ids of the tokens whose logits each row contains, comma-separated", HelpName = "IDS" };
        var naive = new Option<bool>("--naive") { Description = "one full pass for each variant: slow, but the same bytes" };
        var explain =
            new Option<bool>("--explain") { Description = "print the cost of the plan and what it saves; without --out nothing is run" };
        var json = JsonOutput.Option();
        var memory = new Option<string?>("--memory")
            { Description = "memory limit apart from the weights, like 500MB or 2GiB (1GiB, or more if one row needs more)",
                HelpName = "SIZE" };
        var threads = Counts.Threads();
        var command = new Command("sweep", "Runs many interventions on one prompt and writes a row for each, for head-by-head studies.")
        {
            model, given.Inputs, given.Images, given.Text, given.Messages, heads, positions, factor, plan, output, force, logits, naive,
            explain, json, memory, threads,
        };
        command.SetAction(parsed =>
        {
            var options = new SweepOptions(parsed.GetValue(memory) is { } size ? ByteSize.Parse("--memory", size) : null,
                parsed.GetValue(threads), parsed.GetValue(naive));
            if ((parsed.GetValue(heads) is null) == (parsed.GetValue(plan) is null))
                throw new InputException("say what is varied with one of --heads and --plan");
            if (parsed.GetValue(output) is null && !parsed.GetValue(explain))
                throw new InputException("--out: expected a file to write (or --explain alone), found nothing");
            if (parsed.GetValue(plan) is null && parsed.GetValue(factor) == 1)
                throw new InputException("--factor: expected a number other than 1, as times 1 changes nothing, found 1");
            if (parsed.GetValue(plan) is not null && parsed.GetResult(factor) is { Implicit: false })
                throw new InputException(
                    "--factor: scales the heads of --heads; a --plan says its own factors, expected none beside it, found one");
            if (parsed.GetValue(plan) is not null && parsed.GetResult(positions) is { Implicit: false })
                throw new InputException("--positions: where the heads of --heads are scaled; a --plan says its own positions, "
                    + "expected none beside it, found some");
            if (parsed.GetValue(json) && !parsed.GetValue(explain))
                throw new InputException("--json: needs --explain, whose counts it prints");
            if (!float.IsFinite(parsed.GetValue(factor)))
                throw new InputException($"--factor: expected a finite number, found {parsed.GetValue(factor)}");
            if (parsed.GetValue(output) is { } written)
                OutputPath.CheckFile(written, parsed.GetValue(force), [.. given.Files(parsed), parsed.GetValue(plan)]);
            if (parsed.GetValue(plan) is { } planned && !File.Exists(planned))
                throw new InputException($"{planned}: there is no such file for --plan");
            using var opened = Opening.Model(parsed.GetValue(model)!);
            using var interrupt = new Interruption();
            using var session = opened.OpenSession(new SessionOptions { Threads = options.Threads, Cancel = interrupt.Token });
            var (prompt, _) = given.Read(parsed, opened, session);
            if (opened.TooLong(prompt) is { } tooLong) throw new InputException(tooLong);
            IReadOnlyList<Intervention> varied = parsed.GetValue(plan) is { } file
                ? InterventionJson.LoadList(file, opened.Engine.Shape, opened.Checkpoint.Identity)
                : [.. NamedHeads.Parse("--heads", parsed.GetValue(heads)!, opened.Engine.Shape)
                    .Select(
                        h => Intervention.HeadGain(h.Layer, h.Head, parsed.GetValue(factor), Where(parsed.GetValue(positions)!, prompt)))];
            if (varied.FirstOrDefault(v => v.Name == Intervention.None.Name) is not null)
                throw InputException.At(parsed.GetValue(plan)!, "name",
                    "another name: the run without edits is called so", Intervention.None.Name);
            IReadOnlyList<Intervention> interventions = [Intervention.None, .. varied];
            var study = new SweepStudy(opened, prompt, interventions, options);
            if (parsed.GetValue(explain) && parsed.GetValue(json)) JsonOutput.Print(study.Cost);
            else if (parsed.GetValue(explain)) Explain(study.Cost, options.Threads);
            if (parsed.GetValue(output) is { } path)
            {
                using var rows = SweepFile.Open(path, opened, prompt, interventions,
                    Tokens(parsed.GetValue(logits), opened.Engine.VocabularySize), parsed.GetValue(plan) is null, parsed.GetValue(force));
                Run(study, rows, path, interventions.Count, options.Naive, parsed.GetValue(json), interrupt);
            }
            return 0;
        });
        return command;
    }

    private static void Run(SweepStudy study, SweepFile rows, string path, int count, bool naive, bool json, Interruption interrupt)
    {
        var todo = rows.Missing.Count;
        var done = count - todo;
        if (done > 0) Terminal.Note($"resuming: {done} of {Plural.Of(count, "variant")} {(done == 1 ? "is" : "are")} done");
        var started = Stopwatch.GetTimestamp();
        try
        {
            WorkProgress.Run(progress =>
            {
                var name = Plural.Of(count, "variant");
                progress.Tell(name, count - todo, count);
                study.Run(rows, done => progress.Tell(name, done, count),
                    () => Predict(study.PredictedSeconds * todo / count, todo), interrupt.Token);
                return 0;
            });
        }
        catch (OperationCanceledException e)
        {
            throw Interruption.Stopped($"after {count - rows.Missing.Count} of {Plural.Of(count, "variant")}", e);
        }
        rows.Finish();
        if (rows.Beyond > 0)
            Terminal.Warn(
                $"{Plural.Of(rows.Beyond, "variant", "has", "have")} logits beyond the range of float32, which are null in {path}");
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var prediction = naive || todo < count
            ? ""
            : $", {study.BaselineSeconds:0.00} s of them the baseline; the cost model said "
                + $"{study.BaselineSeconds + study.PredictedSeconds:0.00} s";
        FormattableString summary = $"{path}: {Plural.Of(count, "variant")}, {seconds:0.00} s{prediction}";
        if (json) Terminal.Note(summary);
        else AnsiConsole.MarkupLineInterpolated(summary);
    }

    /// <summary>Announces the expected duration of a long sweep.</summary>
    private static void Predict(double seconds, int variants)
    {
        if (seconds >= WorthSaying) Terminal.Note($"about {Amount.Duration(seconds)} for {Plural.Of(variants, "variant")} on this machine");
    }

    private static void Explain(SweepCost cost, int threads)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumn("").AddColumn(new TableColumn("planned").RightAligned())
            .AddColumn(new TableColumn("one pass a variant").RightAligned()).AddColumn(new TableColumn("saves").RightAligned());
        void Row(string what, double planned, double naive, string unit) =>
            table.AddRow(what, $"{planned:#,0.###} {unit}".TrimEnd(), $"{naive:#,0.###} {unit}".TrimEnd(),
                planned > 0 ? $"{naive / planned:0.0} x" : "");
        Row("rows x layers", cost.RowLayers, cost.NaiveRowLayers, "");
        Row("operations, with the baseline", (cost.Operations + cost.BaselineOperations) / 1e9, cost.NaiveOperations / 1e9, "GFLOP");
        Row("weights read, with the baseline", cost.WeightBytes / 1e9, cost.NaiveWeightBytes / 1e9, "GB");
        Row("passes, with the baseline", cost.Passes + 1, cost.Interventions, "");
        AnsiConsole.Write(table);
        var (recorded, row, pass) = (cost.RecordedBytes / 1048576.0, cost.BytesPerRow / 1024.0,
            cost.RowsPerPass * cost.BytesPerRow / 1048576.0);
        AnsiConsole.WriteLine(
            $"{Computed(cost)}; up to {Plural.Of(cost.RowsPerPass, "row")} a pass. Apart from the weights: {recorded:0.#} MiB for "
                + $"the recorded run, and {row:0.#} KiB of activations a row, {pass:0.#} MiB a pass on each of "
                + $"{Plural.Of(threads, "thread")}");
    }

    private static string Computed(SweepCost cost) => cost.Variants == cost.Interventions
        ? $"{Plural.Of(cost.Variants, "variant", "is", "are")} computed"
        : $"{cost.Variants} of {Plural.Of(cost.Interventions, "variant")} {(cost.Variants == 1 ? "is" : "are")} computed, "
            + $"{(cost.Interventions - cost.Variants == 1 ? "the other comes" : "the others come")} to the same as one of them or as none";

    private static Positions Where(string text, Prompt prompt)
    {
        switch (text)
        {
            case "all":
                return Positions.All;
            case "last":
                return Positions.Of(prompt.Length - 1);
            case "instruction":
                var span = prompt.Span(SpanKind.Instruction);
                return span.Count > 0
                    ? Positions.Of(span)
                    : throw new InputException(
                        "--positions: instruction is the text of --prompt, and here is none; name positions instead");
        }
        var list = new List<int>();
        foreach (var item in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var ends = item.Split('-');
            if (ends.Length > 2 || Number(ends[0]) is not { } from || Number(ends[^1]) is not { } to || to < from)
                throw new InputException($"--positions: expected last, instruction, all, or a list like 3,7-9, found {text}");
            if (to >= prompt.Length)
                throw new InputException($"--positions: expected positions of the prompt, 0 to {prompt.Length - 1}, found {item}");
            list.AddRange(Enumerable.Range(from, to - from + 1));
        }
        return Positions.Of(list);
    }

    private static List<int> Tokens(string? text, int vocabulary)
    {
        var tokens = (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(item => Number(item) ?? throw new InputException($"--logits: expected ids of tokens, comma-separated, found {text}"))
            .Distinct().ToList();
        if (tokens.FirstOrDefault(t => t >= vocabulary, -1) is >= 0 and var outside)
            throw new InputException($"--logits: expected tokens of the vocabulary, 0 to {vocabulary - 1}, found {outside}");
        return tokens;
    }

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
