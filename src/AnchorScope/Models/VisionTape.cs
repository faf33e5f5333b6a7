using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>What a vision tower keeps so that it can be gone through backwards.</summary>
internal sealed class VisionTape
{
    /// <summary>Input of the patch embedding [patch, pixels].</summary>
    public Tensor Patches { get; set; }

    /// <summary>The stream in front of the first norm or layer [token, d].</summary>
    public Tensor Entry { get; set; }

    /// <summary>Of each layer.</summary>
    public List<VisionLayerTape> Layers { get; } = [];
}

/// <summary>Activations of one vision layer.</summary>
internal sealed class VisionLayerTape
{
    /// <summary>The stream as it enters [token, d].</summary>
    public Tensor Entry { get; set; }

    /// <summary>Input of the projections to queries, keys and values [token, d].</summary>
    public Tensor AttnNormed { get; set; }

    /// <summary>Queries and keys in front of their norms; the same as in <see cref="Attention"/> where there are none and nothing is rotated.</summary>
    public AttentionRows Projected { get; set; }

    /// <summary>Queries, keys and values as attention takes them.</summary>
    public AttentionRows Attention { get; set; }

    /// <summary>Heads' outputs [token, head x d_head].</summary>
    public Tensor HeadOut { get; set; }

    /// <summary>What attention adds, before its scale [token, d].</summary>
    public Tensor AttnOut { get; set; }

    /// <summary>The stream between the sublayers [token, d].</summary>
    public Tensor Middle { get; set; }

    /// <summary>Input of the MLP [token, d].</summary>
    public Tensor MlpNormed { get; set; }

    /// <summary>What goes through the activation [token, d_mlp].</summary>
    public Tensor Before { get; set; }

    /// <summary>What it is multiplied with, where there is a gate [token, d_mlp].</summary>
    public Tensor Up { get; set; }

    /// <summary>Input of the MLP's last projection [token, d_mlp].</summary>
    public Tensor Neurons { get; set; }

    /// <summary>What the MLP adds, before its scale [token, d].</summary>
    public Tensor MlpOut { get; set; }
}
