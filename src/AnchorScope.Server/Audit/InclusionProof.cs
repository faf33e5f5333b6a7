using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Audit;

/// <summary>A proof that a record is in a log with a signed checkpoint, which anyone can check without the log.</summary>
internal static class InclusionProof
{
    /// <summary>
    /// <c>{"record", "index", "leaf", "tree_size", "hashes", "checkpoint", "key"}</c>: hashes in base64, lowest first, as RFC 9162 combines
    /// them to the root that the checkpoint has.
    /// </summary>
    /// <exception cref="InputException">No checkpoint covers the record yet.</exception>
    public static JsonObject Of(AuditRecord record, string folder, LogKey key)
    {
        var file = CheckpointFolder.Files(Path.Combine(folder, AuditLog.Checkpoints)).LastOrDefault();
        if (file is null || CheckpointFolder.Last(Path.Combine(folder, AuditLog.Checkpoints)) <= record.Index)
            throw InputException.At(folder, AuditLog.Checkpoints, $"one that covers record {record.Index}",
                (file is null ? "none" : $"the newest for {AuditReader.LastSealed(folder)} records")
                    + "; a server that runs makes one within "
                    + $"{PeriodOf(folder)} seconds, and one when it ends");
        var note = File.ReadAllText(file);
        var checkpoint = Checkpoint.Read(note, key, file);
        var leaves = Leaves(folder, checkpoint.Count);
        return new JsonObject
        {
            ["record"] = record.Json.DeepClone(),
            ["index"] = record.Index,
            ["leaf"] = Convert.ToBase64String(leaves[record.Index]),
            ["tree_size"] = checkpoint.Count,
            ["hashes"] = Hashes(MerkleTree.Proof(leaves, (int)record.Index)),
            ["checkpoint"] = note,
            ["key"] = key.Verifier,
        };
    }

    /// <summary>Whether a proof leads from its record to the root of its signed checkpoint.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <exception cref="InputException">It is no such proof, or the key has not signed its checkpoint.</exception>
    public static bool Holds(JsonObject proof, LogKey key, string file)
    {
        var root = new JsonField(file, "", StrictJson.Parse(System.Text.Encoding.UTF8.GetBytes(proof.ToJsonString()), file));
        var checkpoint = Checkpoint.Read(root.Get("checkpoint").Text(), key, file);
        var leaf = MerkleTree.Leaf(CanonicalJson.Write(proof["record"]));
        var index = root.Get("index").Integer(0, int.MaxValue);
        return root.Get("tree_size").Integer(0, int.MaxValue) == checkpoint.Count
            && Hash(root.Get("leaf")).AsSpan().SequenceEqual(leaf)
            && root.Get("record").Get("index").Integer(0, int.MaxValue) == index
            && MerkleTree.RootOf(leaf, index, checkpoint.Count, [.. root.Get("hashes").Items().Select(Hash)]) is { } found
            && found.AsSpan().SequenceEqual(checkpoint.Root);
    }

    /// <summary>Hashes of the first records of a log.</summary>
    internal static byte[][] Leaves(string folder, long count)
    {
        var path = Path.Combine(folder, AuditLog.FileName);
        byte[][] leaves = [.. LogLines.Of(path).Take((int)count).Select(line => MerkleTree.Leaf(line.Line))];
        return leaves.Length == count ? leaves
            : throw InputException.At(path, "records", $"{count}, as a checkpoint says", $"{leaves.Length}: the log was cut off");
    }

    /// <summary>Hashes as JSON.</summary>
    internal static JsonArray Hashes(IReadOnlyList<byte[]> hashes) =>
        new([.. hashes.Select(hash => (JsonNode?)Convert.ToBase64String(hash))]);

    /// <summary>A hash of a proof.</summary>
    /// <exception cref="InputException">It is none.</exception>
    internal static byte[] Hash(JsonField field)
    {
        var bytes = new byte[32];
        return Convert.TryFromBase64String(field.Text(), bytes, out var count) && count == bytes.Length
            ? bytes : throw field.Expected("a SHA-256 in base64");
    }

    /// <summary>The time between checkpoints of the server that keeps the log, as it said when it started.</summary>
    private static string PeriodOf(string folder) => AuditReader.Read(folder)
        .Select(record => record.Json["kind"]?.ToString() == "start" ? record.Json["checkpoint_seconds"]?.ToString() : null)
        .LastOrDefault(period => period is not null) ?? "60";
}
