using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Baking;

/// <summary>A range of a weight file: a tensor that is changed, or the bytes between two of them.</summary>
/// <param name="Offset">From the start of the file.</param>
/// <param name="Tensor">Null for unchanged bytes.</param>
internal readonly record struct Stretch(long Offset, long Bytes, ChangedTensor? Tensor);

/// <summary>Which bytes of a checkpoint are changed, and how.</summary>
internal sealed class BakePlan
{
    private const int PieceBytes = 4 << 20; // a multiple of every element size, so that a piece of a tensor has whole elements

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(PieceBytes);

    public BakePlan(Checkpoint original, IReadOnlyList<ChangedTensor> tensors) => (Files, Tensors) = (original.Files, tensors);

    /// <param name="model">Provides the names of its output projections.</param>
    /// <param name="gains">Gains of heads that the model has.</param>
    public BakePlan(VisionLanguageModel model, HeadGains gains)
        : this(model.Checkpoint, Scaled(model, gains))
    {
    }

    /// <summary>The original's weight files.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>The tensors that are changed, by layer.</summary>
    public IReadOnlyList<ChangedTensor> Tensors { get; }

    /// <summary>Total bytes of the weight files.</summary>
    public long Bytes => Files.Sum(file => file.Length);

    /// <summary>The ranges of a file, in order and without gaps.</summary>
    public IEnumerable<Stretch> Stretches(SafetensorsFile file)
    {
        var done = 0L;
        foreach (var tensor in Tensors.Where(t => t.File == file).OrderBy(t => t.Entry.Offset))
        {
            yield return new Stretch(done, tensor.Entry.Offset - done, null);
            yield return new Stretch(tensor.Entry.Offset, tensor.Entry.Bytes, tensor);
            done = tensor.Entry.Offset + tensor.Entry.Bytes;
        }
        yield return new Stretch(done, file.Length - done, null);
    }

    /// <summary>Streams the new bytes of a range in pieces, so that a shard never has to fit in memory.</summary>
    /// <param name="take">Receives the offset of a piece in the file and its bytes. The bytes are overwritten by the next piece.</param>
    /// <returns>Number of new values that were rounded.</returns>
    public long Read(SafetensorsFile file, Stretch stretch, Action<long, ReadOnlySpan<byte>> take, CancellationToken cancel)
    {
        var rounded = 0L;
        for (var at = 0L; at < stretch.Bytes; at += PieceBytes)
        {
            cancel.ThrowIfCancellationRequested();
            var piece = file.Slice(stretch.Offset + at, (int)Math.Min(PieceBytes, stretch.Bytes - at));
            if (stretch.Tensor is { } tensor)
            {
                piece.CopyTo(_buffer);
                rounded += tensor.Change(_buffer.AsSpan(0, piece.Length), at / tensor.Entry.Type.Bytes());
                piece = _buffer.AsSpan(0, piece.Length);
            }
            take(stretch.Offset + at, piece);
        }
        return rounded;
    }

    private static List<ScaledTensor> Scaled(VisionLanguageModel model, HeadGains gains)
    {
        var tensors = new List<ScaledTensor>();
        foreach (var layer in gains.Heads.Select(h => h.Layer).Distinct())
        {
            var columns = gains.Columns(layer, model.Decoder.Shape.HeadSize);
            if (columns.Count == 0) continue;
            var name = model.Decoder.Layers[layer].OutputProjection.Weight.Name;
            var file = model.Checkpoint.Weights.FileOf(name);
            tensors.Add(new ScaledTensor(file, file.Tensors[name], model.Decoder.Shape.HeadSize, columns));
        }
        return tensors;
    }
}
