namespace AnchorScope.Interventions;

/// <summary>
/// A place in a decoder layer where an activation can be read and, where noted, written. Shapes are per run; pos counts the
/// positions of the pass. docs/sites.md holds the same table with the order of computation.
/// </summary>
public enum Site
{
    /// <summary>Residual stream entering the layer [pos, d_model].</summary>
    ResidPre,

    /// <summary>Queries as the projection gives them, before any norm and before the rotary embedding [pos, head x d_head].</summary>
    QueryProj,

    /// <summary>Queries after the rotary embedding [pos, head x d_head].</summary>
    Query,

    /// <summary>Keys as the projection gives them, before any norm and before the rotary embedding [pos, kv_head x d_head].</summary>
    KeyProj,

    /// <summary>Keys after the rotary embedding [pos, kv_head x d_head].</summary>
    Key,

    /// <summary>Values [pos, kv_head x d_head].</summary>
    Value,

    /// <summary>Attention scores before softmax [head, pos, key]. Written only by removing edges (Set to minus infinity); not recorded.</summary>
    AttnScores,

    /// <summary>Attention probabilities [head, pos, key]. Written only by an interchange: the probabilities of a donor run take their place.</summary>
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

    /// <summary>Residual stream leaving the layer [pos, d_model].</summary>
    ResidPost,
}

/// <summary>What an edit does with the values it selects.</summary>
public enum Operation
{
    /// <summary>Multiply by a factor.</summary>
    Scale,

    /// <summary>Add a vector, or a row for each position, times a factor; at <see cref="Site.AttnScores"/> the factor itself.</summary>
    Add,

    /// <summary>Replace by a vector, or by a row for each position; at <see cref="Site.AttnScores"/> by minus infinity.</summary>
    Set,
}

/// <summary>The order in which a layer computes its sites. Members of <see cref="Site"/> may stand in any order.</summary>
internal static class SiteOrder
{
    private static readonly Site[] Computed =
    [
        Site.ResidPre, Site.QueryProj, Site.Query, Site.KeyProj, Site.Key, Site.Value, Site.AttnScores, Site.AttnPattern, Site.HeadOut,
        Site.AttnOut, Site.ResidMid, Site.NeuronOut, Site.MlpOut, Site.ResidPost,
    ];

    /// <summary>Whether a layer computes <paramref name="site"/> before <paramref name="other"/>.</summary>
    public static bool IsBefore(this Site site, Site other) => Array.IndexOf(Computed, site) < Array.IndexOf(Computed, other);
}
