using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Audit;

/// <summary>A proof that a log with one signed checkpoint is the beginning of the log with a later one, without the records.</summary>
internal static class ConsistencyProof
{
    /// <summary><c>{"from", "to", "hashes", "key"}</c>: two signed checkpoints, and the hashes of RFC 6962 (2.1.2) in base64.</summary>
    /// <param name="from">Number of records of the earlier checkpoint; null: the oldest.</param>
    /// <param name="to">Number of records of the later one; null: the newest.</param>
    /// <exception cref="InputException">There are no such checkpoints.</exception>
    public static JsonObject Of(string folder, long? from, long? to, LogKey key)
    {
        var (first, second) = (Read(folder, from, last: false, key), Read(folder, to, last: true, key));
        if (first.Count > second.Count) throw InputException.At("--from", $"{first.Count}", $"at most --to, {second.Count}", "more");
        return new JsonObject
        {
            ["from"] = first.Note,
            ["to"] = second.Note,
            ["hashes"] = InclusionProof.Hashes(MerkleTree.Consistency(InclusionProof.Leaves(folder, second.Count), (int)first.Count)),
            ["key"] = key.Verifier,
        };
    }

    /// <summary>Whether a proof leads to the roots of both of its signed checkpoints.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <exception cref="InputException">It is no such proof, or the key has not signed one of its checkpoints.</exception>
    public static bool Holds(JsonObject proof, LogKey key, string file)
    {
        var root = new JsonField(file, "", StrictJson.Parse(System.Text.Encoding.UTF8.GetBytes(proof.ToJsonString()), file));
        var (first, second) = (Checkpoint.Read(root.Get("from").Text(), key, file), Checkpoint.Read(root.Get("to").Text(), key, file));
        return first.Origin == second.Origin && MerkleTree.IsConsistent((first.Count, first.Root), (second.Count, second.Root),
            [.. root.Get("hashes").Items().Select(InclusionProof.Hash)]);
    }

    private static (string Note, long Count) Read(string folder, long? count, bool last, LogKey key)
    {
        string[] files = [.. CheckpointFolder.Files(Path.Combine(folder, AuditLog.Checkpoints))];
        if (files.Length == 0) throw InputException.At(folder, AuditLog.Checkpoints, "a checkpoint", "none yet");
        var file = count is null ? files[last ? ^1 : 0]
            : Array.Find(files, path => Path.GetFileName(path) == CheckpointFolder.Name(count.Value)) ?? throw InputException.At(folder,
                AuditLog.Checkpoints, $"one of {count} records", $"those of {string.Join(", ", Nearest(files, count.Value))}");
        var note = File.ReadAllText(file);
        return (note, Checkpoint.Read(note, key, file).Count);
    }

    private static IEnumerable<long> Nearest(string[] files, long count) => files
        .Select(file => long.Parse(Path.GetFileName(file), System.Globalization.CultureInfo.InvariantCulture))
        .OrderBy(there => Math.Abs(there - count)).Take(4).Order();
}
