using AnchorScope.Prompts;

namespace AnchorScope.Interventions;

/// <summary>
/// Vectors to add to the values of one head, or of a whole site of a layer, at the positions of one span or at all positions.
/// </summary>
/// <param name="Site">The site.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Head">Query head; null: the whole site.</param>
/// <param name="Span">Null: every position, including generated ones.</param>
/// <param name="Rows">One row for all positions of the span. If <paramref name="ByPosition"/>: row i for the position i places before the
/// span's last one; positions further before it have no row.</param>
/// <param name="ByPosition">Whether there is one row per position.</param>
public sealed record DirectionPart(Site Site, int Layer, int? Head, SpanKind? Span, DonorRows Rows, bool ByPosition = false)
{
    /// <summary>Index of the row for a position of the span; null if it has none.</summary>
    /// <param name="fromEnd">Number of places before the span's last position.</param>
    internal int? RowAt(int fromEnd) => !ByPosition ? 0 : fromEnd < Rows.Count ? fromEnd : null;
}

/// <summary>
/// A steering direction: vectors that are added to activations, times a signed strength. A positive strength steers towards the picture, a
/// negative one towards the text.
/// </summary>
/// <param name="Name">Name in files, for instance "query_mean".</param>
/// <param name="Parts">For each layer and site, either all parts have a head or none has.</param>
public sealed record Direction(string Name, IReadOnlyList<DirectionPart> Parts)
{
    /// <summary>
    /// The direction as edits of one prompt: one edit for each site and layer, with a row per position, and one for each part that applies
    /// everywhere.
    /// </summary>
    /// <param name="name">Name of the intervention.</param>
    /// <param name="strength">Factor of the vectors.</param>
    /// <param name="positionsOf">Positions of a span in the prompt; empty if the prompt lacks it.</param>
    /// <exception cref="InputException">No part has a position.</exception>
    public Intervention At(string name, float strength, Func<SpanKind, IReadOnlyList<int>> positionsOf)
    {
        List<Edit> edits =
        [
            .. Parts.Where(p => p.Span is null).Select(
                p => new Edit(p.Site, p.Layer, Operation.Add)
                    { Heads = p.Head is { } head ? [head] : null, Factor = strength, Vector = p.Rows[0].ToArray() }),
            .. Parts.Where(p => p.Span is not null).GroupBy(p => (p.Site, p.Layer)).OrderBy(g => (g.Key.Layer, g.Key.Site))
                .Select(g => Edit(g.Key.Site, g.Key.Layer, [.. g], strength, positionsOf)).OfType<Edit>(),
        ];
        if (edits.Count == 0)
            throw InputException.At(name, Name,
                $"positions of {string.Join(" or ", Parts.Select(p => EnumName.Of(p.Span!.Value)).Distinct())}", "none in this prompt");
        return new Intervention(name, edits);
    }

    private static Edit? Edit(
        Site site, int layer, IReadOnlyList<DirectionPart> parts, float strength, Func<SpanKind, IReadOnlyList<int>> positionsOf)
    {
        int[]? heads = parts[0].Head is null ? null : [.. parts.Select(p => p.Head!.Value).Distinct().Order()];
        var width = parts[0].Rows.Width;
        var rows = new SortedDictionary<int, float[]>();
        foreach (var part in parts)
        {
            var positions = positionsOf(part.Span!.Value);
            var block = heads is null ? 0 : Array.IndexOf(heads, part.Head!.Value) * width;
            for (var i = 0; i < positions.Count; i++)
            {
                if (part.RowAt(positions.Count - 1 - i) is not { } from) continue;
                if (!rows.TryGetValue(positions[i], out var row)) rows[positions[i]] = row = new float[width * (heads?.Length ?? 1)];
                for (var k = 0; k < width; k++) row[block + k] += part.Rows[from][k];
            }
        }
        return rows.Count == 0 ? null : new Edit(site, layer, Operation.Add)
        {
            Heads = heads, Positions = Positions.Of(rows.Keys), Factor = strength,
            Rows = new DonorRows([.. rows.Values.SelectMany(r => r)], rows.Count),
        };
    }
}
