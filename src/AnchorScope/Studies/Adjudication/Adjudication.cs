namespace AnchorScope.Studies;

/// <summary>A head whose role is known.</summary>
/// <param name="Role">The planted role, or the role found by the model's own diagnosis.</param>
internal sealed record KnownHead(int Layer, int Head, string Role);

/// <summary>The result of one method on one model.</summary>
/// <param name="Method">Name of the method.</param>
/// <param name="Flagged">Heads that the method names as deciding: those whose whole interval is above the threshold, unless the method has
/// its own rule.</param>
/// <param name="Best">The head with the largest score; of tied heads, the first in the order of layer and head.</param>
/// <param name="BestRole">Planted or diagnosed role of that head.</param>
/// <param name="First">Whether only true arbiters have the largest score; null if there are no true arbiters.</param>
/// <param name="Hits">How many of the k true arbiters are among the k highest scores, with ties counted against them; null if there are no
/// true arbiters.</param>
/// <param name="Precision">Share of the flagged heads that are true arbiters; NaN if none is flagged.</param>
/// <param name="Recall">Share of the true arbiters that are flagged; NaN if there are none.</param>
/// <param name="Runs">Forward passes from the first changed layer on, for all heads and one sample under one instruction; a backward pass
/// counts as two. For the roles method this is an upper bound, because its searches can end early.</param>
internal sealed record MethodResult(
    string Method, IReadOnlyList<HeadId> Flagged, HeadId Best, string BestRole, bool? First, int? Hits, double Precision, double Recall,
    int Runs);

/// <summary>The results of all methods on one model.</summary>
/// <param name="Truth">"planted" if the weights were constructed with a role for every head; "diagnosed" if the roles come from the
/// diagnosis, in which case the result measures agreement, not truth.</param>
/// <param name="Heads">All heads, by layer and head.</param>
/// <param name="Threshold">Threshold for <see cref="MethodResult.Flagged"/>.</param>
internal sealed record Adjudication(
    string Model, string Truth, IReadOnlyList<KnownHead> Heads, double Threshold, IReadOnlyList<MethodResult> Methods)
{
    /// <summary>The true arbiters.</summary>
    public IReadOnlyList<HeadId> Arbiters =>
        [.. Heads.Where(h => h.Role == EnumName.Of(HeadRole.Arbiter)).Select(h => new HeadId(h.Layer, h.Head))];
}
