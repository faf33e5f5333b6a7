using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Studies;

namespace AnchorScope.Baking;

/// <summary>
/// A checkpoint with gains of heads folded into it. o_proj is linear in the heads' outputs z, and each of its columns meets one component of one head: W (g z) = (W g) z at every
/// position. So a gain becomes a factor of that head's columns, and the model that anybody loads is the steered one.
/// </summary>
public sealed class BakedCheckpoint
{
    private readonly VisionLanguageModel _model;
    private readonly HeadSetFile _heads;
    private readonly HeadGains _gains;

    /// <summary>Checks that the heads fit the model; nothing is written yet.</summary>
    /// <param name="factor">What each of them is multiplied with; finite.</param>
    /// <param name="force">Takes a head set that was made for another model, if this one has the heads.</param>
    /// <exception cref="InputException">They do not fit.</exception>
    public BakedCheckpoint(VisionLanguageModel model, HeadSetFile heads, float factor, bool force = false)
    {
        (_model, _heads, _gains) = (model, heads, HeadGains.Of(heads.Set.Heads.Select(h => (h.Layer, h.Head)), factor));
        heads.Set.Validate(model.Decoder.Shape, force ? null : model.Checkpoint.Sha256, heads.Path);
    }

    /// <summary>
    /// Writes the folder: weight files with their headers and all tensors but the changed ones byte for byte, the other files as they are, README.md and baked.json of its own.
    /// It appears under its name when it is complete; what fails or is cancelled on the way leaves nothing behind.
    /// </summary>
    /// <param name="folder">Must not exist, or be empty, and not lie in the original.</param>
    /// <param name="progress">Told the bytes of files written and those in all.</param>
    /// <exception cref="InputException">The folder cannot be written, the disk is too small, or a product is not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public BakedRecord Write(string folder, Action<long, long>? progress = null, CancellationToken cancel = default)
    {
        var original = _model.Checkpoint.Folder;
        if ((Path.GetFullPath(folder) + Path.DirectorySeparatorChar).StartsWith(Path.TrimEndingDirectorySeparator(Path.GetFullPath(original)) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw InputException.At("--out", "folder", $"one that is not in the original, {original}", folder);
        var others = CheckpointFiles.Of(_model.Checkpoint);
        return NewFolder.Write(folder, partial =>
        {
            var record = Write(partial, others, progress, cancel);
            cancel.ThrowIfCancellationRequested();
            return record;
        });
    }

    private BakedRecord Write(string folder, IReadOnlyList<string> others, Action<long, long>? progress, CancellationToken cancel)
    {
        var (original, plan) = (_model.Checkpoint.Folder, new BakePlan(_model, _gains));
        var (done, total) = (0L, plan.Bytes + others.Sum(name => CheckpointFiles.Bytes(Path.Combine(original, name))));
        if (new DriveInfo(folder).AvailableFreeSpace is var free && free < total) throw new InputException($"--out: the checkpoint takes {total} bytes, the disk has {free}");
        var rounded = new Dictionary<ScaledTensor, long>();
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
        var record = Record([.. plan.Tensors.Select(t => new BakedTensor(Path.GetFileName(t.File.Path), t.Entry.Name, t.Entry.Type.Name, t.Values, rounded[t]))]);
        var card = Path.Combine(original, ModelCard.FileName);
        var before = File.Exists(card) ? File.ReadAllBytes(card) : null;
        AtomicFile.Write(Path.Combine(folder, ModelCard.FileName), stream => stream.Write(ModelCard.Write(record, before, [.. others.Where(CheckpointFiles.IsWeights)])));
        AtomicFile.Write(Path.Combine(folder, BakedRecord.FileName), stream => stream.Write(Encoding.UTF8.GetBytes(record.Text())));
        return record;

        void Put(Stream stream, ReadOnlySpan<byte> piece)
        {
            stream.Write(piece);
            progress?.Invoke(done += piece.Length, total);
        }
    }

    private BakedRecord Record(IReadOnlyList<BakedTensor> tensors) => new()
    {
        Tool = ToolVersion.Text,
        Source = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_model.Checkpoint.Folder))),
        SourceSha256 = _model.Checkpoint.Sha256,
        HeadSet = Path.GetFileName(_heads.Path),
        HeadSetSha256 = _heads.Sha256,
        HeadSetRevision = _heads.Set.Revision,
        Gains = _gains,
        Tensors = tensors,
    };
}
