using AnchorScope.Baking;
using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace AnchorScope.Tuning;

/// <summary>
/// Trains a gain for each head, a factor of its columns of o_proj. The gradient with respect to a gain is the sum of column block times
/// gradient with respect to the column block, which equals the sum of head output times gradient with respect to the head output.
/// </summary>
internal sealed class GainTunable : Tunable
{
    private const string Name = "gains";

    private readonly VisionLanguageModel _model;
    private readonly IReadOnlyList<(int Layer, int Head)> _heads;
    private readonly List<(TensorLines Lines, float[] Start)> _columns;
    private readonly Gradients _gradients;

    /// <summary>Starts with gains of 1.</summary>
    public GainTunable(VisionLanguageModel model, IReadOnlyList<(int Layer, int Head)> heads)
        : base(model.Checkpoint, heads.Select(h => model.Decoder.Layers[h.Layer].OutputProjection.Weight.Name))
    {
        (_model, _heads) = (model, heads);
        _columns = [.. heads.Select(h => HeadLines.Output(model.Decoder, h.Layer, [h.Head])).Select(lines => (lines, Packed(lines)))];
        Learnt = Parameters.Zeros(Name, [(Name, [(long)heads.Count])]);
        Learnt[Name].Fill(1);
        _gradients = new Gradients(Learnt.Entries);
    }

    /// <inheritdoc/>
    public override Parameters Learnt { get; }

    /// <summary>The current gains.</summary>
    public HeadGains Gains => new(_heads.Zip(Learnt[Name].ToArray()).ToDictionary(g => g.First, g => g.Second));

    /// <summary>Sets the same gain for every head.</summary>
    public void Set(float gain)
    {
        Learnt[Name].Fill(gain);
        Apply();
    }

    /// <inheritdoc/>
    public override void Apply()
    {
        for (var i = 0; i < _columns.Count; i++)
        {
            var (lines, start) = _columns[i];
            var scaled = new float[start.Length];
            TensorPrimitives.Multiply(start, Learnt[Name][i], scaled);
            lines.Scatter(scaled, Weights[lines.Tensor]);
        }
    }

    /// <inheritdoc/>
    public override Gradients Backward(Gradients byWeights)
    {
        for (var i = 0; i < _columns.Count; i++)
        {
            var (lines, start) = _columns[i];
            var (packed, sum) = (new float[start.Length], 0.0);
            lines.Gather(byWeights[lines.Tensor], packed);
            for (var k = 0; k < packed.Length; k++) sum += (double)packed[k] * start[k];
            _gradients[Name][i] = (float)sum;
        }
        return _gradients;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ChangedTensor> Changes() => new BakePlan(_model, Gains).Tensors;

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _gradients.Dispose();
    }
}
