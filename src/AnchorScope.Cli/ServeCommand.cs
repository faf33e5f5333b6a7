using System.CommandLine;
using AnchorScope.Server;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Integrity;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Cli;

/// <summary><c>ascope serve</c>: a model behind an OpenAI-compatible API.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var (limits, usual) = (new SchedulerOptions(), new ServerOptions { Model = "", State = "" });
        var model =
            new Option<string?>("--model") { Description = "folder of the checkpoint (default: the bundled organism)", HelpName = "DIR" };
        var name = new Option<string?>("--name")
            { Description = "name of the model in requests (default: the name of the folder)", HelpName = "NAME" };
        var policy = new Option<string?>("--policy")
            { Description = "what requests may change inside the model (default: nothing; for the bundled organism what its policy says)",
                HelpName = "FILE" };
        var profile = new Option<string?>("--profile")
            { Description = "what is normal (ascope profile): requests that deviate from it raise alerts", HelpName = "FILE" };
        var signed = new Option<string?>("--require-signed-policy")
            { Description = "refuse a policy that this public key has not signed (ascope policy sign)", HelpName = "FILE" };
        var keys = new Option<string?>("--keys")
            { Description = "file of the keys (ascope keys); needed at an address that others reach", HelpName = "FILE" };
        var rate = new Option<int?>("--rate")
            { Description = "requests for text that a key may send a minute, unless the key says otherwise (default: no limit)",
                HelpName = "N" }.AtLeast(1);
        var pictures = new Option<string[]>("--picture-hosts")
            { Description = "hosts that pictures may be fetched from (default: none, pictures are sent as data: addresses)",
                HelpName = "HOST", AllowMultipleArgumentsPerToken = true };
        var state = new Option<string>("--state")
            { Description = "folder of what the server keeps: its audit log is in DIR/audit",
                DefaultValueFactory = _ => Path.Combine("out", "serve"), HelpName = "DIR" };
        var anchor = new Option<string?>("--anchor")
            { Description = "a second place for the checkpoints of the log, best on another machine; it must exist", HelpName = "DIR" };
        var anchorCommand = new Option<string?>("--anchor-command")
            { Description = "a shell command that gets each checkpoint on standard input", HelpName = "CMD" };
        var checkpoint = new Option<int>("--checkpoint-seconds")
            { Description = "a checkpoint at least this often while there are new records",
                DefaultValueFactory = _ => (int)usual.Log.Period.TotalSeconds, HelpName = "S" }.AtLeast(1);
        var manifest = new Option<string?>("--manifest")
            { Description = "signed manifest that the files of the checkpoint are held to (ascope manifest)", HelpName = "FILE" };
        var manifestKey = new Option<string?>("--manifest-key")
            { Description = "the public key that must have signed it", HelpName = "FILE" };
        var integrityRate = new Option<string>("--integrity-rate")
            { Description = "bytes of the checkpoint that are read again in a second while serving", DefaultValueFactory = _ => "16MiB",
                HelpName = "SIZE" };
        var integritySeconds = new Option<int>("--integrity-seconds")
            { Description = "time between two such readings", DefaultValueFactory = _ => 3600, HelpName = "S" }.AtLeast(1);
        var url = new Option<string>("--urls")
            { Description = "address to listen at; port 0 takes a free one", DefaultValueFactory = _ => usual.Url, HelpName = "URL" };
        var rows = new Option<int>("--rows")
            { Description = "rows of a pass: one for each answer in progress, the rest for prompts", DefaultValueFactory = _ => limits.Rows,
                HelpName = "N" }.AtLeast(2);
        var memory = new Option<string>("--memory")
            { Description = "memory for keys and values of answers in progress and of kept prompts", DefaultValueFactory = _ => "2GiB",
                HelpName = "SIZE" };
        var queue = new Option<int>("--queue")
            { Description = "requests that may wait; beyond it they are refused", DefaultValueFactory = _ => limits.Queue, HelpName = "N" }
            .AtLeast(1);
        var deadline = new Option<int>("--deadline")
            { Description = "seconds in which a request must be answered", DefaultValueFactory = _ => (int)usual.Deadline.TotalSeconds,
                HelpName = "S" }.AtLeast(1);
        var threads = Counts.Threads();
        var command = new Command("serve", "Serves a model behind an OpenAI-compatible API.")
            { model, name, policy, profile, signed, keys, rate, pictures, state, anchor, anchorCommand, checkpoint, manifest, manifestKey,
                integrityRate, integritySeconds, url, rows, memory, queue, deadline, threads };
        command.SetAction(parsed => Serve(new ServerOptions
        {
            Model = parsed.GetValue(model) ?? Bundled.Model,
            Name = parsed.GetValue(name),
            // The bundled model comes with a policy, so that its knobs can be tried; another model is changed by nobody without one.
            Policy = parsed.GetValue(policy) ?? (parsed.GetValue(model) is null ? Bundled.Policy : null),
            Profile = parsed.GetValue(profile),
            PolicyKey = parsed.GetValue(signed),
            Keys = parsed.GetValue(keys),
            Rate = parsed.GetValue(rate),
            PictureHosts = parsed.GetValue(pictures) ?? [],
            State = parsed.GetValue(state)!,
            Log = new AuditLogOptions
            {
                Anchor = parsed.GetValue(anchor),
                AnchorCommand = parsed.GetValue(anchorCommand),
                Period = TimeSpan.FromSeconds(parsed.GetValue(checkpoint)),
            },
            Integrity = (parsed.GetValue(manifest), parsed.GetValue(manifestKey)) switch
            {
                (null, null) => null,
                ({ } file, { } signer) => new IntegrityOptions
                {
                    Manifest = file, Key = signer, BytesPerSecond = ByteSize.Parse("--integrity-rate", parsed.GetValue(integrityRate)!),
                    Period = TimeSpan.FromSeconds(parsed.GetValue(integritySeconds)),
                },
                _ => throw new InputException("--manifest: expected --manifest-key beside it, found one of them alone"),
            },
            Url = parsed.GetValue(url)!,
            Deadline = TimeSpan.FromSeconds(parsed.GetValue(deadline)),
            Scheduler = new SchedulerOptions
            {
                Rows = parsed.GetValue(rows),
                Memory = ByteSize.Parse("--memory", parsed.GetValue(memory)!),
                Queue = parsed.GetValue(queue),
                Threads = parsed.GetValue(threads),
            },
        }));
        return command;
    }

    private static int Serve(ServerOptions options)
    {
        using var interrupt = new Interruption();
        return Run(options, interrupt.Token).GetAwaiter().GetResult();
    }

    private static async Task<int> Run(ServerOptions options, CancellationToken stop)
    {
        await using var server = await InferenceServer.Start(options);
        Opening.Warn(server.Served.Model.Warnings);
        Console.WriteLine($"listening on {server.Url}");
        try
        {
            await Task.Delay(Timeout.Infinite, stop);
        }
        catch (OperationCanceledException)
        {
            Console.WriteLine("shutting down: no new requests, those in progress are answered");
        }
        if (await server.Stop() is not { } reason) return 0;
        Console.Error.WriteLine($"ascope: the audit log could not be sealed: {reason}");
        return 1;
    }
}
