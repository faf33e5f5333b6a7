namespace AnchorScope.Studies;

/// <summary>Ways to name the heads that decide, as they are in use.</summary>
internal enum HeadMethod
{
    /// <summary>z set to 0: share of the margin that is lost.</summary>
    ZeroAblation,

    /// <summary>z set to its mean at that span.</summary>
    MeanAblation,

    /// <summary>z of a random other run.</summary>
    ResampleAblation,

    /// <summary>z set to 0 at the last position alone.</summary>
    LastPositionAblation,

    /// <summary>What the head adds to the margin directly, at the last position: share of the margin.</summary>
    DirectLogitAttribution,

    /// <summary>Attribution patching towards 0, at the slope.</summary>
    AttributionPatching,

    /// <summary>The same, integrated over five steps.</summary>
    AttributionIntegrated,

    /// <summary>Attention from the instruction and what follows it to the instructed context, less that to the other.</summary>
    AttentionShift,

    /// <summary>z of the run under the other instruction at the last position alone: share of the margin moved.</summary>
    LastPositionPatching,

    /// <summary>
    /// The same in both directions, a number each; heads more than two standard deviations out on the first principal component
    /// (Lietzow et al., arXiv 2606.28273).
    /// </summary>
    RestorationPca,

    /// <summary>z of a run with another instruction, picture and note at every position: share of the margin moved to that run's answer.</summary>
    FullSequencePatching,

    /// <summary>z of the run under the other instruction, from the question to the end.</summary>
    OutputInterchange,

    /// <summary>Attention patterns of the run under the other instruction, from the question to the end.</summary>
    PatternInterchange,

    /// <summary>Queries of the run under the other instruction, from the question to the end, one head at a time.</summary>
    QueryInterchange,

    /// <summary>The same estimated for all heads at once: integrated gradients from the receiver's queries to the donor's, all heads together.</summary>
    QueryAttribution,

    /// <summary>The roles of a diagnosis: queries, crossed donors and sets.</summary>
    Roles,
}
