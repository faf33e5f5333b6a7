namespace AnchorScope.Studies;

/// <summary>A head whose role is known.</summary>
/// <param name="Role">The planted role, or the role found by the model's own diagnosis.</param>
internal sealed record KnownHead(int Layer, int Head, string Role);

/// <summary>The result of one method on one model.</summary>
internal sealed record MethodResult
{
    /// <summary>Name of the method.</summary>
    public required string Method { get; init; }

    /// <summary>
    /// Heads that the method names as deciding: those whose whole interval is above the threshold, unless the method has its own rule.
    /// </summary>
    public required IReadOnlyList<HeadId> Flagged { get; init; }

    /// <summary>The head with the largest score; of tied heads, the first in the order of layer and head.</summary>
    public required HeadId Best { get; init; }

    /// <summary>Planted or diagnosed role of that head.</summary>
    public required string BestRole { get; init; }

    /// <summary>Whether only true arbiters have the largest score; null if there are no true arbiters.</summary>
    public required bool? First { get; init; }

    /// <summary>
    /// How many of the k true arbiters are among the k highest scores, with ties counted against them; null if there are no true arbiters.
    /// </summary>
    public required int? Hits { get; init; }

    /// <summary>Share of the flagged heads that are true arbiters; NaN if none is flagged.</summary>
    public required double Precision { get; init; }

    /// <summary>Share of the true arbiters that are flagged; NaN if there are none.</summary>
    public required double Recall { get; init; }

    /// <summary>
    /// Forward passes from the first changed layer on, for all heads and one sample under one instruction; a backward pass counts as two.
    /// For the roles method this is an upper bound, because its searches can end early.
    /// </summary>
    public required int Runs { get; init; }
}

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
