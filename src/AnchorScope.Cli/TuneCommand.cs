using System.CommandLine;
using AnchorScope.Reports;
using AnchorScope.Tuning;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope tune</c>: trains the named heads and nothing else.</summary>
internal sealed class TuneCommand
{
    private readonly Option<string?> _model =
        new("--model") { Description = "folder of the checkpoint (default: the bundled organism)", HelpName = "DIR" };
    private readonly Option<string> _heads = new("--heads")
        { Description = "head set: heads.json of a diagnosis, or of ascope inspect --heads-template", HelpName = "FILE", Required = true };
    private readonly Option<string> _what = new("--what")
        { Description = "parameters of each head that are trained: gain, slices (its rows and columns of q, k, v and o), "
            + "low-rank (an addition to these)", DefaultValueFactory = _ => "gain", HelpName = "WHAT" };
    private readonly Option<int> _rank =
        new Option<int>("--rank") { Description = "rank of low-rank additions", DefaultValueFactory = _ => 4, HelpName = "R" }.AtLeast(1);
    private readonly Option<string?> _train = new("--train")
        { Description = "training data, a conflict set (.jsonl) or a folder of them; on samples without a conflict the original's output "
            + "is kept (default: generated in the organism's world)", HelpName = "SET" };
    private readonly Option<string?> _validate =
        new("--validate") { Description = "validation data in the same form, to decide when to stop", HelpName = "SET" };
    private readonly Option<string?> _test =
        new("--test") { Description = "test data in the same form, to report; a folder is also diagnosed", HelpName = "SET" };
    private readonly Option<string> _output =
        new("--out") { Description = "folder of the run; an interrupted run is resumed", HelpName = "DIR", Required = true };
    private readonly Option<int> _steps =
        new Option<int>("--steps") { Description = "maximum number of steps", DefaultValueFactory = _ => 400, HelpName = "N" }.AtLeast(1);
    private readonly Option<int> _batch = new Option<int>("--batch")
        { Description = "runs with a conflict per step; half as many without a conflict are added", DefaultValueFactory = _ => 32,
            HelpName = "N" }.AtLeast(1);
    private readonly Option<double?> _rate =
        new("--rate") { Description = "learning rate (gain 0.05, low-rank 0.003, slices 0.001)", HelpName = "X" };
    private readonly Option<double> _keep =
        new("--keep") { Description = "weight of KL(original || tuned) without a conflict", DefaultValueFactory = _ => 1, HelpName = "X" };
    private readonly Option<int> _every = new Option<int>("--measure-every")
        { Description = "steps between measurements on the validation set", DefaultValueFactory = _ => 20, HelpName = "N" }.AtLeast(1);
    private readonly Option<int> _patience = new Option<int>("--patience")
        { Description = "training ends after N measurements without an improvement", DefaultValueFactory = _ => 5, HelpName = "N" }
        .AtLeast(1);
    private readonly Option<int> _random = new Option<int>("--random")
        { Description = "random head sets trained with the same budget; 19 is the minimum "
            + "that can show that the named heads achieve more", DefaultValueFactory = _ => 19, HelpName = "N" }.AtLeast(0);
    private readonly Option<bool> _noFull =
        new("--no-full") { Description = "do not tune the whole decoder for comparison, which takes 32 bytes per parameter" };
    private readonly Option<int> _diagnose = new Option<int>("--diagnose")
        { Description = "samples of each set that are diagnosed before and after tuning; 0: none", DefaultValueFactory = _ => 40,
            HelpName = "N" }.AtLeast(0);
    private readonly Option<ulong> _seed = new("--seed")
        { Description = "seed of samples, batches, initial values, random heads and bootstrap",
            DefaultValueFactory = _ => 0UL, HelpName = "S" };
    private readonly Option<bool> _anyModel = new("--any-model") { Description = "accept a head set made for other weights" };
    private readonly Option<int> _threads = Counts.Threads();

    public static Command Create()
    {
        var options = new TuneCommand();
        var command = new Command(
            "tune", "Trains only the named heads to follow the instruction, and compares the result with the alternatives.")
        {
            options._model, options._heads, options._what, options._rank, options._train, options._validate, options._test, options._output,
            options._steps, options._batch, options._rate, options._keep,
            options._every, options._patience, options._random, options._noFull, options._diagnose, options._seed,
            options._anyModel, options._threads,
        };
        command.SetAction(options.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        var folder = parsed.GetValue(_output)!;
        var options = Options(parsed);
        using var interrupt = new Interruption();
        try
        {
            var plan = new TuningPlan
            {
                Model = parsed.GetValue(_model) ?? Bundled.Model,
                Heads = parsed.GetValue(_heads)!,
                AnyModel = parsed.GetValue(_anyModel),
                Sets = Sets(parsed),
                Options = options,
                RandomSets = parsed.GetValue(_random),
                Full = !parsed.GetValue(_noFull),
                Diagnose = parsed.GetValue(_diagnose),
                Threads = parsed.GetValue(_threads),
            };
            using var study = new TuningStudy(plan, folder);
            Opening.Warn(study.Warnings);
            var result = Show(study, interrupt.Token);
            TuningFiles.Write(folder, result);
            TuningReport.Write(folder, result);
            Print(result, folder);
            DiagnoseCommand.List(study.Rejected);
            return study.Rejected.Count > 0 ? CommandLine.SomeLeftOut : 0;
        }
        catch (OperationCanceledException e)
        {
            throw Interruption.Stopped($"; the last state is in {folder}", e);
        }
    }

    private TuningOptions Options(ParseResult parsed)
    {
        if (parsed.GetValue(_rate) is { } rate && !(rate > 0 && rate <= 1))
            throw new InputException($"--rate: expected a number above 0 and at most 1, found {rate}");
        if (parsed.GetValue(_keep) is var keep && !(keep >= 0 && double.IsFinite(keep)))
            throw new InputException($"--keep: expected a number of at least 0, found {keep}");
        if (parsed.GetValue(_what) != "low-rank" && parsed.GetResult(_rank) is { Implicit: false })
            throw new InputException(
                $"--rank: is that of low-rank additions; expected --what low-rank beside it, found {parsed.GetValue(_what)}");
        if (parsed.GetValue(_every) > parsed.GetValue(_steps) && parsed.GetResult(_every) is { Implicit: false })
            throw new InputException("--measure-every: expected at most --steps, "
                + $"{parsed.GetValue(_steps)}, found {parsed.GetValue(_every)}: nothing would be measured");
        return new TuningOptions
        {
            Kind = parsed.GetValue(_what) switch
            {
                "gain" => TuningKind.Gain,
                "slices" => TuningKind.Slices,
                "low-rank" => TuningKind.LowRank,
                var other => throw new InputException($"--what: expected gain, slices or low-rank, found {other}"),
            },
            Rank = parsed.GetValue(_rank),
            Steps = parsed.GetValue(_steps),
            Batch = parsed.GetValue(_batch),
            Rate = parsed.GetValue(_rate),
            Keep = keep,
            MeasureEvery = parsed.GetValue(_every),
            Patience = parsed.GetValue(_patience),
            Seed = parsed.GetValue(_seed),
        };
    }

    private TuningSets? Sets(ParseResult parsed)
    {
        string?[] given = [parsed.GetValue(_train), parsed.GetValue(_validate), parsed.GetValue(_test)];
        if (given is [{ } train, { } validate, { } test]) return new TuningSets(train, validate, test);
        if (given.Any(path => path is not null))
            throw new InputException("--train, --validate and --test: expected all or none, found some");
        return null;
    }

    private static TuningResult Show(TuningStudy study, CancellationToken cancel) => WorkProgress.Run(progress => study.Run(
        at => progress.Tell(
            at.Part, at.Done, at.Of,
            at.Point is { } point
                ? $"{at.Part}  validation {point.Validation.Total:0.000}, follows {point.Validation.Follows:0.000}" : null),
        Terminal.Warn, cancel));

    private static void Print(TuningResult result, string folder)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("");
        foreach (var set in result.Sets)
            table.AddColumn(
                new TableColumn(Markup.Escape(set.Conflict ? set.Name : $"{set.Name}, no conflict")) { Alignment = Justify.Right });
        for (var i = 0; i < result.Arms.Count; i++)
            table.AddRow([Markup.Escape(result.Arms[i].Name),
                .. result.Sets.Select(s => FormattableString.Invariant($"{s.Rates[i].Follows.All.Mean:0.000}"))]);
        AnsiConsole.Write(table);
        foreach (var (text, _) in TuningReport.Findings(result)) AnsiConsole.MarkupLineInterpolated($"{text}");
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{Path.Combine(folder, "report.html")}[/], the checkpoint: {Path.Combine(folder, "model")}");
    }
}
