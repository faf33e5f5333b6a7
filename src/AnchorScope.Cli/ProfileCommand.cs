using System.CommandLine;
using AnchorScope.Server.Monitoring;

namespace AnchorScope.Cli;

/// <summary><c>ascope profile</c>: what is normal inside a model, for the monitor of <c>ascope serve</c>.</summary>
internal static class ProfileCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "folder of the checkpoint" };
        var data = new Option<string>("--data")
            { Description = "folder of the conflict sets, or one .jsonl, as for ascope diagnose", HelpName = "DIR|FILE", Required = true };
        var output = new Option<string>("--out") { Description = "the profile to write", HelpName = "FILE", Required = true };
        var force = OutputPath.Force();
        var policy = new Option<string?>("--policy")
            { Description = "the policy that will be served: its knobs act at their defaults, its head sets are read", HelpName = "FILE" };
        var limit = new Option<int?>("--limit")
            { Description = "at most N conflicts, drawn by --seed", HelpName = "N" }.AtLeast(1);
        var seed = new Option<ulong>("--seed")
            { Description = "seed of the choice of conflicts", DefaultValueFactory = _ => 0UL, HelpName = "S" };
        var threads = Counts.Threads();
        var command = new Command("profile", "Records what is normal inside a model, for the monitor of ascope serve.")
            { model, data, output, force, policy, limit, seed, threads };
        command.SetAction(parsed => Make(parsed.GetValue(model)!, parsed.GetValue(force), new ProfileOptions
        {
            Data = parsed.GetValue(data)!,
            Output = parsed.GetValue(output)!,
            Policy = parsed.GetValue(policy),
            Limit = parsed.GetValue(limit),
            Seed = parsed.GetValue(seed),
            Threads = parsed.GetValue(threads),
        }));
        return command;
    }

    private static int Make(string folder, bool force, ProfileOptions options)
    {
        OutputPath.CheckFile(options.Output, force, options.Data, options.Policy);
        using var interrupt = new Interruption();
        using var model = Opening.Model(folder);
        try
        {
            var (requests, warnings) = WorkProgress.Run(progress => ProfileRun.Make(
                model, options, (done, of) => progress.Tell("requests", done, of), interrupt.Token).GetAwaiter().GetResult());
            Opening.Warn(warnings);
            Console.WriteLine($"{options.Output}: {Plural.Of(requests, "request")}");
            return 0;
        }
        catch (OperationCanceledException e)
        {
            throw Interruption.Stopped("; nothing was written", e);
        }
    }
}
