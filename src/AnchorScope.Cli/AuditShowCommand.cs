using System.CommandLine;
using System.Text;
using AnchorScope.Server.Audit;

namespace AnchorScope.Cli;

/// <summary><c>ascope audit show</c> and <c>export</c>: records for people, and for programs.</summary>
internal static class AuditShowCommand
{
    private static readonly string[] Columns =
        ["index", "time", "kind", "id", "status", "code", "prompt_tokens", "reused_tokens", "intervention_sha256", "system_fingerprint"];

    private static readonly Option<DateTimeOffset?> From = new("--from") { Description = "first time", HelpName = "TIME" };

    private static readonly Option<DateTimeOffset?> To = new("--to") { Description = "first time that is left out", HelpName = "TIME" };

    public static Command Show()
    {
        var id = new Option<string?>("--id") { Description = "one record: the id of a response, or an index", HelpName = "ID" };
        var kind = new Option<string?>("--kind") { Description = "what happened: request, refused, knob, alert, …", HelpName = "KIND" };
        var caller = new Option<string?>("--caller") { Description = "name of the key", HelpName = "NAME" };
        var last = new Option<int?>("--last") { Description = "of all these, the last ones", HelpName = "N" };
        var command = new Command("show", "Prints records as a table, or one of them as JSON.")
            { AuditCommand.Folder, id, From, To, kind, caller, last };
        command.SetAction(parsed =>
        {
            var folder = AuditCommand.FolderOf(parsed);
            var query = Times(parsed) with
            {
                Kind = parsed.GetValue(kind), Caller = parsed.GetValue(caller),
                Last = parsed.GetValue(last) is { } count and < 1
                    ? throw InputException.At("--last", "records", "at least 1", $"{count}") : parsed.GetValue(last),
            };
            if (parsed.GetValue(id) is not { } named)
                foreach (var record in RecordSearch.Of(folder, query)) Console.WriteLine(Line(record));
            else if (query.IsAll) Console.WriteLine(AuditCommand.Readable(AuditCommand.Find(folder, named).Json));
            else throw InputException.At("--id", named, "it alone: it names one record", "other conditions beside it");
            return 0;
        });
        return command;
    }

    public static Command Export()
    {
        var csv = new Option<bool>("--csv") { Description = "a table of the main columns instead of JSON lines" };
        var command = new Command("export", "Prints the records of a time as JSON lines or as CSV.") { AuditCommand.Folder, From, To, csv };
        command.SetAction(parsed =>
        {
            var query = Times(parsed);
            if (parsed.GetValue(csv)) Console.WriteLine(string.Join(',', Columns));
            foreach (var record in RecordSearch.Of(AuditCommand.FolderOf(parsed), query))
            {
                Console.WriteLine(parsed.GetValue(csv)
                    ? string.Join(',', Columns.Select(column => record.Json[column]?.ToString() ?? ""))
                    : Encoding.UTF8.GetString(record.Line));
            }
            return 0;
        });
        return command;
    }

    private static RecordQuery Times(ParseResult parsed)
    {
        var (from, to) = (parsed.GetValue(From), parsed.GetValue(To));
        return from is null || to is null || from < to ? new RecordQuery { From = from, To = to }
            : throw InputException.At("--from", RecordQuery.Text(from.Value), $"a time before --to, {RecordQuery.Text(to.Value)}", "none");
    }

    private static string Line(AuditRecord record)
    {
        var json = record.Json;
        var detail = json["kind"]?.ToString() switch
        {
            "request" =>
                $"{json["id"]}  {json["prompt_tokens"]} + {json["answers"]!.AsArray().Sum(a => a!["tokens"]!.GetValue<int>())} tokens"
                    + (json["intervention"] is null ? "" : "  steered"),
            "refused" => $"{json["id"] ?? $"{json["method"]} {json["path"]}"}  {json["status"]} {json["code"]} {json["member"]}",
            "unauthorized" => $"{json["address_hash"]}  {json["count"]} without a valid key",
            "knob" => $"{json["knob"]}  {json["old"]} to {json["new"]}",
            "alert" => $"{json["alert"]}  {json["file"] ?? json["canary"] ?? json["quantity"] ?? json["detail"]}"
                + (json["cleared"]?.GetValue<bool>() == true ? "  over" : ""),
            "canary" => $"{json["canaries"]} run, {json["different"]} different",
            "start" => $"{json["version"]}, {json["model"]}, policy {json["policy"]}",
            _ => "",
        };
        return $"{record.Index,6}  {json["time"]}  {json["kind"],-8}  {detail}".TrimEnd();
    }
}
