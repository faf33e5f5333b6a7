using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Server.Api;

/// <summary>Finds changes that cannot change an answer: they are refused, so that no answer is called steered that is not.</summary>
internal static class EditEffect
{
    /// <exception cref="InputException">No edit of the change can change a logit.</exception>
    public static void Require(Intervention made, DecoderShape shape, Prompt prompt)
    {
        if (!made.Edits.Any(edit => Reaches(edit, shape, prompt)))
            throw new InputException(
                "expected a change that the answer depends on, found one of what no later layer and no generated token "
                    + $"reads: layer {shape.Layers - 1} is the last one, and its outputs count at the last position only");
        if (!made.Edits.Any(ChangesScores))
            throw new InputException("expected a number that changes the weights of attention, found one too small for float32");
    }

    /// <exception cref="InputException">All edges that a change adds to in some layer and head are cut in it.</exception>
    public static void RequireUncut(IReadOnlyList<Edit> edits, DecoderShape shape)
    {
        var cuts = edits.Where(edit => edit is { Site: Site.AttnScores, Operation: Operation.Set }).ToLookup(cut => cut.Layer);
        foreach (var boost in edits.Where(edit => edit is { Site: Site.AttnScores, Operation: Operation.Add }))
        {
            if (cuts[boost.Layer].Any(cut => Covers(cut, boost)))
                throw new InputException($"adds to edges of layer {boost.Layer} that are cut, "
                    + "so that it has no effect there");
        }
    }

    /// <summary>Whether the logits of the last position, or of generated ones, can depend on what the edit changes.</summary>
    private static bool Reaches(Edit edit, DecoderShape shape, Prompt prompt) =>
        edit.Layer < shape.Layers - 1 || edit.ReachesOthers || edit.Positions.IsAll || edit.Positions.List.Any(p => p >= prompt.Last);

    /// <summary>Whether every edge of one edit, as far as a query is not before its key, is one of the other's.</summary>
    private static bool Covers(Edit cut, Edit boost) =>
        (cut.Heads is null || (boost.Heads is { } heads && heads.All(cut.Heads.Contains)))
        && All(boost.Positions, cut.Positions, query => query >= boost.Keys.First)
        && All(boost.Keys, cut.Keys, key => boost.Positions.IsAll || key <= boost.Positions.Last);

    private static bool All(Positions some, Positions others, Func<int, bool> counts) =>
        others.IsAll || (!some.IsAll && some.List.Where(counts).All(others.Contains));

    /// <summary>exp(x) is 1 in float32 if x is nearer to 0 than half the distance between 1 and the next number.</summary>
    private static bool ChangesScores(Edit edit) =>
        edit is not { Site: Site.AttnScores, Operation: Operation.Add } || 1f + edit.Factor != 1f;
}
