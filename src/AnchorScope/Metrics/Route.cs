namespace AnchorScope.Metrics;

/// <summary>How picture and text come to the position that answers.</summary>
internal enum Route
{
    /// <summary>The instruction's tokens gather what they say and hand it on.</summary>
    Relay,

    /// <summary>The last position reads them itself.</summary>
    Direct,

    /// <summary>Both routes carry.</summary>
    Mixed,

    /// <summary>The numbers do not say: an interval holds the threshold, an edge is missing, a cut alone costs little, or the model does not follow in the first place.</summary>
    Undecided,
}

/// <summary>
/// Tells relay and direct reading apart by what cuts take. Both routes lose by cutting instruction -> last, since a direct reader has to learn from the instruction which side to take; the two cuts of the context
/// hurt one of them each.
/// </summary>
internal static class RouteRule
{
    /// <summary>An edge is a route if cutting it in all layers takes more than this share of what the model follows.</summary>
    public const double Threshold = 0.25;

    /// <summary>A model that follows in less than this share of what there is above chance has no route to take apart.</summary>
    public const double LeastFollowing = 0.5;

    /// <summary>Whether an edge carries; null: cannot be told.</summary>
    /// <param name="beyond">What is left under the cut, beyond the share 1 - <see cref="Threshold"/> of what there is without: a paired difference.</param>
    public static bool? Carries(Estimate beyond) => beyond.High < 0 ? true : beyond.Low > 0 ? false : null;

    /// <summary>The verdict.</summary>
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
