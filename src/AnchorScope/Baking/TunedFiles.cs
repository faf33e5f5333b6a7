using AnchorScope.Models;

namespace AnchorScope.Baking;

/// <summary>The proof of a tuned folder: it differs from the original only in the rows and columns of the named heads.</summary>
internal static class TunedFiles
{
    /// <summary>Reads both folders once.</summary>
    /// <param name="progress">Called with the bytes of weights compared and the total.</param>
    /// <exception cref="InputException">The record names heads that the original lacks.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IReadOnlyList<BakedCheck> Check(VisionLanguageModel original, VisionLanguageModel tuned,
        Action<long, long>? progress = null, CancellationToken cancel = default)
    {
        var record = TunedRecord.Load(tuned.Checkpoint.Folder);
        foreach (var (layer, head) in record.Heads)
            original.Decoder.Shape.Check(layer, head, Path.Combine(tuned.Checkpoint.Folder, TunedRecord.FileName), "heads: ");
        var named = record.Tensors.Select(t => t.Name).ToHashSet(StringComparer.Ordinal);
        var lines = HeadLines.All(original.Decoder, record.Heads).ToDictionary(l => l.Tensor, StringComparer.Ordinal);
        var free = new List<ChangedTensor>();
        foreach (var file in original.Checkpoint.Files)
        {
            var other = tuned.Checkpoint.Files.FirstOrDefault(f => Path.GetFileName(f.Path) == Path.GetFileName(file.Path));
            // Files with other names or sizes are reported before any tensor is compared.
            foreach (var entry in file.Tensors.Values.Where(t => other?.Length == file.Length && lines.ContainsKey(t.Name)))
                free.Add(new FreeTensor(file, entry, lines[entry.Name], other!));
        }
        var checks = new BakedFiles(original.Checkpoint, tuned.Checkpoint, new BakePlan(original.Checkpoint, free),
            "in the heads' tensors, all but the heads' rows and columns byte for byte", "free to differ").Check(null, progress, cancel);
        const string What = "tuned.json says the same";
        if (original.Checkpoint.Identity.ChangesSince(new(record.SourceSha256, record.SourceFiles)) is { Count: > 0 } changes)
            return [.. checks, new BakedCheck(What, $"it was made from another model: {string.Join("; ", changes)}", false)];
        var same = named.SetEquals(lines.Keys) && record.Lines.All(l => lines[l.Key].Text == l.Value);
        return [.. checks, new BakedCheck(What, $"{record.What}, {Plural.Of(record.Heads.Count, "head")}, "
            + $"{Plural.Of(record.Tensors.Count, "tensor")}", same)];
    }
}
