namespace AnchorScope.Metrics;

/// <summary>The route by which the content of picture and text reaches the answering position.</summary>
internal enum Route
{
    /// <summary>The instruction's tokens aggregate the context and relay it.</summary>
    Relay,

    /// <summary>The last position attends to the context directly.</summary>
    Direct,

    /// <summary>Both routes carry.</summary>
    Mixed,

    /// <summary>
    /// The numbers do not decide: an interval includes the threshold, an edge is missing, no single cut has a large effect, or the model
    /// does not follow its instruction.
    /// </summary>
    Undecided,
}

/// <summary>
/// Distinguishes relay and direct reading by the effect of cuts. Cutting instruction -> last affects both routes, because a direct reader
/// must learn from the instruction which modality to follow. Each of the two cuts of the context affects one route.
/// </summary>
internal static class RouteRule
{
    /// <summary>An edge is a route if cutting it in all layers removes more than this share of the following.</summary>
    public const double Threshold = 0.25;

    /// <summary>
    /// Fewest following, as a share of the possible excess over chance, for a route to be identified. Below it there is nothing to
    /// attribute.
    /// </summary>
    public const double LeastFollowing = 0.5;

    /// <summary>Whether an edge carries; null if undecided.</summary>
    /// <param name="beyond">Following under the cut minus (1 - <see cref="Threshold"/>) times following without it: a paired
    /// difference.</param>
    public static bool? Carries(Estimate beyond) => beyond.High < 0 ? true : beyond.Low > 0 ? false : null;

    /// <summary>The conclusion.</summary>
    /// <param name="gathers">Whether context -> instruction carries.</param>
    /// <param name="handsOn">Whether instruction -> last carries.</param>
    /// <param name="reads">Whether context -> last carries.</param>
    public static Route Of(bool? gathers, bool? handsOn, bool? reads) => (gathers, handsOn, reads) switch
    {
        (true, true, false) => Route.Relay,
        (true, true, true) => Route.Mixed,
        (false, _, true) => Route.Direct,
        _ => Route.Undecided,
    };
}
