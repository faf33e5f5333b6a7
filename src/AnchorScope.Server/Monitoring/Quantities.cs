using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Monitoring;

/// <summary>A number that is read of every request.</summary>
/// <param name="Name">For instance "instruction.3", the MAM at the instruction after layer 3.</param>
/// <param name="Group">One of <see cref="Quantities.Groups"/>.</param>
internal sealed record Quantity(string Name, string Group);

/// <summary>The numbers that are read of every request of a model, in a fixed order: a set that no traffic can make larger.</summary>
internal sealed class Quantities
{
    /// <summary>Name of the positions that belong to no part: what the chat template writes before the instruction.</summary>
    public const string Rest = "template";

    private readonly IReadOnlyList<(int Layer, int Head)> _heads;
    private readonly int _layers;

    /// <param name="heads">The heads of the policy's head sets.</param>
    public Quantities(DecoderShape shape, IEnumerable<(int Layer, int Head)> heads)
    {
        (_heads, _layers) = ([.. heads.Distinct().Order()], shape.Layers);
        All =
        [
            new Quantity("margin", "margin"),
            .. Enumerable.Range(0, _layers).Select(layer => new Quantity($"instruction.{layer}", "instruction")),
            .. Enumerable.Range(0, _layers).Select(layer => new Quantity($"last.{layer}", "last")),
            .. _heads.Select(head => new Quantity($"heads.{head.Layer}.{head.Head}", "heads")),
            .. Parts.Select(part => new Quantity($"attention.{part}", "attention")),
        ];
    }

    /// <summary>Names of the groups.</summary>
    public static IReadOnlyList<string> Groups { get; } = ["margin", "instruction", "last", "heads", "attention"];

    /// <summary>The parts of a prompt that the instruction's tokens may read.</summary>
    public static IReadOnlyList<string> Parts { get; } =
    [
        .. Enum.GetValues<SpanKind>().Where(kind => kind is not (SpanKind.Suffix or SpanKind.Last)).Select(EnumName.Of), Rest,
    ];

    /// <summary>All of them.</summary>
    public IReadOnlyList<Quantity> All { get; }

    /// <summary>The heads.</summary>
    public IReadOnlyList<(int Layer, int Head)> Heads => _heads;

    /// <summary>
    /// The numbers of a request in the order of <see cref="All"/>; NaN where it has none, for instance without a picture.
    /// </summary>
    public double[] Of(Decision decision)
    {
        var heads = decision.Heads.ToDictionary(head => (head.Layer, head.Head), head => head.Margin);
        return
        [
            decision.Margin, .. decision.AtInstruction, .. decision.AtLast,
            .. _heads.Select(head => heads.TryGetValue(head, out var margin) ? margin : double.NaN),
            .. Parts.Select(part => decision.Attention.TryGetValue(part, out var share) ? share : double.NaN),
        ];
    }

    /// <summary>The sketches of all numbers in the form that is reported.</summary>
    public ReadingSummary Summary(ReadingTotals totals)
    {
        var at = 0;
        Quantiles Next() => totals.Sketches[at++].Summary();
        return new ReadingSummary
        {
            Requests = totals.Requests,
            Decisions = new Dictionary<string, long>(totals.Decisions, StringComparer.Ordinal),
            Margin = Next(),
            AtInstruction = [.. Enumerable.Range(0, _layers).Select(_ => Next())],
            AtLast = [.. Enumerable.Range(0, _layers).Select(_ => Next())],
            Heads = [.. _heads.Select(head => new HeadMargins(head.Layer, head.Head, Next()))],
            Attention = [.. Parts.Select(part => new SpanShare(part, Next())).Where(part => part.Share.Count > 0)],
        };
    }
}

/// <summary>What was read of many requests: counts of decisions and a sketch of every number.</summary>
internal sealed class ReadingTotals
{
    /// <param name="error">Of the sketches.</param>
    public ReadingTotals(Quantities quantities, double error = QuantileSketch.UsualError) =>
        Sketches = [.. quantities.All.Select(_ => new QuantileSketch(error))];

    /// <summary>What was read before.</summary>
    public ReadingTotals(IReadOnlyDictionary<string, long> decisions, IReadOnlyList<QuantileSketch> sketches)
    {
        (Decisions, Sketches) = (new SortedDictionary<string, long>(decisions.ToDictionary(), StringComparer.Ordinal), sketches);
    }

    /// <summary>How many followed "vision", "text" and "neither".</summary>
    public SortedDictionary<string, long> Decisions { get; } =
        new(StringComparer.Ordinal) { ["vision"] = 0, ["text"] = 0, ["neither"] = 0 };

    /// <summary>In the order of <see cref="Quantities.All"/>.</summary>
    public IReadOnlyList<QuantileSketch> Sketches { get; }

    /// <summary>Number of requests.</summary>
    public long Requests => Decisions.Values.Sum();

    /// <summary>Adds a request.</summary>
    /// <param name="values">In the order of <see cref="Quantities.All"/>.</param>
    public void Add(string followed, IReadOnlyList<double> values)
    {
        Decisions[followed]++;
        for (var i = 0; i < values.Count; i++)
        {
            if (double.IsFinite(values[i])) Sketches[i].Add(values[i]);
        }
    }
}
