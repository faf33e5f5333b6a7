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

    /// <summary>The last records, newest first, read from the end of the file: at most <paramref name="most"/> of them.</summary>
    public static IReadOnlyList<JsonObject> Latest(string folder, int most)
    {
        const int Window = 1 << 18;
        var path = Path.Combine(folder, AuditLog.FileName);
        if (!File.Exists(path)) return [];
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var start = Math.Max(0, file.Length - Window);
        var bytes = new byte[file.Length - start];
        file.Position = start;
        file.ReadExactly(bytes);
        // What comes before the first line break of the window is the rest of a record, and what comes after the last one an unfinished
        // one.
        var (first, end) = (start == 0 ? 0 : Array.IndexOf(bytes, (byte)'\n') + 1, Array.LastIndexOf(bytes, (byte)'\n') + 1);
        var lines = new List<byte[]>();
        while (first < end)
        {
            var next = Array.IndexOf(bytes, (byte)'\n', first);
            lines.Add(bytes[first..next]);
            first = next + 1;
        }
        return [.. lines.TakeLast(most).Reverse().Select(Json).OfType<JsonObject>()];
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
