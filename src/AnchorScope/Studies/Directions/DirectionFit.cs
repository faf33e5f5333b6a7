using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>
/// Mean differences of activations between runs instructed to trust the picture and the same runs instructed to trust the text, by site,
/// layer, span and place in the span. Sums are in double precision, in the order of the runs.
/// </summary>
internal sealed class DirectionFit(DecoderShape shape)
{
    private readonly SortedDictionary<(Site Site, int Layer, SpanKind Span, int FromEnd), (double[] Sum, int Count)> _sums = [];

    /// <summary>Sites at which differences are taken.</summary>
    public static IReadOnlyList<Site> Sites { get; } = [Site.ResidPre, Site.QueryProj, Site.HeadOut];

    /// <summary>Number of runs that were added.</summary>
    public int Pairs { get; private set; }

    /// <summary>Differences of one run, picture minus text [site x layer][positions x width].</summary>
    public static IReadOnlyDictionary<(Site Site, int Layer), float[]> Differences(DecoderShape shape, SteeredRun run)
    {
        var differences = new Dictionary<(Site, int), float[]>();
        foreach (var site in Sites)
        {
            for (var layer = 0; layer < shape.Layers; layer++) differences[(site, layer)] = Difference(shape, run, site, layer);
        }
        return differences;
    }

    /// <summary>
    /// The difference of one run at one site, picture minus text [position of <see cref="AlignedPositions.Receiver"/>, width].
    /// </summary>
    public static float[] Difference(DecoderShape shape, SteeredRun run, Site site, int layer)
    {
        var (own, width) = (run.Own!, shape.Width(site));
        float[] receiver = own.Receiver[site, layer], donor = own.Donor[site, layer];
        var difference = new float[own.At.Receiver.Count * width];
        for (var i = 0; i < own.At.Receiver.Count; i++)
        {
            var (from, to) = (Index(own.Receiver.Positions!, own.At.Receiver[i]) * width,
                Index(own.Donor.Positions!, own.At.Donor[i]) * width);
            for (var k = 0; k < width; k++) difference[i * width + k] = run.Sense * (receiver[from + k] - donor[to + k]);
        }
        return difference;
    }

    /// <summary>Adds a run that has a donor.</summary>
    public void Add(SteeredRun run, IReadOnlyList<SpanKind> spans, IReadOnlyDictionary<(Site Site, int Layer), float[]> differences)
    {
        Pairs++;
        var at = run.Own!.At.Receiver;
        foreach (var span in spans)
        {
            var positions = run.Prompt.Span(span);
            for (var i = 0; i < positions.Count; i++)
            {
                var row = Index(at, positions[i]);
                if (row < 0) continue;
                foreach (var ((site, layer), values) in differences)
                {
                    var (key, width) = ((site, layer, span, positions.Count - 1 - i), shape.Width(site));
                    var (sum, count) = _sums.GetValueOrDefault(key, (new double[width], 0));
                    for (var k = 0; k < width; k++) sum[k] += values[row * width + k];
                    _sums[key] = (sum, count + 1);
                }
            }
        }
    }

    /// <summary>The mean difference as a direction.</summary>
    /// <param name="heads">Heads, for a site that has heads; for <see cref="Site.ResidPre"/> layers, with head 0.</param>
    /// <param name="byPosition">Whether there is one row for each place in a span; otherwise one row for the whole span.</param>
    public Direction Of(string name, Site site, IEnumerable<(int Layer, int Head)> heads, IReadOnlyList<SpanKind> spans, bool byPosition) =>
        new(
            name, [.. from head in heads.Order()
                      from span in spans
                      let rows = Rows(site, head.Layer, site == Site.ResidPre ? null : head.Head, span, byPosition)
                      where rows is not null
                      select new DirectionPart(site, head.Layer, site == Site.ResidPre ? null : head.Head, span, rows, byPosition)]);

    /// <summary>The mean difference over all spans, for every position.</summary>
    /// <param name="heads">Heads, for a site that has heads; for <see cref="Site.ResidPre"/> layers, with head 0.</param>
    public Direction Everywhere(string name, Site site, IEnumerable<(int Layer, int Head)> heads) => new(
        name, [.. heads.Order().Select(h => new DirectionPart(site, h.Layer, site == Site.ResidPre ? null : h.Head, null, Mean(
            [.. _sums.Where(s => s.Key.Site == site && s.Key.Layer == h.Layer).Select(s => s.Value)], site,
            site == Site.ResidPre ? null : h.Head)))]);

    private DonorRows? Rows(Site site, int layer, int? head, SpanKind span, bool byPosition)
    {
        var places = _sums.Where(s => (s.Key.Site, s.Key.Layer, s.Key.Span) == (site, layer, span)).Select(s => s.Value).ToList();
        if (places.Count == 0) return null;
        var (first, width) = Columns(site, head);
        return byPosition
            ? new DonorRows([.. places.SelectMany(p => p.Sum.Skip(first).Take(width).Select(s => (float)(s / p.Count)))], places.Count)
            : Mean(places, site, head);
    }

    private DonorRows Mean(IReadOnlyList<(double[] Sum, int Count)> places, Site site, int? head)
    {
        var ((first, width), count) = (Columns(site, head), places.Sum(p => p.Count));
        return new DonorRows([.. Enumerable.Range(first, width).Select(k => (float)(places.Sum(p => p.Sum[k]) / count))], 1);
    }

    private (int First, int Width) Columns(Site site, int? head) =>
        head is { } h ? (h * shape.HeadSize, shape.HeadSize) : (0, shape.Width(site));

    private static int Index(IReadOnlyList<int> of, int position)
    {
        for (var i = 0; i < of.Count; i++)
        {
            if (of[i] == position) return i;
        }
        return -1;
    }
}
