using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Tuning;

/// <summary>Trains all values of the heads' rows of the query, key and value projections and of their columns of o_proj.</summary>
internal sealed class SliceTunable : Tunable
{
    private readonly IReadOnlyList<TensorLines> _lines;
    private readonly Gradients _gradients;

    /// <summary>Starts with the model's values.</summary>
    public SliceTunable(VisionLanguageModel model, IReadOnlyList<(int Layer, int Head)> heads)
        : this(model.Checkpoint, HeadLines.All(model.Decoder, heads))
    {
    }

    private SliceTunable(Checkpoint original, IReadOnlyList<TensorLines> lines)
        : base(original, lines.Select(l => l.Tensor))
    {
        _lines = lines;
        Learnt = Parameters.Zeros("slices", lines.Select(l => (l.Tensor, new long[] { l.Rows, l.Width })));
        foreach (var l in lines) l.Gather(Weights[l.Tensor], Learnt[l.Tensor]);
        _gradients = new Gradients(Learnt.Entries);
    }

    /// <inheritdoc/>
    public override Parameters Learnt { get; }

    /// <inheritdoc/>
    public override void Apply()
    {
        foreach (var l in _lines) l.Scatter(Learnt[l.Tensor], Weights[l.Tensor]);
    }

    /// <inheritdoc/>
    public override Gradients Backward(Gradients byWeights)
    {
        foreach (var l in _lines) l.Gather(byWeights[l.Tensor], _gradients[l.Tensor]);
        return _gradients;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ChangedTensor> Changes() => Replaced(_lines);

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _gradients.Dispose();
    }
}
