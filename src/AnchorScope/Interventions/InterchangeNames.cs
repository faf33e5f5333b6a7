namespace AnchorScope.Interventions;

/// <summary>What an interchange moves, as it is written in JSON.</summary>
internal static class InterchangeNames
{
    /// <summary>The words for what belongs to heads.</summary>
    public const string HeadWords = "z, query, key, value or pattern";

    /// <summary>The sites that are exchanged whole.</summary>
    public const string SiteWords = "k, attn_out, resid_mid, neuron_out, mlp_out or resid_post";

    /// <summary>The word for a site that belongs to heads; null for another one.</summary>
    public static string? Of(Site site, bool edge) => site switch
    {
        Site.HeadOut => "z",
        Site.QueryProj => "query",
        Site.KeyProj => "key",
        Site.Key when edge => "key",
        Site.Value => "value",
        Site.AttnPattern => "pattern",
        _ => null,
    };

    /// <summary>Whether an edit is written as one of the kinds for interchanges; otherwise one with rows is a patch.</summary>
    public static bool HasKind(Edit edit) => edit.Rows is not null && edit.Components is null
        && (edit.IsEdge || (Of(edit.Site, edge: false) is null ? edit.Heads is null && DonorFile.ArrayOf(edit.Site) is not null : edit.Heads is not null));

    /// <summary>The site of a word.</summary>
    public static Site? HeadSite(string word) => word switch
    {
        "z" => Site.HeadOut,
        "query" => Site.QueryProj,
        "key" => Site.KeyProj,
        "value" => Site.Value,
        "pattern" => Site.AttnPattern,
        _ => null,
    };
}
