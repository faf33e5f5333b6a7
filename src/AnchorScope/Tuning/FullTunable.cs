using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Tuning;

/// <summary>Trains every tensor of the decoder's layers. Embeddings, final norm and head are unchanged.</summary>
internal sealed class FullTunable(VisionLanguageModel model) : Tunable(model.Checkpoint,
    model.Decoder.Layers.SelectMany(layer => layer.Tensors))
{
    /// <inheritdoc/>
    public override Parameters Learnt => Weights;

    /// <inheritdoc/>
    public override void Apply()
    {
    }

    /// <inheritdoc/>
    public override Gradients Backward(Gradients byWeights) => byWeights;

    /// <inheritdoc/>
    public override IReadOnlyList<ChangedTensor> Changes() =>
        Replaced(
            Weights.Entries.Select(e => new TensorLines(e.Name, [e.Shape[0], e.Count / e.Shape[0]], Columns: false, [(0, e.Shape[0])])));
}
