namespace AnchorScope.Interventions;

/// <summary>
/// An activation of a decoder layer that can be read and, where noted, written. Shapes are per run; pos counts the positions of the pass.
/// docs/sites.md has the same table in the order of computation.
/// </summary>
public enum Site
{
    /// <summary>Residual stream before the layer [pos, d_model].</summary>
    ResidPre,

    /// <summary>Queries as projected, before any norm and before the rotary embedding [pos, head x d_head].</summary>
    QueryProj,

    /// <summary>Queries after the rotary embedding [pos, head x d_head].</summary>
    Query,

    /// <summary>Keys as projected, before any norm and before the rotary embedding [pos, kv_head x d_head].</summary>
    KeyProj,

    /// <summary>Keys after the rotary embedding [pos, kv_head x d_head].</summary>
    Key,

    /// <summary>Values [pos, kv_head x d_head].</summary>
    Value,

    /// <summary>
    /// Attention scores before softmax [head, pos, key]. Written by removing edges (Set to minus infinity) or by adding a number to edges
    /// (Add). Not recorded in the forward pass.
    /// </summary>
    AttnScores,

    /// <summary>
    /// Attention probabilities [head, pos, key]. Written only by an interchange, which replaces them by the probabilities of a donor run.
    /// </summary>
    AttnPattern,

    /// <summary>Head outputs z = pattern x values, the input of o_proj [pos, head x d_head].</summary>
    HeadOut,

    /// <summary>Output of the attention sublayer after o_proj [pos, d_model].</summary>
    AttnOut,

    /// <summary>Residual stream between attention and MLP [pos, d_model].</summary>
    ResidMid,

    /// <summary>Neurons: act(gate) x up, the input of down_proj [pos, d_mlp].</summary>
    NeuronOut,

    /// <summary>Output of the MLP sublayer [pos, d_model].</summary>
    MlpOut,

    /// <summary>Residual stream after the layer [pos, d_model].</summary>
    ResidPost,
}

/// <summary>What an edit does to the values it selects.</summary>
public enum Operation
{
    /// <summary>Multiplies by a factor.</summary>
    Scale,

    /// <summary>
    /// Adds a vector, or one row per position, times a factor. At <see cref="Site.AttnScores"/> it adds the factor itself.
    /// </summary>
    Add,

    /// <summary>Replaces by a vector or by one row per position. At <see cref="Site.AttnScores"/> it sets minus infinity.</summary>
    Set,
}

/// <summary>The order in which a layer computes its sites, independent of the order of the members of <see cref="Site"/>.</summary>
internal static class SiteOrder
{
    private static readonly Site[] Computed =
    [
        Site.ResidPre, Site.QueryProj, Site.Query, Site.KeyProj, Site.Key, Site.Value, Site.AttnScores, Site.AttnPattern, Site.HeadOut,
        Site.AttnOut, Site.ResidMid, Site.NeuronOut, Site.MlpOut, Site.ResidPost,
    ];

    /// <summary>Whether a layer computes <paramref name="site"/> before <paramref name="other"/>.</summary>
    public static bool IsBefore(this Site site, Site other) => Of(site) < Of(other);

    /// <summary>The place of <paramref name="site"/> among the sites of a layer, from 0.</summary>
    public static int Of(Site site) => Array.IndexOf(Computed, site) is >= 0 and var place
        ? place : throw new ArgumentOutOfRangeException(nameof(site), site, "this site has no place in the order of computation");
}
