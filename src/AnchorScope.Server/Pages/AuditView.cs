using System.Text.Json.Nodes;
using AnchorScope.Figures;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Security;

namespace AnchorScope.Server.Pages;

/// <summary>The state of the audit log, its latest records, and its verification.</summary>
/// <param name="folder">Folder of the log.</param>
/// <param name="anchor">The second place of checkpoints; null: none.</param>
internal sealed class AuditView(AuditTrail trail, string folder, string? anchor) : IView
{
    private const int Shown = 50;

    public string Path => "/pages/audit";

    public string Name => "Audit";

    public string About => "What was done is in a log that shows whether anything in it was changed, removed or added.";

    public bool IsFor(ServerKey key) => Roles.SeeRecord(key);

    public void Write(MarkupText html, Visit visit, Outcome? outcome)
    {
        var sealedCount = AuditReader.LastSealed(folder);
        html.Pairs(
            ("Records", PageMarkup.Count(trail.Count)), ("Root of the tree", trail.Root),
            ("Sealed", sealedCount == 0 ? "nothing yet: a signed checkpoint follows"
                : $"the first {Plural.Of((int)sealedCount, "record")}, by a signed checkpoint"),
            ("Public key", trail.Verifier),
            ("Second place", anchor is null ? "none: that the holder of the key wrote another log would not show (--anchor)"
                : "checkpoints are copied to the folder of --anchor"),
            ("Written", trail.Problem is { } problem ? $"no, and nothing is answered: {problem}" : "yes"));
        html.Open("form", ("method", "post"), ("action", "/pages/audit/verify"), ("hx-post", "/pages/audit/verify"),
            ("hx-target", "#verified"), ("class", "fields")).Token(visit)
            .Open("div", ("class", "field")).Text("button", "Verify the log", ("type", "submit")).Close("div").Close("form").Line();
        html.Open("div", ("id", "verified"), ("aria-live", "polite"));
        if (outcome is not null) html.Outcome(outcome);
        html.Close("div").Line();
        html.Heading("Latest records");
        html.Table("Latest records", ["Record", "Time (UTC)", "What", "By", "Details"],
            [.. AuditReader.Latest(folder, Shown).Select(record => (IReadOnlyList<string>)
                [Text(record["index"]), Text(record["time"]).Split('.')[0].Replace('T', ' '), Text(record["kind"]), Text(record["caller"]),
                    Details(record)])], 0, 1);
    }

    /// <summary>Reads the whole log and says whether it is whole.</summary>
    public Outcome Verify()
    {
        // Checkpoints are counted first: those that come meanwhile are not claimed.
        var (sealedCount, count) = (AuditReader.LastSealed(folder), trail.Count);
        if (AuditReader.Broken(folder, LogKey.Parse(trail.Verifier, folder), anchor) is { } broken)
            return new Outcome("log", false, broken) { Word = "The log is broken." };
        var text = sealedCount == 0
            ? $"Each of {Plural.Of((int)count, "record")} has the hash of the one before it. No checkpoint is signed yet, so that a log "
                + "that was written anew would not show."
            : $"Each of {Plural.Of((int)count, "record")} has the hash of the one before it, and the first {PageMarkup.Count(sealedCount)} "
                + "fit " + (anchor is null ? "the signed checkpoints." : "the signed checkpoints, also those in the second place.");
        return new Outcome("log", true, text) { Word = "The log is whole." };
    }

    private static string Details(JsonObject record) => Text(record["kind"]) switch
    {
        "request" => string.Join(", ", Parts(record)),
        "refused" => $"status {Text(record["status"])}, {Text(record["code"])}",
        "knob" => $"{Text(record["knob"])}: {Text(record["old"])} → {Text(record["new"])}, {Text(record["reason"])}",
        "start" => $"version {Text(record["version"])}, policy {Text(record["policy"])}",
        _ => "",
    };

    private static IEnumerable<string> Parts(JsonObject record)
    {
        yield return $"{Text(record["prompt_tokens"])} + {(record["answers"] as JsonArray)?.Sum(Tokens) ?? 0} tokens";
        if (Text(record["decision"]) is { Length: > 0 } decision) yield return $"follows {decision}";
        if (Text(record["intervention_sha256"]) is { Length: > 0 } changed) yield return $"changed ({changed[..8]})";
        yield return Text(record["id"]);
    }

    private static int Tokens(JsonNode? answer) => answer?["tokens"]?.GetValue<int>() ?? 0;

    private static string Text(JsonNode? value) => value?.ToString() ?? "";
}
