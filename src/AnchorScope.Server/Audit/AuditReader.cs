using System.Globalization;
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
    /// <summary>The records, in order.</summary>
    /// <exception cref="InputException">There is no log, or a line is no record.</exception>
    public static IReadOnlyList<AuditRecord> Records(string folder)
    {
        var path = Path.Combine(folder, AuditLog.FileName);
        if (!File.Exists(path)) throw InputException.At(folder, AuditLog.FileName, "the log of a server", "nothing");
        return [.. Lines(path).Select((line, i) => Json(line) is { } json ? new AuditRecord(i, line, json)
            : throw InputException.At(path, $"record {i}", "canonical JSON", "something else"))];
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

    /// <summary>
    /// The first broken place: a record that was edited, removed, reordered, inserted or cut off, or a checkpoint that does not fit; null
    /// if the log is whole as far as its checkpoints, and those of the anchor, can tell.
    /// </summary>
    /// <param name="anchor">The second place of checkpoints; null: none.</param>
    public static string? Broken(string folder, LogKey key, string? anchor)
    {
        var path = Path.Combine(folder, AuditLog.FileName);
        // Before the records: a server that goes on seals only what is on the disk already, so that these checkpoints cover no later ones.
        string[] checkpoints = [.. CheckpointFiles(Path.Combine(folder, AuditLog.Checkpoints)), .. CheckpointFiles(anchor)];
        var (roots, tree, previous) = (new List<byte[]> { new MerkleTree().Root }, new MerkleTree(), "");
        foreach (var line in Lines(path))
        {
            var index = tree.Count;
            if (Json(line) is not { } json || !CanonicalJson.Write(json).AsSpan().SequenceEqual(line))
                return $"{path}: record {index}: expected canonical JSON, found something else: it was edited";
            if ((json["index"] as JsonValue)?.TryGetValue<long>(out var named) != true || named != index)
                return $"{path}: record {index}: expected index {index}, found {json["index"]?.ToJsonString() ?? "none"}: "
                    + "records were removed, "
                    + "inserted or reordered here";
            if ((json["previous"] as JsonValue)?.TryGetValue<string>(out var before) != true || before != previous)
                return $"{path}: record {Math.Max(0, index - 1)}: the next record has another hash of it: it was edited, or records were "
                    + "removed, inserted or reordered here";
            var leaf = MerkleTree.Leaf(line);
            tree.Append(leaf);
            roots.Add(tree.Root);
            previous = Convert.ToHexStringLower(leaf);
        }
        foreach (var file in checkpoints)
        {
            Checkpoint checkpoint;
            try
            {
                checkpoint = Checkpoint.Read(File.ReadAllText(file), key, file);
            }
            catch (InputException e)
            {
                return e.Message;
            }
            if (checkpoint.Count > tree.Count)
                return $"{path}: record {tree.Count}: expected {checkpoint.Count} records, as {file} says, found {tree.Count}: "
                    + "the log was cut off";
            if (!roots[(int)checkpoint.Count].AsSpan().SequenceEqual(checkpoint.Root))
                return $"{path}: records 0 to {checkpoint.Count - 1}: their root is not that of {file}: the log was rewritten";
        }
        return null;
    }

    /// <summary>The number of records that the newest checkpoint in the folder covers; 0 if there is none.</summary>
    public static long LastSealed(string folder) => CheckpointFiles(Path.Combine(folder, AuditLog.Checkpoints))
        .Select(file => long.Parse(Path.GetFileName(file), CultureInfo.InvariantCulture)).DefaultIfEmpty(0).Max();

    /// <summary>The newest checkpoint, as a signed note; null if there is none.</summary>
    public static string? LastNote(string folder) =>
        CheckpointFiles(Path.Combine(folder, AuditLog.Checkpoints)).LastOrDefault() is { } file ? File.ReadAllText(file) : null;

    private static IEnumerable<string> CheckpointFiles(string? folder) => folder is null || !Directory.Exists(folder)
        ? [] : Directory.EnumerateFiles(folder).Where(file => Path.GetFileName(file).All(char.IsAsciiDigit)).Order(StringComparer.Ordinal);

    private static IEnumerable<byte[]> Lines(string path)
    {
        var bytes = File.Exists(path) ? ReadShared(path) : [];
        for (var start = 0; start < bytes.Length;)
        {
            var next = Array.IndexOf(bytes, (byte)'\n', start);
            // A record without an end was never acknowledged.
            if (next < 0) yield break;
            yield return bytes[start..next];
            start = next + 1;
        }
    }

    private static byte[] ReadShared(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    private static JsonObject? Json(byte[] line)
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
