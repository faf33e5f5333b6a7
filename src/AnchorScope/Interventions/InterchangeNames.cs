namespace AnchorScope.Interventions;

/// <summary>Names in JSON for what an interchange replaces.</summary>
internal static class InterchangeNames
{
    /// <summary>The names of values that belong to heads.</summary>
    public const string HeadWords = "z, query, key, value or pattern";

    /// <summary>The names of sites that are exchanged as a whole.</summary>
    public const string SiteWords = "k, attn_out, resid_mid, neuron_out, mlp_out or resid_post";

    /// <summary>The name of a site that belongs to heads; null for another one.</summary>
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

    /// <summary>Whether an edit is written as one of the interchange kinds. Other edits with rows are written as a patch.</summary>
    public static bool HasKind(Edit edit) => edit.Rows is not null && edit.Components is null
        && (edit.IsEdge || (Of(edit.Site, edge: false) is null
            ? edit.Heads is null && DonorFile.ArrayOf(edit.Site) is not null : edit.Heads is not null));

    /// <summary>The site of a name.</summary>
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
