using System.Globalization;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>A position, described so that it can be matched with positions of other prompts.</summary>
/// <param name="Span">Its span; null for template tokens that belong to none.</param>
/// <param name="FromEnd">Number of positions of the span after it.</param>
internal readonly record struct SpanPlace(int Position, SpanKind? Span, int FromEnd)
{
    /// <summary>The positions of some spans, in order.</summary>
    public static List<SpanPlace> Of(Prompt prompt, IEnumerable<SpanKind?> spans) => [.. spans
        .Select(span => (span, positions: In(prompt, span)))
        .SelectMany(s => s.positions.Select((p, i) => new SpanPlace(p, s.span, s.positions.Count - 1 - i)))
        .OrderBy(p => p.Position).DistinctBy(p => p.Position)];

    /// <summary>The positions of a span.</summary>
    public static IReadOnlyList<int> In(Prompt prompt, SpanKind? span) => span is { } kind
        ? prompt.Span(kind)
        : [.. Enumerable.Range(0, prompt.Length).Except(prompt.Spans.Values.SelectMany(positions => positions))];
}

/// <summary>The values that replace removed activations of a run.</summary>
internal interface IReplacement
{
    /// <summary>Values for a place [width of the site].</summary>
    ReadOnlySpan<float> Row(Site site, int layer, SpanPlace place);
}

/// <summary>Zero ablation.</summary>
internal sealed class Zeros(DecoderShape shape) : IReplacement
{
    private readonly float[] _zeros = new float[Math.Max(shape.Width(Site.HeadOut), shape.Width(Site.Key))];

    /// <inheritdoc/>
    public ReadOnlySpan<float> Row(Site site, int layer, SpanPlace place) => _zeros.AsSpan(0, shape.Width(site));
}

/// <summary>Mean ablation: means by site, layer and span over runs of the ranking split.</summary>
internal sealed class SpanMeans : IReplacement
{
    private const string Prefix = "mean_", NoSpan = "none";

    private readonly Dictionary<(Site Site, int Layer, SpanKind? Span), float[]> _means = [];

    /// <summary>Reads a row written by <see cref="ToResult"/>.</summary>
    public SpanMeans(RunResult means)
    {
        foreach (var (name, values) in means.Curves)
        {
            var parts = name[Prefix.Length..].Split('/');
            SpanKind? span = parts[2] == NoSpan ? null : EnumName.Parse<SpanKind>("span", parts[2]);
            _means[(SiteNames.Parse(parts[0])!.Value, int.Parse(parts[1], CultureInfo.InvariantCulture), span)] = values;
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Row(Site site, int layer, SpanPlace place) => _means.TryGetValue((site, layer, place.Span), out var values)
        ? values
        : throw InputException.At(
            "ablation mean", NameOf(place.Span),
            $"a run with this span among the first {InterchangeStudy.ProfileSamples} conflicts of the ranking set", "none");

    /// <summary>Converts double-precision sums over positions to means, in a row of results.</summary>
    public static RunResult ToResult(IReadOnlyDictionary<(Site Site, int Layer, SpanKind? Span), (double[] Sum, int Count)> sums)
    {
        var result = new RunResult("means", 0, 0);
        foreach (var ((site, layer, span), (sum, count)) in sums.OrderBy(s => s.Key))
            result.Curves[$"{Prefix}{SiteNames.Of(site)}/{layer}/{NameOf(span)}"] = [.. sum.Select(s => (float)(s / count))];
        return result;
    }

    private static string NameOf(SpanKind? span) => span is { } kind ? EnumName.Of(kind) : NoSpan;
}

/// <summary>Resample ablation: values of another run, matched position by position from the end of each span.</summary>
internal sealed class OtherRun : IReplacement
{
    private readonly Prompt _prompt;
    private readonly Trace _trace;
    private readonly Dictionary<int, int> _rows;
    private readonly IReadOnlyList<int> _inNoSpan;

    /// <param name="trace">Recorded at the positions of the requested spans, and at the last position.</param>
    public OtherRun(Prompt prompt, Trace trace)
    {
        (_prompt, _trace, _inNoSpan) = (prompt, trace, SpanPlace.In(prompt, null));
        _rows = trace.Positions!.Select((position, row) => (position, row)).ToDictionary(p => p.position, p => p.row);
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Row(Site site, int layer, SpanPlace place)
    {
        var there = place.Span is { } kind ? _prompt.Span(kind) : _inNoSpan;
        // If this run's span is shorter, its first position is used repeatedly; if it lacks the span, its last position is used.
        var position = there.Count == 0 ? _prompt.Length - 1 : there[Math.Max(0, there.Count - 1 - place.FromEnd)];
        var values = _trace[site, layer];
        var width = values.Length / _rows.Count;
        return values.AsSpan(_rows[position] * width, width);
    }
}

/// <summary>
/// Removals from one run as edits: head outputs, or keys and values along an edge, are set to the values of a replacement.
/// </summary>
/// <param name="at">Spans at which heads are removed.</param>
internal sealed class Removal(DecoderShape shape, Prompt prompt, IEnumerable<SpanKind?> at, IReplacement by)
{
    private readonly List<SpanPlace> _places = SpanPlace.Of(prompt, at);
    private readonly Dictionary<(Site Site, int Layer, string Edge), DonorRows> _alongEdges = [];

    /// <summary>Removes heads together.</summary>
    public Intervention Heads(string name, IEnumerable<(int Layer, int Head)> heads) =>
        new(name, [.. heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(g => Heads(g.Key, [.. g.Select(h => h.Head).Order()]))]);

    /// <summary>Removes an edge in some layers; null if the prompt has no such edge.</summary>
    /// <param name="heads">Query heads; null for all.</param>
    public Intervention? Along(Edge edge, string name, IEnumerable<int> layers, IReadOnlyList<int>? heads = null)
    {
        if (!edge.Exists(prompt)) return null;
        var (queries, keys) = (Positions.Of(prompt.Union(edge.To)), Positions.Of(prompt.Union(edge.From)));
        return new Intervention(name, [.. from layer in layers
                                          from site in new[] { Site.Key, Site.Value }
                                          select new Edit(site, layer, Operation.Set)
                                          {
                                              Positions = queries, Keys = keys, Heads = heads, Rows = Rows(edge, site, layer),
                                          }]);
    }

    private Edit Heads(int layer, int[] heads)
    {
        var size = shape.HeadSize;
        var rows = new float[_places.Count * heads.Length * size];
        for (var i = 0; i < _places.Count; i++)
        {
            var row = by.Row(Site.HeadOut, layer, _places[i]);
            for (var j = 0; j < heads.Length; j++) row.Slice(heads[j] * size, size).CopyTo(rows.AsSpan((i * heads.Length + j) * size));
        }
        return new Edit(Site.HeadOut, layer, Operation.Set)
        {
            Heads = heads, Positions = Positions.Of(_places.Select(p => p.Position)), Rows = new DonorRows(rows, _places.Count),
        };
    }

    /// <summary>Cached, because windows of layers overlap.</summary>
    private DonorRows Rows(Edge edge, Site site, int layer)
    {
        if (_alongEdges.TryGetValue((site, layer, edge.Name), out var known)) return known;
        var places = SpanPlace.Of(prompt, edge.From.Select(kind => (SpanKind?)kind));
        var width = shape.Width(site);
        var rows = new float[places.Count * width];
        for (var i = 0; i < places.Count; i++) by.Row(site, layer, places[i]).CopyTo(rows.AsSpan(i * width));
        return _alongEdges[(site, layer, edge.Name)] = new DonorRows(rows, places.Count);
    }
}
