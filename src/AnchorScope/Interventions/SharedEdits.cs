namespace AnchorScope.Interventions;

/// <summary>
/// Compares the parts of two interventions that act on the first positions of a prompt. Attention is causal: activations of a position
/// depend only on edits at this position and before it.
/// </summary>
internal static class SharedEdits
{
    /// <summary>
    /// The largest number of positions, at most <paramref name="most"/>, at which both make the same changes in the same order. Edits that
    /// are written in different ways count as different even if they have the same effect.
    /// </summary>
    public static int Positions(Intervention a, Intervention b, int most)
    {
        if (most == 0 || a.Edits.SequenceEqual(b.Edits)) return most;
        // Whatever differs at some position still differs when more positions are compared.
        var (same, different) = (0, most + 1);
        while (different - same > 1)
        {
            var middle = (same + different) / 2;
            if (Within(a, middle).SequenceEqual(Within(b, middle))) same = middle;
            else different = middle;
        }
        return same;
    }

    /// <summary>The edits of the first <paramref name="count"/> positions.</summary>
    private static IEnumerable<Edit> Within(Intervention intervention, int count) =>
        intervention.Edits.Where(edit => edit.Positions.First < count).Select(edit => Within(edit, count));

    private static Edit Within(Edit edit, int count) =>
        edit.Positions.IsAll || edit.Positions.Last < count
            || (!edit.IsEdge && edit.Rows?.Count is { } rows && rows != edit.Positions.List.Count)
            ? edit
            // Along an edge a donor's rows belong to keys, so they stay; elsewhere there is a row for each position.
            : edit with
            {
                Positions = Interventions.Positions.Of(edit.Positions.List.TakeWhile(p => p < count)),
                Rows = edit.IsEdge ? edit.Rows : edit.Rows?.First(edit.Positions.List.Count(p => p < count)),
            };
}
