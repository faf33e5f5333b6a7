using AnchorScope.Conflicts;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Scores of every head on the ranking set.</summary>
internal sealed record HeadLandscape
{
    /// <summary>Score over all runs [layer][head].</summary>
    public required IReadOnlyList<IReadOnlyList<double>> All { get; init; }

    /// <summary>Score over vision-following runs.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Vision { get; init; }

    /// <summary>Score over text-following runs.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Text { get; init; }

    /// <summary>Mean direct logit attribution to the margin at the last position [layer][head].</summary>
    public required IReadOnlyList<IReadOnlyList<double>> DirectAttribution { get; init; }

    /// <summary>The heads, best first: as many as the largest share that is blocked, and at least ten.</summary>
    public required IReadOnlyList<RankedHead> Ranked { get; init; }

    /// <summary>Number of heads in 5 %.</summary>
    public required int Count { get; init; }

    /// <summary>Hubs: in the top 5 % of both modalities.</summary>
    public required IReadOnlyList<HeadId> Shared { get; init; }

    /// <summary>Experts: in the top 5 % for vision only.</summary>
    public required IReadOnlyList<HeadId> VisionOnly { get; init; }

    /// <summary>Experts: in the top 5 % for text only.</summary>
    public required IReadOnlyList<HeadId> TextOnly { get; init; }

    /// <summary>Share of the sum of positive scores in the top n heads, n = 1, 2, …</summary>
    public required IReadOnlyList<double> ShareOfPositive { get; init; }

    /// <summary>Spearman correlation of score and direct attribution over all heads.</summary>
    public required double AttributionCorrelation { get; init; }

    /// <summary>q of every measured (not estimated) score over all runs [layer][head]. The heads of a map are one family.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Q { get; init; }

    /// <summary>The same over vision-following runs.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> VisionQ { get; init; }

    /// <summary>The same over text-following runs.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> TextQ { get; init; }

    /// <summary>Heads with q of at most 0.05 over all runs, whatever the sign of their score.</summary>
    public required IReadOnlyList<HeadId> Surviving { get; init; }

    /// <summary>Heads whose scores are estimates, because the screen did not select them for blocking.</summary>
    public IReadOnlyList<HeadId> Estimated { get; init; } = [];

    /// <summary>Spearman correlation of estimate and score over the heads that the screen selected; NaN without a screen.</summary>
    public double ScreenCorrelation { get; init; } = double.NaN;
}

/// <summary>A head, written "3.0".</summary>
internal sealed record HeadId(int Layer, int Head)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Layer}.{Head}";
}

/// <summary>A head with its score.</summary>
/// <param name="Role">"shared", "vision", "text", or "" outside both top 5 %.</param>
/// <param name="Estimate">Whether the score is a gradient-based estimate that was not verified.</param>
/// <param name="Test">Test of its score over all runs, in the family of all heads.</param>
internal sealed record RankedHead(int Layer, int Head, ByInstruction Score, double DirectAttribution, string Role, bool Estimate,
    Significance Test);
