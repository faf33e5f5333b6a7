using AnchorScope.Metrics;

namespace AnchorScope.Studies;

/// <summary>Which heads a diagnosis blocks and amplifies: chosen from the ranking split, before the test split is looked at.</summary>
public sealed class HeadPlan
{
    private readonly Dictionary<string, IReadOnlyList<(int Layer, int Head)>> _sets = new(StringComparer.Ordinal);

    /// <param name="all">Scores over all runs [layer x head].</param>
    /// <param name="vision">Scores over vision-following runs.</param>
    /// <param name="text">Scores over text-following runs.</param>
    /// <param name="estimated">Heads whose scores are estimates; null: none.</param>
    public HeadPlan(
        IReadOnlyList<double> all, IReadOnlyList<double> vision, IReadOnlyList<double> text, int layers, int headsPerLayer, DiagnosisOptions options, IReadOnlySet<(int, int)>? estimated = null)
    {
        var (heads, rounding) = (layers * headsPerLayer, options.Variants.Rounding);
        Order = HeadRanking.Order(all, headsPerLayer, estimated);
        var visionOrder = HeadRanking.Order(vision, headsPerLayer, estimated);
        var textOrder = HeadRanking.Order(text, headsPerLayer, estimated);
        // Random controls are drawn outside the larger of the published 5 % and the largest share blocked.
        var excluded = Order.Take(HeadRanking.Count(Math.Max(0.10, options.Shares.Max()), heads, rounding)).ToHashSet();
        var random = new SplitMix(options.Seed);
        foreach (var share in options.Shares)
        {
            var count = HeadRanking.Count(share, heads, rounding);
            var name = Percent(share);
            var top = Order.Take(count).ToList();
            _sets[$"top{name}"] = top;
            for (var draw = 0; draw < options.Draws; draw++)
            {
                _sets[$"random{name}/{draw}"] = HeadRanking.Random(count, layers, headsPerLayer, excluded, random);
                _sets[$"layer{name}/{draw}"] = HeadRanking.LayerMatched(top, headsPerLayer, excluded, random);
            }
        }
        var five = HeadRanking.Count(0.05, heads, rounding);
        Vision = [.. visionOrder.Take(five)];
        Text = [.. textOrder.Take(five)];
        _sets["vision5"] = Vision;
        _sets["text5"] = Text;
        _sets["deep5"] = [.. Order.Where(h => h.Layer >= layers / 2).Take(five)];
        Blocked = [.. options.Shares.Select(s => $"top{Percent(s)}"), "vision5", "text5"];
        Amplified = ["top5", "top10", "deep5"];
        foreach (var name in Amplified.Where(n => !_sets.ContainsKey(n)).ToList())
            _sets[name] = [.. Order.Take(HeadRanking.Count(name == "top5" ? 0.05 : 0.10, heads, rounding))];
    }

    /// <summary>All heads, best first.</summary>
    public IReadOnlyList<(int Layer, int Head)> Order { get; }

    /// <summary>The best 5 %.</summary>
    public IReadOnlyList<(int Layer, int Head)> Arbitration => [.. Order.Take(Vision.Count)];

    /// <summary>Top 5 % for following the picture.</summary>
    public IReadOnlyList<(int Layer, int Head)> Vision { get; }

    /// <summary>Top 5 % for following the text.</summary>
    public IReadOnlyList<(int Layer, int Head)> Text { get; }

    /// <summary>Names of the chosen sets that are blocked.</summary>
    public IReadOnlyList<string> Blocked { get; }

    /// <summary>The set that examples show blocked: the third share, 5 % unless other shares were asked for.</summary>
    public string Shown => Blocked[Math.Min(2, Blocked.Count - 1)];

    /// <summary>Names of the chosen sets that are amplified.</summary>
    public IReadOnlyList<string> Amplified { get; }

    /// <summary>Every set by name, random controls ("random5/0", "layer5/0") among them.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<(int Layer, int Head)>> Sets => _sets;

    /// <summary>Names of the random sets of a kind: "random5" has "random5/0", "random5/1", …</summary>
    public IReadOnlyList<string> Draws(string kind) => [.. _sets.Keys.Where(k => k.StartsWith(kind + "/", StringComparison.Ordinal) && _sets[k].Count > 0)];

    /// <summary>0.05 is "5".</summary>
    public static string Percent(double share) => $"{share * 100:0.##}";
}
