using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>The activations of heads that are exchanged between two runs.</summary>
public enum HeadContent
{
    /// <summary>Head outputs z: what heads write.</summary>
    Z,

    /// <summary>Queries as projected: what heads choose to read.</summary>
    Query,

    /// <summary>Attention probabilities: what heads read, whatever determined it.</summary>
    Pattern,

    /// <summary>Output of the MLP of a layer, which belongs to no head.</summary>
    Mlp,

    /// <summary>Keys and values of the instruction, replaced only for later queries: what the instruction's tokens pass on.</summary>
    PassedOn,
}

/// <summary>Builds interventions that exchange activations of heads between a donor run and a receiver.</summary>
public static class HeadInterchange
{
    /// <summary>The sites of a content.</summary>
    public static IReadOnlyList<Site> SitesOf(HeadContent what) => what == HeadContent.PassedOn ? [Site.Key, Site.Value] : [SiteOf(what)];

    private static Site SiteOf(HeadContent what) => what switch
    {
        HeadContent.Z => Site.HeadOut,
        HeadContent.Query => Site.QueryProj,
        HeadContent.Mlp => Site.MlpOut,
        _ => Site.AttnPattern,
    };

    /// <summary>Aligns the positions of the spans of <paramref name="kinds"/> in two prompts; null if that is impossible.</summary>
    /// <param name="alignment">How spans of different lengths are treated.</param>
    public static AlignedPositions? Align(Prompt receiver, Prompt donor, IReadOnlyList<SpanKind> kinds, SpanAlignment alignment)
    {
        var pairs = new List<(int Receiver, int Donor)>();
        foreach (var kind in kinds)
        {
            var (own, others) = (receiver.Span(kind), donor.Span(kind));
            if (own.Count != others.Count && (alignment == SpanAlignment.Equal || Math.Min(own.Count, others.Count) == 0)) return null;
            var count = Math.Min(own.Count, others.Count);
            for (var i = 1; i <= count; i++) pairs.Add((own[^i], others[^i]));
        }
        pairs.Sort();
        return pairs.Count == 0 ? null : new AlignedPositions([.. pairs.Select(p => p.Receiver)], [.. pairs.Select(p => p.Donor)]);
    }

    /// <summary>Replaces values of the receiver's heads by the donor's.</summary>
    /// <param name="name">Name of the intervention.</param>
    /// <param name="shape">Sizes of the model.</param>
    /// <param name="heads">The heads.</param>
    /// <param name="at">The aligned positions.</param>
    /// <param name="donor">The site recorded in the donor's run, at all positions or at least at the aligned ones.</param>
    public static Intervention Of(string name, DecoderShape shape, HeadContent what, IEnumerable<(int Layer, int Head)> heads,
        AlignedPositions at, Trace donor)
    {
        if (what == HeadContent.PassedOn)
            throw new InputException("passed_on: is exchanged along edges; use HeadInterchange.PassedOn");
        heads = [.. heads];
        if (!heads.Any()) throw new InputException($"{name}: expected at least one head, found none");
        foreach (var (layer, head) in heads) shape.Check(layer, head, name);
        var site = SiteOf(what);
        var positions = Positions.Of(at.Receiver);
        int[] order = [.. at.Donor.Select(p => Index(donor, p))];
        return new Intervention(name, [.. heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(layer =>
        {
            if (what == HeadContent.Mlp)
                return new Edit(site, layer.Key, Operation.Set)
                    { Positions = positions, Rows = DonorRows.Of(donor[site, layer.Key], shape.ModelSize, order) };
            int[] named = [.. layer.Select(h => h.Head).Distinct().Order()];
            var rows = what == HeadContent.Pattern
                ? Pattern(donor[site, layer.Key], shape.Heads, donor.Positions?.Count, order, named)
                : DonorRows.Of(donor[site, layer.Key], shape.Width(site), order, named, shape.HeadSize);
            return new Edit(site, layer.Key, Operation.Set) { Heads = named, Positions = positions, Rows = rows };
        })]);
    }

    /// <summary>
    /// In some layers, the queries at <paramref name="queries"/> attend to the donor's keys and values at the aligned positions.
    /// </summary>
    public static Intervention PassedOn(string name, DecoderShape shape, IEnumerable<int> layers, Positions queries,
        AlignedPositions at, Trace donor)
    {
        layers = [.. layers];
        if (!layers.Any()) throw new InputException($"{name}: expected at least one layer, found none");
        int[] order = [.. at.Donor.Select(p => Index(donor, p))];
        return new Intervention(name, [.. from layer in layers.Order()
                                          from site in SitesOf(HeadContent.PassedOn)
                                          select new Edit(site, layer, Operation.Set)
                                          {
                                              Positions = queries, Keys = Positions.Of(at.Receiver),
                                              Rows = DonorRows.Of(donor[site, layer], shape.Width(site), order),
                                          }]);
    }

    private static DonorRows Pattern(float[] pattern, int heads, int? positions, int[] order, int[] named)
    {
        // Without a list of positions every position is recorded, and there is a key for each of them.
        var recorded = positions ?? (int)Math.Sqrt(pattern.Length / heads);
        var keys = pattern.Length / heads / recorded;
        return new DonorRows(
            [.. order.SelectMany(row => named.SelectMany(head => pattern.AsSpan((head * recorded + row) * keys, keys).ToArray()))],
            order.Length);
    }

    private static int Index(Trace trace, int position)
    {
        if (trace.Positions is not { } positions) return position;
        for (var i = 0; i < positions.Count; i++)
        {
            if (positions[i] == position) return i;
        }
        throw new ArgumentException($"the donor was not recorded at position {position}", nameof(position));
    }
}
