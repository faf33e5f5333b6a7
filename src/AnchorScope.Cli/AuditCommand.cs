using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Models;
using AnchorScope.Server.Audit;

namespace AnchorScope.Cli;

/// <summary><c>ascope audit</c>: verifies the log of a server, proves and shows its records, and computes answers again.</summary>
internal static class AuditCommand
{
    private const int Broken = 1;

    private static readonly Argument<string> Folder =
        new("DIR") { Description = "the folder of the server (--state), or its folder audit" };

    private static readonly Option<string?> KeyFile =
        new("--key") { Description = "the public key of the log (default: key.pub in the folder)", HelpName = "FILE" };

    public static Command Create() => new("audit", "Verifies the log of a server, proves and shows its records, computes answers again.")
        { Verify(), Prove(), Show(), Export(), Again() };

    private static Command Verify()
    {
        var anchor = new Option<string?>("--anchor") { Description = "the second place of the checkpoints", HelpName = "DIR" };
        var command = new Command(
            "verify", "Checks every record and every checkpoint; exit code 1 and the first broken place if one is wrong.")
            { Folder, KeyFile, anchor };
        command.SetAction(parsed =>
        {
            var folder = FolderOf(parsed);
            if (parsed.GetValue(anchor) is { } second && !Directory.Exists(second))
                throw InputException.At("--anchor", second, "a folder", "nothing");
            if (AuditReader.Broken(folder, KeyOf(parsed, folder), parsed.GetValue(anchor)) is { } broken)
            {
                Console.WriteLine($"broken: {broken}");
                return Broken;
            }
            var (count, sealedCount) = (AuditReader.Records(folder).Count, AuditReader.LastSealed(folder));
            Console.WriteLine($"whole: {Plural.Of(count, "record")}, the first {sealedCount} of them under a signed checkpoint"
                + (parsed.GetValue(anchor) is null
                    ? "; without --anchor a log that its owner cut off together with its checkpoints looks whole" : ""));
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
            var records = AuditReader.Records(folder);
            var record = Find(records, parsed.GetValue(id)!);
            Console.WriteLine(Readable(InclusionProof.Of(records, record.Index, folder, KeyOf(parsed, folder))));
            return 0;
        });
        return command;
    }

    private static Command Show()
    {
        var id = new Option<string?>("--id") { Description = "one record: the id of a response, or an index", HelpName = "ID" };
        var command = new Command("show", "Prints the records as a table, or one of them as JSON.") { Folder, id };
        command.SetAction(parsed =>
        {
            var records = AuditReader.Records(FolderOf(parsed));
            if (parsed.GetValue(id) is { } named) Console.WriteLine(Readable(Find(records, named).Json));
            else foreach (var record in records) Console.WriteLine(Line(record));
            return 0;
        });
        return command;
    }

    private static Command Export()
    {
        var from = new Option<DateTimeOffset?>("--from") { Description = "first time", HelpName = "TIME" };
        var to = new Option<DateTimeOffset?>("--to") { Description = "first time that is left out", HelpName = "TIME" };
        var csv = new Option<bool>("--csv") { Description = "a table of the main columns instead of JSON lines" };
        var command = new Command("export", "Prints the records of a time as JSON lines or as CSV.") { Folder, from, to, csv };
        command.SetAction(parsed =>
        {
            var chosen = AuditReader.Records(FolderOf(parsed)).Where(record =>
                DateTimeOffset.Parse(record.Json["time"]!.ToString(), CultureInfo.InvariantCulture) is var time
                && time >= (parsed.GetValue(from) ?? DateTimeOffset.MinValue) && time < (parsed.GetValue(to) ?? DateTimeOffset.MaxValue));
            if (parsed.GetValue(csv)) Console.WriteLine(string.Join(',', Columns));
            foreach (var record in chosen)
            {
                Console.WriteLine(parsed.GetValue(csv)
                    ? string.Join(',', Columns.Select(column => record.Json[column]?.ToString() ?? ""))
                    : Encoding.UTF8.GetString(record.Line));
            }
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
            var records = AuditReader.Records(folder);
            var record = Find(records, parsed.GetValue(id)!);
            if (record.Json["kind"]?.ToString() != "request")
                throw InputException.At("--id", parsed.GetValue(id)!, "a request that was answered", $"{record.Json["kind"]}");
            var start = records.Take((int)record.Index).LastOrDefault(r => r.Json["kind"]?.ToString() == "start")
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

    private static readonly string[] Columns =
        ["index", "time", "kind", "id", "status", "code", "prompt_tokens", "reused_tokens", "intervention_sha256", "system_fingerprint"];

    private static Option<string> Id() =>
        new("--id") { Description = "the id of a response, or the index of a record", HelpName = "ID", Required = true };

    private static string FolderOf(ParseResult parsed)
    {
        var folder = Path.GetFullPath(parsed.GetValue(Folder)!);
        var inner = Path.Combine(folder, "audit");
        var chosen = Directory.Exists(inner) ? inner : folder;
        return File.Exists(Path.Combine(chosen, AuditLog.FileName)) ? chosen
            : throw InputException.At(parsed.GetValue(Folder)!, AuditLog.FileName, "the log of a server", "nothing");
    }

    private static LogKey KeyOf(ParseResult parsed, string folder)
    {
        var path = parsed.GetValue(KeyFile) ?? Path.Combine(folder, "key.pub");
        return File.Exists(path) ? LogKey.Parse(File.ReadAllText(path).Trim(), path)
            : throw InputException.At(path, "key", "the public key of the log", "nothing");
    }

    private static AuditRecord Find(IReadOnlyList<AuditRecord> records, string id) =>
        records.FirstOrDefault(record => record.Json["id"]?.ToString() == id)
            ?? (int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < records.Count ? records[index]
                : throw InputException.At("--id", id, $"the id of a response or an index, 0 to {records.Count - 1}", "neither"));

    private static string Line(AuditRecord record)
    {
        var json = record.Json;
        var detail = json["kind"]?.ToString() switch
        {
            "request" =>
                $"{json["id"]}  {json["prompt_tokens"]} + {json["answers"]!.AsArray().Sum(a => a!["tokens"]!.GetValue<int>())} tokens"
                    + (json["intervention"] is null ? "" : "  steered"),
            "refused" => $"{json["id"]}  {json["status"]} {json["code"]} {json["member"]}",
            "start" => $"{json["version"]}, {json["model"]}, policy {json["policy"]}",
            _ => "",
        };
        return $"{record.Index,6}  {json["time"]}  {json["kind"],-8}  {detail}".TrimEnd();
    }

    private static string Readable(JsonNode json) => json.ToJsonString(new System.Text.Json.JsonSerializerOptions
    {
        WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
