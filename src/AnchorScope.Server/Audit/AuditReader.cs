using System.Text.Json.Nodes;

namespace AnchorScope.Server.Audit;

/// <summary>A record as it stands in the log.</summary>
/// <param name="Line">Its bytes, without the line break.</param>
internal sealed record AuditRecord(long Index, byte[] Line, JsonObject Json)
{
    public byte[] Leaf { get; } = MerkleTree.Leaf(Line);
}

/// <summary>Reads and verifies a log.</summary>
internal static class AuditReader
{
    /// <summary>The records, in order, all in memory: for short logs.</summary>
    /// <exception cref="InputException">There is no log, or a line is no record.</exception>
    public static IReadOnlyList<AuditRecord> Records(string folder) => [.. Read(folder)];

    /// <summary>The records, in order, one at a time.</summary>
    /// <exception cref="InputException">There is no log, or a line is no record.</exception>
    public static IEnumerable<AuditRecord> Read(string folder)
    {
        var path = Path.Combine(folder, AuditLog.FileName);
        if (!File.Exists(path)) throw InputException.At(folder, AuditLog.FileName, "the log of a server", "nothing");
        return LogLines.Of(path).Select((line, i) => Record(line.Line, i, path));
    }

    /// <summary>The record in a line.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public static AuditRecord Record(byte[] line, long index, string path) => Json(line) is { } json
        ? new AuditRecord(index, line, json) : throw InputException.At(path, $"record {index}", "canonical JSON", "something else");

    /// <summary>The first broken place; null if the log is whole as far as its checkpoints, and those of the anchor, can tell.</summary>
    /// <param name="anchor">The second place of checkpoints; null: none.</param>
    public static string? Broken(string folder, LogKey key, string? anchor) => LogScan.Of(folder, key, anchor).Broken;

    /// <summary>The number of records that the newest checkpoint in the folder covers; 0 if there is none.</summary>
    public static long LastSealed(string folder) => CheckpointFolder.Last(Path.Combine(folder, AuditLog.Checkpoints));

    /// <summary>The JSON object in a line; null if it has none.</summary>
    internal static JsonObject? Json(byte[] line)
    {
        try
        {
            return JsonNode.Parse(line) as JsonObject;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }
}
