using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Activations that a vision tower keeps for the backward pass.</summary>
internal sealed class VisionTape
{
    /// <summary>Input of the patch embedding [patch, pixels].</summary>
    public Tensor Patches { get; set; }

    /// <summary>The stream before the first norm or layer [token, d].</summary>
    public Tensor Entry { get; set; }

    /// <summary>Activations of each layer.</summary>
    public List<VisionLayerTape> Layers { get; } = [];
}

/// <summary>Activations of one vision layer.</summary>
internal sealed class VisionLayerTape
{
    /// <summary>The stream before the layer [token, d].</summary>
    public Tensor Entry { get; set; }

    /// <summary>Input of the query, key and value projections [token, d].</summary>
    public Tensor AttnNormed { get; set; }

    /// <summary>
    /// Queries and keys before their norms; the same as in <see cref="Attention"/> if there are no norms and no rotation.
    /// </summary>
    public AttentionRows Projected { get; set; }

    /// <summary>Queries, keys and values as attention uses them.</summary>
    public AttentionRows Attention { get; set; }

    /// <summary>Head outputs [token, head x d_head].</summary>
    public Tensor HeadOut { get; set; }

    /// <summary>Attention output before its layer scale [token, d].</summary>
    public Tensor AttnOut { get; set; }

    /// <summary>The stream between the sublayers [token, d].</summary>
    public Tensor Middle { get; set; }

    /// <summary>Input of the MLP [token, d].</summary>
    public Tensor MlpNormed { get; set; }

    /// <summary>Input of the activation function [token, d_mlp].</summary>
    public Tensor Before { get; set; }

    /// <summary>The up projection that multiplies the activated gate, if there is a gate [token, d_mlp].</summary>
    public Tensor Up { get; set; }

    /// <summary>Input of the down projection [token, d_mlp].</summary>
    public Tensor Neurons { get; set; }

    /// <summary>MLP output before its layer scale [token, d].</summary>
    public Tensor MlpOut { get; set; }
}
