using System.Globalization;
using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Which heads a diagnosis blocks and amplifies: chosen from the ranking split, before the test split is looked at.</summary>
public sealed class HeadPlan
{
    /// <summary>
    /// The set that the sentences and the examples speak of, the best 5 %: it is blocked whatever other shares are asked for.
    /// </summary>
    public const string Tested = "top5";

    /// <summary>Its share.</summary>
    public const double TestedShare = 0.05;

    /// <summary>Random sets where a mean is all that is wanted of them; a test takes as many as are asked for.</summary>
    public const int FewDraws = 10;

    private readonly Dictionary<string, IReadOnlyList<(int Layer, int Head)>> _sets = new(StringComparer.Ordinal);

    /// <param name="all">Scores over all runs [layer x head].</param>
    /// <param name="vision">Scores over vision-following runs; NaN where these have none.</param>
    /// <param name="text">Scores over text-following runs; NaN where these have none.</param>
    /// <param name="estimated">Heads whose scores are estimates; null: none.</param>
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
            var name = Percent(share);
            var top = Order.Take(count).ToList();
            var excluded = top.ToHashSet();
            _sets[$"top{name}"] = top;
            for (var draw = 0; draw < (share == TestedShare ? options.Draws : Math.Min(FewDraws, options.Draws)); draw++)
            {
                _sets[$"random{name}/{draw}"] = HeadRanking.Random(count, layers, headsPerLayer, excluded, random);
                // A layer may have fewer other heads than the set takes of it. A smaller set would be no control.
                var matched = HeadRanking.LayerMatched(top, headsPerLayer, excluded, random);
                if (matched.Count == count) _sets[$"layer{name}/{draw}"] = matched;
            }
        }
        var five = HeadRanking.Count(TestedShare, heads, rounding);
        IReadOnlyList<(int Layer, int Head)> Best(IReadOnlyList<double> scores) =>
            scores.All(double.IsFinite) ? [.. HeadRanking.Order(scores, headsPerLayer, estimated).Take(five)] : [];
        (Vision, Text) = (Best(vision), Best(text));
        _sets["vision5"] = Vision;
        _sets["text5"] = Text;
        _sets["deep5"] = [.. Order.Where(h => h.Layer >= layers / 2).Take(five)];
        Blocked = [.. Shares.Select(s => $"top{Percent(s)}").Concat(["vision5", "text5"]).Where(name => _sets[name].Count > 0)];
        Amplified = [Tested, "top10", "deep5"];
        if (!_sets.ContainsKey("top10")) _sets["top10"] = [.. Order.Take(HeadRanking.Count(0.10, heads, rounding))];
    }

    private HeadPlan(HeadPlan all, Func<string, bool> kept)
    {
        (Shares, Order, Vision, Text, Blocked, Amplified) = (all.Shares, all.Order, all.Vision, all.Text, all.Blocked, all.Amplified);
        foreach (var (name, heads) in all._sets.Where(s => kept(s.Key))) _sets.Add(name, heads);
    }

    /// <summary>The same with at most <see cref="FewDraws"/> random sets of each kind and size.</summary>
    /// <param name="all">The kind that keeps all its sets, such as "random5"; null: none.</param>
    public HeadPlan WithFewDraws(string? all = null) => new(
        this, name => name.IndexOf('/', StringComparison.Ordinal) is var at
            && (at < 0 || name[..at] == all || int.Parse(name[(at + 1)..], CultureInfo.InvariantCulture) < FewDraws));

    /// <summary>The heads of a set.</summary>
    public IReadOnlyList<(int Layer, int Head)> Heads(string set) => _sets[set];

    /// <summary>Shares that are blocked, that of <see cref="Tested"/> among them.</summary>
    public IReadOnlyList<double> Shares { get; }

    /// <summary>All heads, best first.</summary>
    public IReadOnlyList<(int Layer, int Head)> Order { get; }

    /// <summary>The best 5 %.</summary>
    public IReadOnlyList<(int Layer, int Head)> Arbitration => _sets[Tested];

    /// <summary>Top 5 % for following the picture; none where runs told to follow it have no scores.</summary>
    public IReadOnlyList<(int Layer, int Head)> Vision { get; }

    /// <summary>Top 5 % for following the text; none where runs told to follow it have no scores.</summary>
    public IReadOnlyList<(int Layer, int Head)> Text { get; }

    /// <summary>Names of the chosen sets that are blocked.</summary>
    public IReadOnlyList<string> Blocked { get; }

    /// <summary>Names of the chosen sets that are amplified.</summary>
    public IReadOnlyList<string> Amplified { get; }

    /// <summary>Every set by name, random controls ("random5/0", "layer5/0") among them.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<(int Layer, int Head)>> Sets => _sets;

    /// <summary>Names of the random sets of a kind: "random5" has "random5/0", "random5/1", …</summary>
    public IReadOnlyList<string> Draws(string kind) =>
        [.. _sets.Keys.Where(k => k.StartsWith(kind + "/", StringComparison.Ordinal) && _sets[k].Count > 0)];

    /// <summary>0.05 is "5".</summary>
    public static string Percent(double share) => $"{share * 100:0.##}";
}
