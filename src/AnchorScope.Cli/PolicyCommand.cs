using System.CommandLine;
using AnchorScope.Models;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Policies;

namespace AnchorScope.Cli;

/// <summary><c>ascope policy</c>: checks, signs and verifies what requests may change inside a model.</summary>
internal static class PolicyCommand
{
    private static readonly Argument<string> FileArgument = new("FILE") { Description = "the policy" };

    public static Command Create() => new("policy", "Checks, signs and verifies what requests may change inside a model.")
        { Check(), MakeKey(), Sign(), Verify(), CanariesCommand.Create() };

    private static Command Check()
    {
        var model = new Option<string>("--model") { Description = "folder of the checkpoint it is for", HelpName = "DIR", Required = true };
        var command = new Command("check", "Reads a policy as the server does.") { FileArgument, model };
        command.SetAction(parsed =>
        {
            using var opened = VisionLanguageModel.Open(parsed.GetValue(model)!);
            var policy = Policy.Load(parsed.GetValue(FileArgument)!, opened.Engine, opened.Checkpoint.Identity);
            Console.WriteLine(
                $"{policy.Name}: {Plural.Of(policy.HeadSets.Count, "head set")}, {Plural.Of(policy.Knobs.Count, "knob")}; requests may "
                    + (policy.Kinds.Count == 0
                        ? "describe no change" : $"describe {string.Join(", ", policy.Kinds)}, at most {policy.MostEdits}"));
            foreach (var knob in policy.Knobs.Values)
                Console.WriteLine(FormattableString.Invariant($"  {knob.Name}: {knob.Kind}, {knob.Bounds}, default {knob.Default}"));
            return 0;
        });
        return command;
    }

    private static Command MakeKey()
    {
        var folder = new Argument<string>("DIR") { Description = "folder that gets key, which signs, and key.pub, which verifies" };
        var command = new Command("key", "Makes an Ed25519 key for signing policies.") { folder };
        command.SetAction(parsed =>
        {
            Directory.CreateDirectory(parsed.GetValue(folder)!);
            if (File.Exists(Path.Combine(parsed.GetValue(folder)!, "key")))
                throw InputException.At(parsed.GetValue(folder)!, "key", "no key", "one that is there");
            Console.WriteLine(LogKey.LoadOrCreate(parsed.GetValue(folder)!).Verifier);
            return 0;
        });
        return command;
    }

    private static Command Sign()
    {
        var key = new Option<string>("--key") { Description = "the key that signs", HelpName = "FILE", Required = true };
        var command = new Command("sign", "Writes FILE.sig.") { FileArgument, key };
        command.SetAction(parsed =>
        {
            PolicySignature.Sign(parsed.GetValue(FileArgument)!, Load(parsed.GetValue(key)!));
            Console.WriteLine(PolicySignature.PathOf(parsed.GetValue(FileArgument)!));
            return 0;
        });
        return command;
    }

    private static Command Verify()
    {
        var key = new Option<string>("--key") { Description = "the public key", HelpName = "FILE", Required = true };
        var command = new Command("verify", "Checks FILE.sig.") { FileArgument, key };
        command.SetAction(parsed =>
        {
            var signs = Load(parsed.GetValue(key)!);
            PolicySignature.Verify(parsed.GetValue(FileArgument)!, signs);
            Console.WriteLine($"signed by {signs.Name}");
            return 0;
        });
        return command;
    }

    private static LogKey Load(string path) => File.Exists(path)
        ? LogKey.Parse(File.ReadAllText(path).Trim(), path)
        : throw InputException.At(path, "key", "an Ed25519 key of ascope policy key", "nothing");
}
