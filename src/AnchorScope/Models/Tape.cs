using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>What a tape keeps of each layer.</summary>
internal enum TapeKind
{
    /// <summary>Only the residual stream before it. The backward pass recomputes everything else, which costs a third more work.</summary>
    Recompute,

    /// <summary>All activations that the backward pass needs.</summary>
    Store,
}

/// <summary>
/// Activations that a forward pass keeps for the backward pass. They are allocated in the pass's arena and valid until it is released.
/// </summary>
/// <param name="kind">How much is kept.</param>
internal sealed class Tape(TapeKind kind)
{
    private readonly Dictionary<int, LayerTape> _layers = [];

    /// <summary>How much is kept.</summary>
    public TapeKind Kind => kind;

    /// <summary>The activations of one layer; created on first access.</summary>
    internal LayerTape this[int layer] => _layers.TryGetValue(layer, out var found) ? found : _layers[layer] = new LayerTape();
}

/// <summary>Activations of one layer, after edits.</summary>
internal sealed class LayerTape
{
    /// <summary>The residual stream before the layer, before edits [row, d_model].</summary>
    public Tensor Entry { get; set; }

    /// <summary>The residual stream before the layer, after edits [row, d_model].</summary>
    public Tensor ResidPre { get; set; }

    /// <summary>Input of the query, key and value projections [row, d_model].</summary>
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

    /// <summary>The up projection, which multiplies the activated gate [row, d_mlp].</summary>
    public Tensor Up { get; set; }

    /// <summary>Input of the down projection [row, d_mlp].</summary>
    public Tensor Neurons { get; set; }
}
