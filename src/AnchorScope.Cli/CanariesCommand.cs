using System.CommandLine;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Server;
using AnchorScope.Server.Integrity;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Cli;

/// <summary><c>ascope policy canaries</c>: records requests whose logits a server must give again to the bit.</summary>
internal static class CanariesCommand
{
    public static Command Create()
    {
        var data = new Argument<string>("DATA") { Description = "conflicts: a file of JSON lines, or a folder with test.jsonl" };
        var model = new Option<string>("--model") { Description = "folder of the checkpoint", HelpName = "DIR", Required = true };
        var policy = new Option<string?>("--policy")
            { Description = "the policy whose knobs act at their defaults; it need not name canaries yet", HelpName = "FILE" };
        var count =
            new Option<int>("--count") { Description = "number of canaries", DefaultValueFactory = _ => 8, HelpName = "N" }.AtLeast(1);
        var output = new Option<string>("--out") { Description = "file to write", HelpName = "FILE", Required = true };
        var (force, threads) = (OutputPath.Force(), Counts.Threads());
        var command = new Command("canaries", "Records requests and SHA-256 of their logits, for the policy's member canaries.")
            { data, model, policy, count, output, force, threads };
        command.SetAction(async (parsed, _) =>
        {
            var path = parsed.GetValue(output)!;
            var file = parsed.GetValue(data)! is var named && Directory.Exists(named) ? Path.Combine(named, "test.jsonl") : named;
            OutputPath.CheckFile(path, parsed.GetValue(force), file, parsed.GetValue(policy));
            using var opened = Opening.Model(parsed.GetValue(model)!);
            var bounds = parsed.GetValue(policy) is { } given
                ? Policy.Load(given, opened.Engine, opened.Checkpoint.Identity) : Policy.None;
            using var served = new ServedModel(opened, opened.Checkpoint.Name,
                new SchedulerOptions { KeepPrefixes = false, Threads = parsed.GetValue(threads) }, bounds, TimeProvider.System);
            var recorded = await Canaries.Record(served, ConflictSet.Load(file), parsed.GetValue(count));
            File.WriteAllText(path, AuditCommand.Readable(recorded) + "\n");
            Console.WriteLine($"\"canaries\": {{\"file\": \"{Path.GetFileName(path)}\", \"sha256\": \"{Digest.OfFile(path)}\"}}");
            return 0;
        });
        return command;
    }
}
