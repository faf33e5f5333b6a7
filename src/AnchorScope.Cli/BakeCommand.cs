using System.CommandLine;
using AnchorScope.Baking;
using AnchorScope.Interventions;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope bake</c> and <c>ascope suppress</c>: write a checkpoint with the gains of heads baked into its weights.</summary>
internal static class BakeCommand
{
    public static Command Create()
    {
        var factor = new Option<float?>("--factor")
            { Description = "factor of the heads' outputs; above 1 amplifies, 0 blocks (default: the gains of the head set, "
                + "if it contains any)", HelpName = "F" };
        return Create("bake", "Writes a checkpoint whose heads are amplified or damped: factors baked into the weights, "
            + "all other bytes unchanged.", factor, parsed => parsed.GetValue(factor));
    }

    /// <summary>The bake command with the factor fixed to 0.</summary>
    public static Command CreateSuppress() =>
        Create("suppress", "Writes a checkpoint whose heads are blocked: bake with factor 0.", null, _ => 0);

    private static Command Create(string name, string description, Option<float?>? given, Func<ParseResult, float?> read)
    {
        var model = new Option<string>("--model") { Description = "folder of the checkpoint", HelpName = "DIR", Required = true };
        var heads = new Option<string>("--heads")
            { Description = "head set: heads.json of a diagnosis, or of ascope inspect --heads-template",
                HelpName = "FILE", Required = true };
        var output =
            new Option<string>("--out") { Description = "folder to write; must not exist, or be empty", HelpName = "DIR", Required = true };
        var anyModel = new Option<bool>("--any-model") { Description = "accept a head set made for other weights" };
        var command = new Command(name, description) { model, heads };
        if (given is not null) command.Options.Add(given);
        command.Options.Add(output);
        command.Options.Add(anyModel);
        command.SetAction(parsed =>
        {
            var (by, folder) = (read(parsed), parsed.GetValue(output)!);
            if (by is { } number && !float.IsFinite(number)) throw new InputException($"--factor: expected a finite number, found {by}");
            if (by == 1) throw new InputException("--factor: expected a number other than 1, as times 1 changes nothing, found 1");
            OutputPath.CheckFolder(folder);
            var set = HeadSetFile.Load(parsed.GetValue(heads)!);
            using var opened = Opening.Model(parsed.GetValue(model)!);
            var gains = by is { } factor ? HeadGains.Of(set.Set.Heads.Select(h => (h.Layer, h.Head)), factor)
                : set.Set.Gains ?? throw new InputException($"--factor: expected a number, found none, and {set.Path} has no gains");
            var checkpoint = new BakedCheckpoint(opened, set, gains, parsed.GetValue(anyModel));
            using var interrupt = new Interruption();
            var record = Write(checkpoint, folder, interrupt.Token);
            Console.WriteLine($"{folder}: {record.Statement}");
            Console.WriteLine($"{Plural.Of(record.Tensors.Sum(t => t.Values), "value")} in {Plural.Of(record.Tensors.Count, "tensor")} "
                + $"multiplied, {record.Rounded} of them rounded; "
                + $"{CommandLine.Shell(["verify-baked", "--model", parsed.GetValue(model)!, "--baked", folder])} proves it");
            return 0;
        });
        return command;
    }

    private static BakedRecord Write(BakedCheckpoint checkpoint, string folder, CancellationToken cancel)
    {
        try
        {
            return FileProgress.Show("checkpoint", progress => checkpoint.Write(folder, progress, cancel));
        }
        catch (OperationCanceledException e)
        {
            throw new OperationCanceledException($"stopped; {folder} was not written", e);
        }
    }
}
