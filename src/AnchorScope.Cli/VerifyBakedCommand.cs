using System.CommandLine;
using AnchorScope.Baking;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope verify-baked</c>: proves that a baked checkpoint equals the original with its heads steered.</summary>
internal static class VerifyBakedCommand
{
    private const int DoesNotHold = 1;

    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "folder of the original", HelpName = "DIR", Required = true };
        var baked = new Option<string>("--baked")
            { Description = "folder written by ascope bake or ascope tune", HelpName = "DIR", Required = true };
        var heads = new Option<string?>("--heads")
            { Description = "head set that was baked in (default: the one in baked.json)", HelpName = "FILE" };
        var factor = new Option<float?>("--factor")
            { Description = "with --heads: the factor (default: the gains of the head set, if it contains any)", HelpName = "F" };
        var data = new Option<string?>("--data")
            { Description = "folder of conflict sets that provide the prompts (default: random tokens without a picture)",
                HelpName = "DIR" };
        var prompts = new Option<int>("--prompts")
            { Description = "number of prompts to run", DefaultValueFactory = _ => 4, HelpName = "N" }.AtLeast(1);
        var json = JsonOutput.Option();
        var threads = Counts.Threads();
        var command = new Command("verify-baked", "Proves that a baked checkpoint is the original with scaled heads: compares every byte, "
            + "and the logits of some prompts.") { model, baked, heads, factor, data, prompts, json, threads };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(heads) is null && parsed.GetValue(factor) is not null)
                throw new InputException("--heads and --factor: expected both or none, found one");
            if (parsed.GetValue(factor) is { } given && !float.IsFinite(given))
                throw new InputException($"--factor: expected a finite number, found {given}");
            using var original = Opening.Model(parsed.GetValue(model)!);
            using var other = Opening.Model(parsed.GetValue(baked)!);
            using var interrupt = new Interruption();
            var isTuned = parsed.GetValue(heads) is null && File.Exists(Path.Combine(parsed.GetValue(baked)!, TunedRecord.FileName));
            if (isTuned && (parsed.GetValue(data) is not null || parsed.GetResult(prompts) is { Implicit: false }))
                throw new InputException(
                    "--data and --prompts: a tuned checkpoint is compared by its bytes and no prompt is run; expected neither, found one");
            if (isTuned)
                return Verdict(FileProgress.Show("bytes", progress => TunedFiles.Check(original, other, progress, interrupt.Token)), "",
                    "the original but for the heads that it names", parsed.GetValue(json));
            if (parsed.GetValue(heads) is null && !File.Exists(Path.Combine(parsed.GetValue(baked)!, BakedRecord.FileName)))
                throw InputException.At(parsed.GetValue(baked)!, BakedRecord.FileName,
                    "a folder of ascope bake or ascope tune (or --heads, to compare with a head set)", "none");
            var record = parsed.GetValue(heads) is null ? BakedRecord.Load(parsed.GetValue(baked)!) : null;
            var gains = record is not null
                ? Fitting(record, original, parsed.GetValue(baked)!) : Given(parsed.GetValue(heads)!, parsed.GetValue(factor), original);
            using var session = original.OpenSession(new SessionOptions { Threads = parsed.GetValue(threads), Cancel = interrupt.Token });
            var files = new BakedFiles(original, other, gains);
            var checks = FileProgress.Show("bytes", progress => files.Check(record, progress, interrupt.Token)).ToList();
            var reason = "";
            if (original.Engine.Shape != other.Engine.Shape || original.Engine.VocabularySize != other.Engine.VocabularySize)
            {
                checks.Add(new BakedCheck("the same architecture", "other sizes: no logits to compare", false));
            }
            else
            {
                var logits = new BakedLogits(original, other, gains, gains.OnlyShift && files.Rounded == 0, session);
                var chosen = parsed.GetValue(data) is { } folder
                    ? BakedPrompts.Conflicts(original, folder, parsed.GetValue(prompts), Terminal.Warn)
                    : BakedPrompts.Sequences(parsed.GetValue(prompts));
                WorkProgress.Run(progress =>
                {
                    foreach (var (prompt, i) in chosen.Select((p, i) => (p, i)))
                    {
                        logits.Run(prompt, interrupt.Token);
                        progress.Tell("logits of prompts", i + 1, chosen.Count);
                    }
                    return 0;
                });
                checks.Add(logits.Check);
                reason = logits.Reason;
            }
            return Verdict(checks, reason, "the original, steered", parsed.GetValue(json));
        });
        return command;
    }

    private static HeadGains Fitting(BakedRecord record, VisionLanguageModel model, string folder)
    {
        foreach (var head in record.Gains.Heads)
            model.Engine.Shape.Check(head.Layer, head.Head, Path.Combine(folder, BakedRecord.FileName), "heads: ");
        return record.Gains;
    }

    private static HeadGains Given(string path, float? given, VisionLanguageModel model)
    {
        var set = HeadSetFile.Load(path).Set;
        set.Validate(model.Engine.Shape, null, path);
        return given is { } factor ? HeadGains.Of(set.Heads.Select(h => (h.Layer, h.Head)), factor)
            : set.Gains ?? throw new InputException($"--heads and --factor: expected both or none, found one, and {path} has no gains");
    }

    private static int Verdict(IReadOnlyList<BakedCheck> checks, string reason, string claim, bool json)
    {
        var holds = checks.All(c => c.Holds);
        if (json)
        {
            JsonOutput.Print(new { Checks = checks, Reason = reason, Holds = holds });
            return holds ? 0 : DoesNotHold;
        }
        var table = new Table().Border(TableBorder.Rounded).AddColumn("").AddColumn("").AddColumn("found");
        foreach (var check in checks)
            table.AddRow(new Text(check.Holds ? "holds" : "DOES NOT HOLD", new Style(check.Holds ? Color.Green : Color.Red)),
                new Text(check.What), new Text(check.Found));
        AnsiConsole.Write(table);
        if (reason.Length > 0) AnsiConsole.WriteLine(reason);
        AnsiConsole.WriteLine($"The baked checkpoint is {(holds ? "" : "NOT ")}{claim}.");
        return holds ? 0 : DoesNotHold;
    }
}
