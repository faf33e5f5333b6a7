using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>What a tape keeps of each layer.</summary>
internal enum TapeKind
{
    /// <summary>The residual stream entering it: everything else is computed again on the way back, for a third more work.</summary>
    Recompute,

    /// <summary>All that the way back needs.</summary>
    Store,
}

/// <summary>What a pass keeps so that it can be gone through backwards. It lies in the pass's arena, and lasts until that is released.</summary>
/// <param name="kind">How much is kept.</param>
internal sealed class Tape(TapeKind kind)
{
    private readonly Dictionary<int, LayerTape> _layers = [];

    /// <summary>How much is kept.</summary>
    public TapeKind Kind => kind;

    /// <summary>What is kept of one layer; made at its first mention.</summary>
    internal LayerTape this[int layer] => _layers.TryGetValue(layer, out var found) ? found : _layers[layer] = new LayerTape();
}

/// <summary>Activations of one layer, after edits.</summary>
internal sealed class LayerTape
{
    /// <summary>The residual stream as it enters, before edits [row, d_model].</summary>
    public Tensor Entry { get; set; }

    /// <summary>The same after edits.</summary>
    public Tensor ResidPre { get; set; }

    /// <summary>Input of the projections to queries, keys and values [row, d_model].</summary>
    public Tensor AttnNormed { get; set; }

    /// <summary>Queries, keys (both rotated) and values.</summary>
    public AttentionRows Attention { get; set; }

    /// <summary>z [row, head x d_head].</summary>
    public Tensor HeadOut { get; set; }

    /// <summary>Residual stream between the sublayers [row, d_model].</summary>
    public Tensor ResidMid { get; set; }

    /// <summary>Input of the MLP's projections [row, d_model].</summary>
    public Tensor MlpNormed { get; set; }

    /// <summary>The gate before its activation [row, d_mlp].</summary>
    public Tensor Gate { get; set; }

    /// <summary>What the gate is multiplied with [row, d_mlp].</summary>
    public Tensor Up { get; set; }

    /// <summary>Input of the MLP's last projection [row, d_mlp].</summary>
    public Tensor Neurons { get; set; }
}
