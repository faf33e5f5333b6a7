using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Tuning;

/// <summary>
/// The trained parameters, and how they determine the weights. A model opened over <see cref="Weights"/> uses what was applied last.
/// </summary>
internal abstract class Tunable : IDisposable
{
    private protected Tunable(Checkpoint original, IEnumerable<string> tensors)
    {
        Original = original;
        var names = tensors.ToHashSet(StringComparer.Ordinal);
        Weights = Parameters.Of(original, entry => names.Contains(entry.Name));
    }

    /// <summary>The model's tensors that change, as float32.</summary>
    public Parameters Weights { get; }

    /// <summary>The parameters that the optimiser updates.</summary>
    public abstract Parameters Learnt { get; }

    /// <summary>Number of trained values.</summary>
    public virtual long Count => Learnt.Entries.Sum(e => e.Count);

    private protected Checkpoint Original { get; }

    /// <summary>Updates <see cref="Weights"/> from <see cref="Learnt"/>.</summary>
    public abstract void Apply();

    /// <summary>
    /// The gradient with respect to the trained parameters, from the gradient with respect to all of <see cref="Weights"/>.
    /// </summary>
    public abstract Gradients Backward(Gradients byWeights);

    /// <summary>The changes of the stored bytes for what was applied last.</summary>
    public abstract IReadOnlyList<ChangedTensor> Changes();

    /// <summary>
    /// Sets <see cref="Weights"/> to what a checkpoint would contain: trained values rounded to the stored type, all others unchanged.
    /// </summary>
    public unsafe void Round()
    {
        foreach (var change in Changes())
        {
            var bytes = change.File.Slice(change.Entry.Offset, checked((int)change.Entry.Bytes)).ToArray();
            change.Change(bytes, 0);
            fixed (byte* stored = bytes) Widening.ToSingles(stored, change.Entry.Type, Weights[change.Entry.Name]);
        }
    }

    /// <summary>Changes that replace some rows or columns of tensors by those of <see cref="Weights"/>.</summary>
    private protected IReadOnlyList<ChangedTensor> Replaced(IEnumerable<TensorLines> lines) => [.. lines.Select(l =>
    {
        var file = Original.Weights.FileOf(l.Tensor);
        return new ReplacedTensor(file, file.Tensors[l.Tensor], l, Weights);
    })];

    /// <summary>The current lines of a tensor of <see cref="Weights"/>.</summary>
    private protected float[] Packed(TensorLines lines)
    {
        var packed = new float[lines.Count];
        lines.Gather(Weights[lines.Tensor], packed);
        return packed;
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Weights.Dispose();
        if (!ReferenceEquals(Learnt, Weights)) Learnt.Dispose();
        GC.SuppressFinalize(this);
    }
}
