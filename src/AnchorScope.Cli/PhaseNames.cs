namespace AnchorScope.Cli;

/// <summary>Display names of the phases of a diagnosis and of an adjudication.</summary>
internal static class PhaseNames
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["rank"] = "every head blocked once",
        ["verify"] = "best heads blocked once",
        ["parts"] = "parts of heads, neurons, edges by head",
        ["test"] = "edges cut, heads blocked",
        ["hard"] = "amplification of failures",
        ["factor"] = "factor of amplification",
        ["control"] = "side effects on controls",
        ["gain_norm"] = "strength of amplification",
        ["gain_matched"] = "random heads as strong",
        ["profile"] = "every head given donor runs",
        ["search"] = "sets that switch the answer",
        ["attribute"] = "queries estimated by gradients",
        ["exchange"] = "sets and layers exchanged",
        ["exchange_random"] = "random sets exchanged",
        ["ablation"] = "sets removed in three ways",
        ["adjudicate/readouts"] = "heads read without interventions",
        ["adjudicate/attribute"] = "queries estimated by gradients",
        ["adjudicate/removals"] = "every head removed in three ways",
        ["adjudicate/last_removals"] = "every head removed at the last position",
        ["adjudicate/exchange"] = "every head exchanged",
        ["adjudicate/last"] = "every head exchanged at the last position",
        ["adjudicate/full"] = "every head exchanged at all positions",
    };

    /// <param name="estimated">Whether heads are ranked by estimated effects.</param>
    public static string Of(string phase, bool estimated = false) => phase == "rank" && estimated ? "every head estimated" : Names[phase];
}
