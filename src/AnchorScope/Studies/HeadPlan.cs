using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>The heads that a diagnosis blocks and amplifies, chosen on the ranking split before the test split is run.</summary>
internal sealed class HeadPlan
{
    /// <summary>
    /// The best 5 % of heads, the set that findings and examples are about. It is blocked whatever other shares are requested.
    /// </summary>
    public static HeadSetId Tested { get; } = HeadSetId.Of(HeadSetKind.Top, TestedShare);

    /// <summary>All random sets of the same size.</summary>
    public static HeadSetId Random { get; } = HeadSetId.Of(HeadSetKind.Random, TestedShare);

    /// <summary>All random sets of the same size and from the same layers.</summary>
    public static HeadSetId SameLayers { get; } = HeadSetId.Of(HeadSetKind.Layer, TestedShare);

    /// <summary>Share of heads in the tested set.</summary>
    public const double TestedShare = 0.05;

    /// <summary>The other share that is amplified.</summary>
    private const double LargerShare = 0.10;

    /// <summary>Number of random sets if only their mean is needed. A test uses as many as requested.</summary>
    public const int FewDraws = 10;

    private readonly Dictionary<HeadSetId, IReadOnlyList<(int Layer, int Head)>> _sets = [];

    /// <summary>Ranks the heads and draws the random sets.</summary>
    /// <param name="all">Scores over all runs [layer x head].</param>
    /// <param name="vision">Scores over vision-following runs; NaN if these have none.</param>
    /// <param name="text">Scores over text-following runs; NaN if these have none.</param>
    /// <param name="estimated">Heads whose scores are estimates; null for none.</param>
    public HeadPlan(
        IReadOnlyList<double> all, IReadOnlyList<double> vision, IReadOnlyList<double> text, int layers, int headsPerLayer,
            DiagnosisOptions options,
        IReadOnlySet<(int, int)>? estimated = null)
    {
        var (heads, rounding) = (layers * headsPerLayer, options.Variants.Rounding);
        Order = HeadRanking.Order(all, headsPerLayer, estimated);
        Shares = options.Shares.Contains(TestedShare) ? options.Shares : [.. options.Shares.Append(TestedShare).Order()];
        var random = new SplitMix(options.Seed);
        foreach (var share in Shares)
        {
            var count = HeadRanking.Count(share, heads, rounding);
            var top = Order.Take(count).ToList();
            var excluded = top.ToHashSet();
            _sets[HeadSetId.Of(HeadSetKind.Top, share)] = top;
            for (var draw = 0; draw < (share == TestedShare ? options.Draws : Math.Min(FewDraws, options.Draws)); draw++)
            {
                _sets[HeadSetId.Of(HeadSetKind.Random, share) with { Draw = draw }] = HeadRanking.Random(count, layers,
                    headsPerLayer, excluded, random);
                // A layer may have fewer other heads than the set has in it. A smaller set would not be a control.
                var matched = HeadRanking.LayerMatched(top, headsPerLayer, excluded, random);
                if (matched.Count == count) _sets[HeadSetId.Of(HeadSetKind.Layer, share) with { Draw = draw }] = matched;
            }
        }
        var five = HeadRanking.Count(TestedShare, heads, rounding);
        IReadOnlyList<(int Layer, int Head)> Best(IReadOnlyList<double> scores) =>
            scores.All(double.IsFinite) ? [.. HeadRanking.Order(scores, headsPerLayer, estimated).Take(five)] : [];
        (Vision, Text) = (Best(vision), Best(text));
        var (vision5, text5, deep) = (
            HeadSetId.Of(HeadSetKind.Vision, TestedShare), HeadSetId.Of(HeadSetKind.Text, TestedShare),
            HeadSetId.Of(HeadSetKind.Deep, TestedShare));
        _sets[vision5] = Vision;
        _sets[text5] = Text;
        _sets[deep] = [.. Order.Where(h => h.Layer >= layers / 2).Take(five)];
        Blocked = [.. Shares.Select(s => HeadSetId.Of(HeadSetKind.Top, s)).Concat([vision5, text5]).Where(name => _sets[name].Count > 0)];
        var larger = HeadSetId.Of(HeadSetKind.Top, LargerShare);
        Amplified = [Tested, larger, deep];
        if (!_sets.ContainsKey(larger)) _sets[larger] = [.. Order.Take(HeadRanking.Count(LargerShare, heads, rounding))];
    }

    private HeadPlan(HeadPlan all, Func<HeadSetId, bool> kept)
    {
        (Shares, Order, Vision, Text, Blocked, Amplified) = (all.Shares, all.Order, all.Vision, all.Text, all.Blocked, all.Amplified);
        foreach (var (name, heads) in all._sets.Where(s => kept(s.Key))) _sets.Add(name, heads);
    }

    /// <summary>The same with at most <see cref="FewDraws"/> random sets of each kind and size.</summary>
    /// <param name="all">The kind and size of which all random sets are kept; null for none.</param>
    public HeadPlan WithFewDraws(HeadSetId? all = null) =>
        new(this, id => id.Draw is not { } draw || draw < FewDraws || id with { Draw = null } == all);

    /// <summary>The heads of a set.</summary>
    public IReadOnlyList<(int Layer, int Head)> Heads(HeadSetId set) => _sets[set];

    /// <summary>Shares that are blocked, including that of <see cref="Tested"/>.</summary>
    public IReadOnlyList<double> Shares { get; }

    /// <summary>All heads, best first.</summary>
    public IReadOnlyList<(int Layer, int Head)> Order { get; }

    /// <summary>The best 5 %.</summary>
    public IReadOnlyList<(int Layer, int Head)> Arbitration => _sets[Tested];

    /// <summary>Top 5 % for following the picture; empty if runs instructed to follow it have no scores.</summary>
    public IReadOnlyList<(int Layer, int Head)> Vision { get; }

    /// <summary>Top 5 % for following the text; empty if runs instructed to follow it have no scores.</summary>
    public IReadOnlyList<(int Layer, int Head)> Text { get; }

    /// <summary>Ids of the chosen sets that are blocked.</summary>
    public IReadOnlyList<HeadSetId> Blocked { get; }

    /// <summary>Ids of the chosen sets that are amplified.</summary>
    public IReadOnlyList<HeadSetId> Amplified { get; }

    /// <summary>Every set, including the random controls.</summary>
    public IReadOnlyDictionary<HeadSetId, IReadOnlyList<(int Layer, int Head)>> Sets => _sets;

    /// <summary>The random sets of a kind and size, except empty ones.</summary>
    public IReadOnlyList<HeadSetId> Draws(HeadSetId all) =>
        [.. _sets.Keys.Where(id => id.IsDrawn && id with { Draw = null } == all && _sets[id].Count > 0)];
}
