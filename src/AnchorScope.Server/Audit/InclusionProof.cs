using System.Text.Json.Nodes;

namespace AnchorScope.Server.Audit;

/// <summary>A proof that a record is in a log with a signed checkpoint, which anyone can check without the log.</summary>
internal static class InclusionProof
{
    /// <summary>
    /// <c>{"record", "index", "leaf", "tree_size", "hashes", "checkpoint", "key"}</c>: hashes in base64, lowest first, as RFC 9162 combines
    /// them to the root that the checkpoint has.
    /// </summary>
    /// <exception cref="InputException">No checkpoint covers the record yet.</exception>
    public static JsonObject Of(IReadOnlyList<AuditRecord> records, long index, string folder, LogKey key)
    {
        var note = AuditReader.LastNote(folder)
            ?? throw InputException.At(folder, AuditLog.Checkpoints, "a checkpoint", "none yet");
        var checkpoint = Checkpoint.Read(note, key, folder);
        if (index >= checkpoint.Count)
            throw InputException.At(folder, AuditLog.Checkpoints, $"one that covers record {index}",
                $"the newest has {checkpoint.Count} records");
        byte[][] leaves = [.. records.Take((int)checkpoint.Count).Select(record => record.Leaf)];
        return new JsonObject
        {
            ["record"] = records[(int)index].Json.DeepClone(),
            ["index"] = index,
            ["leaf"] = Convert.ToBase64String(leaves[index]),
            ["tree_size"] = checkpoint.Count,
            ["hashes"] = new JsonArray([.. MerkleTree.Proof(leaves, (int)index).Select(hash => (JsonNode?)Convert.ToBase64String(hash))]),
            ["checkpoint"] = note,
            ["key"] = key.Verifier,
        };
    }

    /// <summary>Whether a proof leads from its record to the root of its signed checkpoint.</summary>
    public static bool Holds(JsonObject proof, LogKey key)
    {
        var checkpoint = Checkpoint.Read(proof["checkpoint"]!.ToString(), key, "proof");
        var leaf = MerkleTree.Leaf(CanonicalJson.Write(proof["record"]));
        byte[][] hashes = [.. proof["hashes"]!.AsArray().Select(hash => Convert.FromBase64String(hash!.ToString()))];
        return MerkleTree.RootOf(leaf, proof["index"]!.GetValue<long>(), checkpoint.Count, hashes) is { } root
            && root.AsSpan().SequenceEqual(checkpoint.Root);
    }
}
