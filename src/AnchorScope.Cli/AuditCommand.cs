using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Server.Audit;

namespace AnchorScope.Cli;

/// <summary><c>ascope audit</c>: verifies the log of a server, proves and shows its records, and computes answers again.</summary>
internal static class AuditCommand
{
    /// <summary>Exit code: what was checked is not what it should be.</summary>
    private const int Broken = 1;

    private static readonly Option<string?> KeyFile =
        new("--key") { Description = "the public key of the log (default: key.pub in the folder)", HelpName = "FILE" };

    /// <summary>The folder of every subcommand that reads a log.</summary>
    public static Argument<string> Folder { get; } =
        new("DIR") { Description = "the folder of the server (--state), or its folder audit" };

    public static Command Create() => new("audit", "Verifies the log of a server, proves and shows its records, computes answers again.")
        { Verify(), Prove(), Consistency(), VerifyProof(), AuditShowCommand.Show(), AuditShowCommand.Export(), Again() };

    private static Command Verify()
    {
        var anchor = new Option<string?>("--anchor") { Description = "the second place of the checkpoints", HelpName = "DIR" };
        var command = new Command(
            "verify", "Checks every record and every checkpoint; exit code 1 and the first broken place if one is wrong.")
            { Folder, KeyFile, anchor };
        command.SetAction(parsed =>
        {
            var folder = FolderOf(parsed);
            var second = parsed.GetValue(anchor);
            if (second is not null && !Directory.Exists(second)) throw InputException.At("--anchor", second, "a folder", "nothing");
            var scan = LogScan.Of(folder, KeyOf(parsed, folder), second);
            if (scan.Broken is { } broken)
            {
                Console.WriteLine($"broken: {broken}");
                return Broken;
            }
            Console.WriteLine(
                $"whole: {Plural.Of((int)scan.Tree.Count, "record")}, the first {scan.Sealed} of them under a signed checkpoint"
                    + (second is null ? "; without --anchor a log that its owner cut off together with its checkpoints looks whole"
                        : $", the first {scan.Anchored} under one of the anchor"));
            return 0;
        });
        return command;
    }

    private static Command Prove()
    {
        var id = Id();
        var command = new Command("prove", "Prints a proof, as JSON, that a record is in the log.") { Folder, id, KeyFile };
        command.SetAction(parsed =>
        {
            var folder = FolderOf(parsed);
            Console.WriteLine(Readable(InclusionProof.Of(Find(folder, parsed.GetValue(id)!), folder, KeyOf(parsed, folder))));
            return 0;
        });
        return command;
    }

    private static Command Consistency()
    {
        var from = new Option<long?>("--from")
            { Description = "number of records of the earlier checkpoint (default: the oldest)", HelpName = "N" };
        var to = new Option<long?>("--to") { Description = "number of records of the later one (default: the newest)", HelpName = "N" };
        var command = new Command(
            "consistency", "Prints a proof, as JSON, that the log of one checkpoint is the beginning of the log of a later one.")
            { Folder, from, to, KeyFile };
        command.SetAction(parsed =>
        {
            var folder = FolderOf(parsed);
            Console.WriteLine(Readable(ConsistencyProof.Of(
                folder, parsed.GetValue(from), parsed.GetValue(to), KeyOf(parsed, folder))));
            return 0;
        });
        return command;
    }

    private static Command VerifyProof()
    {
        var file = new Argument<string>("FILE") { Description = "a proof of ascope audit prove or ascope audit consistency" };
        var key = new Option<string>("--key") { Description = "the public key of the log", HelpName = "FILE", Required = true };
        var command = new Command("verify-proof", "Checks a proof without the log; exit code 1 if it does not hold.") { file, key };
        command.SetAction(parsed =>
        {
            var path = parsed.GetValue(file)!;
            var bytes = JsonField.ReadBytes(path);
            var root = new JsonField(path, "", StrictJson.Parse(bytes, path));
            var (proof, signer) = (JsonNode.Parse(bytes) as JsonObject ?? throw root.Expected("an object"), Key(parsed.GetValue(key)!));
            var inclusion = root.Find("record") is not null;
            if (!inclusion && root.Find("from") is null) throw root.Expected("a proof of ascope audit prove or ascope audit consistency");
            if (!(inclusion ? InclusionProof.Holds(proof, signer, path) : ConsistencyProof.Holds(proof, signer, path)))
            {
                Console.WriteLine(
                    $"does not hold: the hashes do not lead to the root{(inclusion ? "" : "s")} that {signer.Name} has signed");
                return Broken;
            }
            Console.WriteLine(inclusion
                ? $"holds: record {proof["index"]} is in the log of {signer.Name} with {proof["tree_size"]} records"
                : $"holds: the log of {signer.Name} with {CountOf(proof, "from")} records is the beginning of that with "
                    + $"{CountOf(proof, "to")} records");
            return 0;
        });
        return command;
    }

    private static Command Again()
    {
        var id = Id();
        var content = new Option<string?>("--content")
            { Description = "the request as it was sent (default: the one that the server kept)", HelpName = "FILE" };
        var model =
            new Option<string?>("--model") { Description = "folder of the checkpoint (default: the one of the record)", HelpName = "DIR" };
        var command = new Command("replay", "Computes an answer again and compares every bit; exit code 1 and what differs if one does.")
            { Folder, id, content, model };
        command.SetAction(parsed =>
        {
            var folder = FolderOf(parsed);
            var record = Find(folder, parsed.GetValue(id)!);
            if (record.Json["kind"]?.ToString() != "request")
                throw InputException.At("--id", parsed.GetValue(id)!, "a request that was answered", $"{record.Json["kind"]}");
            var start = RecordSearch.Of(folder, new RecordQuery { Kind = "start", Before = record.Index, Last = 1 }).LastOrDefault()
                ?? throw InputException.At(folder, "start", "the start of the server before the record", "none");
            var body = parsed.GetValue(content) ?? Path.Combine(Path.GetDirectoryName(folder)!, "content", $"{record.Json["id"]}.json");
            if (!File.Exists(body))
                throw new InputException(
                    $"{body}: expected the request as it was sent, found nothing: the server keeps requests if its policy "
                        + "says so; name the file with --content");
            using var opened = VisionLanguageModel.Open(parsed.GetValue(model) ?? start.Json["folder"]!.ToString());
            var differences = Replay.Differences(record, start, File.ReadAllBytes(body), opened).GetAwaiter().GetResult();
            foreach (var line in differences) Console.WriteLine($"differs: {line}");
            if (differences.Count == 0) Console.WriteLine($"same bits: {Plural.Of(record.Json["answers"]!.AsArray().Count, "answer")}, "
                + "tokens, text and the logits of every step");
            return differences.Count == 0 ? 0 : Broken;
        });
        return command;
    }

    private static Option<string> Id() =>
        new("--id") { Description = "the id of a response, or the index of a record", HelpName = "ID", Required = true };

    /// <summary>The folder of the log.</summary>
    public static string FolderOf(ParseResult parsed)
    {
        var folder = Path.GetFullPath(parsed.GetValue(Folder)!);
        var inner = Path.Combine(folder, "audit");
        var chosen = Directory.Exists(inner) ? inner : folder;
        return File.Exists(Path.Combine(chosen, AuditLog.FileName)) ? chosen
            : throw InputException.At(parsed.GetValue(Folder)!, AuditLog.FileName, "the log of a server", "nothing");
    }

    /// <summary>The record of a response, or that of an index.</summary>
    public static AuditRecord Find(string folder, string id)
    {
        if (RecordSearch.Of(folder, new RecordQuery { Id = id }).FirstOrDefault() is { } named) return named;
        return int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            && AuditReader.Read(folder).Skip(index).FirstOrDefault() is { } record ? record
            : throw InputException.At("--id", id, "the id of a response or the index of a record", "neither");
    }

    /// <summary>JSON for people.</summary>
    public static string Readable(JsonNode json) => json.ToJsonString(new System.Text.Json.JsonSerializerOptions
    {
        WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    private static string CountOf(JsonObject proof, string checkpoint) => proof[checkpoint]!.ToString().Split('\n')[1];

    private static LogKey KeyOf(ParseResult parsed, string folder) => Key(parsed.GetValue(KeyFile) ?? Path.Combine(folder, "key.pub"));

    private static LogKey Key(string path) => File.Exists(path) ? LogKey.Parse(File.ReadAllText(path).Trim(), path)
        : throw InputException.At(path, "key", "the public key of the log", "nothing");
}
