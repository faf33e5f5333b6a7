using System.Text.Json.Nodes;

namespace AnchorScope.Server.Audit;

/// <summary>One reading of a log from its first record to its last one, against its checkpoints and those of the anchor.</summary>
internal sealed class LogScan
{
    private readonly Dictionary<long, List<(string File, byte[] Root)>> _roots = [];
    private readonly string _path;

    private LogScan(string folder) => _path = Path.Combine(folder, AuditLog.FileName);

    /// <summary>The tree over the records.</summary>
    public MerkleTree Tree { get; } = new();

    /// <summary>Hash of the last record; empty for none.</summary>
    public string Previous { get; private set; } = "";

    /// <summary>Place in the file after the last whole record.</summary>
    public long End { get; private set; }

    /// <summary>Number of records that the newest checkpoint of the log covers.</summary>
    public long Sealed { get; private set; }

    /// <summary>Number of records that the newest checkpoint of the anchor covers; null: no anchor was named.</summary>
    public long? Anchored { get; private set; }

    /// <summary>
    /// The first broken place: a record that was edited, removed, reordered, inserted or cut off, or a checkpoint that does not fit or
    /// is missing; null if the log is whole as far as its checkpoints, and those of the anchor, can tell.
    /// </summary>
    public string? Broken { get; private set; }

    /// <summary>Reads a log.</summary>
    /// <param name="anchor">The second place of checkpoints; null: none.</param>
    /// <param name="from">
    /// Records before this one are compared by their hashes alone, which takes a tenth of the time and finds the same changes wherever a
    /// checkpoint covers them, but not their place.
    /// </param>
    public static LogScan Of(string folder, LogKey key, string? anchor, long from = 0)
    {
        var scan = new LogScan(folder);
        // Before the records: a server that runs adds a record first and its checkpoint after it.
        var (wrong, missing) = scan.Checkpoints(folder, key, anchor);
        scan.Broken = scan.Records(from) ?? wrong ?? scan.CutOff() ?? missing;
        return scan;
    }

    /// <summary>Reads the checkpoints: the first that is wrong, and the first of the anchor that the log lacks.</summary>
    private (string? Wrong, string? Missing) Checkpoints(string folder, LogKey key, string? anchor)
    {
        var (local, missing) = (new HashSet<long>(), (string?)null);
        foreach (var (second, file) in CheckpointFolder.Files(Path.Combine(folder, AuditLog.Checkpoints)).Select(file => (false, file))
            .Concat((anchor is null ? [] : CheckpointFolder.Files(anchor)).Select(file => (true, file))))
        {
            Checkpoint checkpoint;
            try
            {
                checkpoint = Checkpoint.Read(File.ReadAllText(file), key, file);
            }
            catch (InputException e)
            {
                return (e.Message, null);
            }
            if (second) Anchored = Math.Max(Anchored ?? 0, checkpoint.Count);
            else Sealed = Math.Max(Sealed, checkpoint.Count);
            if (!second) local.Add(checkpoint.Count);
            else if (!local.Contains(checkpoint.Count))
            {
                missing ??= $"{Path.Combine(folder, AuditLog.Checkpoints, CheckpointFolder.Name(checkpoint.Count))}: "
                    + "expected the checkpoint that "
                    + $"{file} is a copy of, found nothing: checkpoints of the log were removed";
            }
            if (!_roots.TryGetValue(checkpoint.Count, out var roots)) _roots[checkpoint.Count] = roots = [];
            roots.Add((file, checkpoint.Root));
        }
        if (anchor is not null && Anchored is null)
            return (null, $"{anchor}: expected checkpoints of this log, found none: the anchor proves nothing");
        return (null, missing);
    }

    private string? Records(long from)
    {
        string? rewritten = Fits();
        foreach (var (place, line) in LogLines.Of(_path))
        {
            var index = Tree.Count;
            if (index >= from && Wrong(index, line) is { } wrong) return wrong;
            var leaf = MerkleTree.Leaf(line);
            Tree.Append(leaf);
            Previous = Convert.ToHexStringLower(leaf);
            End = place + line.Length + 1;
            rewritten ??= Fits();
        }
        return rewritten;
    }

    private string? Wrong(long index, byte[] line)
    {
        if (AuditReader.Json(line) is not { } json || !CanonicalJson.Write(json).AsSpan().SequenceEqual(line))
            return $"{_path}: record {index}: expected canonical JSON, found something else: it was edited";
        if ((json["index"] as JsonValue)?.TryGetValue<long>(out var named) != true || named != index)
            return $"{_path}: record {index}: expected index {index}, found {json["index"]?.ToJsonString() ?? "none"}: "
                + "records were removed, inserted or reordered here";
        return (json["previous"] as JsonValue)?.TryGetValue<string>(out var before) == true && before == Previous ? null
            : $"{_path}: record {Math.Max(0, index - 1)}: the next record has another hash of it: it was edited, or records were "
                + "removed, inserted or reordered here";
    }

    /// <summary>Compares the root of the records read so far with those of the checkpoints of as many records.</summary>
    private string? Fits()
    {
        if (!_roots.Remove(Tree.Count, out var roots)) return null;
        var root = Tree.Root;
        return roots.Find(other => !root.AsSpan().SequenceEqual(other.Root)) is { File: { } file }
            ? $"{_path}: records 0 to {Tree.Count - 1}: their root is not that of {file}: the log was rewritten" : null;
    }

    private string? CutOff() => _roots.Count == 0 ? null : _roots.MinBy(roots => roots.Key) is var (count, roots)
        ? $"{_path}: record {Tree.Count}: expected {count} records, as {roots[0].File} says, found {Tree.Count}: the log was cut off"
        : null;
}
