namespace AnchorScope.Studies;

/// <summary>A head whose role is known.</summary>
/// <param name="Role">Planted, or by the model's own diagnosis.</param>
internal sealed record KnownHead(int Layer, int Head, string Role);

/// <summary>What one method says of one model.</summary>
/// <param name="Method">Its name.</param>
/// <param name="Flagged">
/// Heads that the method names as deciding: those whose whole interval lies above the threshold, unless the method has a rule of its own.
/// </param>
/// <param name="Best">The head with the largest score; of heads that tie the lowest in the model.</param>
/// <param name="BestRole">Its planted or diagnosed role.</param>
/// <param name="First">Whether only true arbiters have the largest score; null where there are none.</param>
/// <param name="Hits">
/// How many of the k true arbiters are among the k highest scores, ties counted against them; null where there are none.
/// </param>
/// <param name="Precision">Share of the flagged heads that are true arbiters; NaN where none is flagged.</param>
/// <param name="Recall">Share of the true arbiters that are flagged; NaN where there are none.</param>
/// <param name="Runs">
/// Runs of the model from its first changed layer on, for all heads and one sample under one instruction; backward passes count twice. For
/// roles at most so many: searches end early.
/// </param>
internal sealed record MethodResult(
    string Method, IReadOnlyList<HeadId> Flagged, HeadId Best, string BestRole, bool? First, int? Hits, double Precision, double Recall,
    int Runs);

/// <summary>All methods on one model.</summary>
/// <param name="Truth">
/// "planted", where the weights were written with a role for every head, or "diagnosed": agreement with the roles of the diagnosis, not
/// truth.
/// </param>
/// <param name="Heads">All heads, by layer and head.</param>
/// <param name="Threshold">Of <see cref="MethodResult.Flagged"/>.</param>
internal sealed record Adjudication(
    string Model, string Truth, IReadOnlyList<KnownHead> Heads, double Threshold, IReadOnlyList<MethodResult> Methods)
{
    /// <summary>The true arbiters.</summary>
    public IReadOnlyList<HeadId> Arbiters =>
        [.. Heads.Where(h => h.Role == EnumName.Of(HeadRole.Arbiter)).Select(h => new HeadId(h.Layer, h.Head))];
}
