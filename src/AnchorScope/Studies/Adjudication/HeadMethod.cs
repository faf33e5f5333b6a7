namespace AnchorScope.Studies;

/// <summary>Methods in use for finding the heads that decide.</summary>
internal enum HeadMethod
{
    /// <summary>Sets z to 0. Score: share of the margin that is lost.</summary>
    ZeroAblation,

    /// <summary>Sets z to its mean at that span.</summary>
    MeanAblation,

    /// <summary>Sets z to that of a random other run.</summary>
    ResampleAblation,

    /// <summary>Sets z to 0 only at the last position.</summary>
    LastPositionAblation,

    /// <summary>The head's direct contribution to the margin at the last position, as a share of the margin.</summary>
    DirectLogitAttribution,

    /// <summary>Attribution patching towards 0: the gradient at the unmodified run.</summary>
    AttributionPatching,

    /// <summary>Attribution patching towards 0 with integrated gradients in five steps.</summary>
    AttributionIntegrated,

    /// <summary>
    /// Attention from the instruction and later positions to the context that the instruction names, minus that to the other context.
    /// </summary>
    AttentionShift,

    /// <summary>
    /// Sets z to that of the run under the other instruction only at the last position. Score: share of the margin moved.
    /// </summary>
    LastPositionPatching,

    /// <summary>
    /// The same in both directions, which gives two numbers. Heads more than two standard deviations out on the first principal component
    /// are flagged (Lietzow et al., arXiv 2606.28273).
    /// </summary>
    RestorationPca,

    /// <summary>
    /// Sets z to that of a run with another instruction, picture and note at every position. Score: share of the margin moved to that run's
    /// answer.
    /// </summary>
    FullSequencePatching,

    /// <summary>Sets z to that of the run under the other instruction, from the question to the end.</summary>
    OutputInterchange,

    /// <summary>Sets attention patterns to those of the run under the other instruction, from the question to the end.</summary>
    PatternInterchange,

    /// <summary>Sets queries to those of the run under the other instruction, from the question to the end, one head at a time.</summary>
    QueryInterchange,

    /// <summary>
    /// Query interchange estimated for all heads at once: integrated gradients from the receiver's queries to the donor's, with all heads
    /// moved together.
    /// </summary>
    QueryAttribution,

    /// <summary>The roles of a diagnosis: query interchange, crossed donors and searched sets.</summary>
    Roles,
}
