using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Models;

namespace AnchorScope.Baking;

/// <summary>The provenance record of a changed folder.</summary>
internal interface IChangeRecord
{
    /// <summary>Name of the machine-readable file.</summary>
    string File { get; }

    /// <summary>Content of the machine-readable file.</summary>
    string Text();

    /// <summary>The model card, in Markdown.</summary>
    /// <param name="otherWeights">Copied files with weights in other formats, which are unchanged.</param>
    string Card(IReadOnlyList<string> otherWeights);
}

/// <summary>
/// Writes a checkpoint with some changed tensors: weight files with unchanged headers and unchanged bytes of all other tensors, all other
/// files unchanged, and new README.md and provenance record.
/// </summary>
internal sealed class ChangedCheckpoint(VisionLanguageModel model, BakePlan plan)
{
    /// <summary>Writes the folder. It gets its name only when it is complete. After a failure or cancellation nothing remains.</summary>
    /// <param name="folder">Must not exist, or be empty, and must not be inside the original.</param>
    /// <param name="record">Creates the record from the changed tensors.</param>
    /// <param name="progress">Called with the bytes written and the total.</param>
    public T Write<T>(string folder, Func<IReadOnlyList<BakedTensor>, T> record, Action<long, long>? progress, CancellationToken cancel)
        where T : IChangeRecord
    {
        var original = model.Checkpoint.Folder;
        if ((Path.GetFullPath(folder) + Path.DirectorySeparatorChar).StartsWith(
            Path.TrimEndingDirectorySeparator(Path.GetFullPath(original)) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw InputException.At("--out", "folder", $"one that is not in the original, {original}", folder);
        var others = CheckpointFiles.Of(model.Checkpoint);
        return NewFolder.Write(folder, partial =>
        {
            var written = Fill(partial, others, record, progress, cancel);
            cancel.ThrowIfCancellationRequested();
            return written;
        });
    }

    private T Fill<T>(string folder, IReadOnlyList<string> others, Func<IReadOnlyList<BakedTensor>, T> describe,
        Action<long, long>? progress, CancellationToken cancel)
        where T : IChangeRecord
    {
        var original = model.Checkpoint.Folder;
        var (done, total) = (0L, plan.Bytes + others.Sum(name => CheckpointFiles.Bytes(Path.Combine(original, name))));
        if (new DriveInfo(folder).AvailableFreeSpace is var free && free < total)
            throw new InputException($"--out: the checkpoint takes {total} bytes, the disk has {free}");
        var rounded = new Dictionary<ChangedTensor, long>();
        foreach (var file in plan.Files)
        {
            AtomicFile.Write(Path.Combine(folder, Path.GetFileName(file.Path)), stream =>
            {
                foreach (var stretch in plan.Stretches(file))
                {
                    var count = plan.Read(file, stretch, (_, piece) => Put(stream, piece), cancel);
                    if (stretch.Tensor is { } tensor) rounded[tensor] = count;
                }
            });
        }
        foreach (var name in others)
        {
            using var file = MappedFile.Open(Path.Combine(original, name));
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, name))!);
            AtomicFile.Write(Path.Combine(folder, name), stream => CheckpointFiles.Read(file, (_, piece) => Put(stream, piece), cancel));
        }
        var record = describe(
            [.. plan.Tensors.Select(
                t => new BakedTensor(Path.GetFileName(t.File.Path), t.Entry.Name, t.Entry.Type.Name, t.Values, rounded[t]))]);
        var card = Path.Combine(original, ModelCard.FileName);
        var before = File.Exists(card) ? File.ReadAllBytes(card) : null;
        AtomicFile.Write(Path.Combine(folder, ModelCard.FileName),
            stream => stream.Write(ModelCard.Over(record.Card([.. others.Where(CheckpointFiles.IsWeights)]), before)));
        AtomicFile.Write(Path.Combine(folder, record.File), stream => stream.Write(Encoding.UTF8.GetBytes(record.Text())));
        return record;

        void Put(Stream stream, ReadOnlySpan<byte> piece)
        {
            stream.Write(piece);
            progress?.Invoke(done += piece.Length, total);
        }
    }
}
