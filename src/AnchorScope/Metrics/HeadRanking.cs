namespace AnchorScope.Metrics;

/// <summary>Ranks heads by score, selects the top of a ranking, compares rankings, and draws random controls.</summary>
internal static class HeadRanking
{
    /// <summary>
    /// Heads by decreasing score; equal scores by layer, then head. A score that is an estimate ranks after every positive score that is
    /// not.
    /// </summary>
    /// <param name="scores">[layer x head].</param>
    /// <param name="estimated">Heads whose scores are estimates; null for none.</param>
    public static IReadOnlyList<(int Layer, int Head)> Order(IReadOnlyList<double> scores, int headsPerLayer,
        IReadOnlySet<(int, int)>? estimated = null) =>
        [.. Enumerable.Range(0, scores.Count).Select(i => (Head: (i / headsPerLayer, i % headsPerLayer), Score: scores[i]))
            .OrderBy(h => h.Score > 0 && estimated?.Contains(h.Head) != true ? 0 : 1).ThenByDescending(h => h.Score)
            .ThenBy(h => h.Head).Select(h => h.Head)];

    /// <summary>
    /// The candidates for exact measurement: heads whose largest absolute estimate, over all runs or one modality's, is among the
    /// <paramref name="count"/> largest.
    /// </summary>
    /// <param name="estimates">For all runs, for one modality's, for the other's [layer x head].</param>
    public static IReadOnlyList<(int Layer, int Head)> Strongest(int count, int headsPerLayer, params IReadOnlyList<double>[] estimates) =>
        [.. Order([.. Enumerable.Range(0, estimates[0].Count).Select(i => estimates.Max(e => Math.Abs(e[i])))],
            headsPerLayer).Take(count).Order()];

    /// <summary>
    /// Share of the <paramref name="count"/> highest estimates that are among the <paramref name="count"/> highest exact values.
    /// </summary>
    public static double Precision(IReadOnlyList<double> estimated, IReadOnlyList<double> exact, int count) =>
        (double)Shared(Order(estimated, 1).Take(count), Order(exact, 1).Take(count)).Count / count;

    /// <summary>Number of heads of a share; at least one.</summary>
    public static int Count(double share, int heads, TopRounding rounding) => Math.Max(1, rounding switch
    {
        TopRounding.Floor => (int)Math.Floor(share * heads),
        TopRounding.Ceiling => (int)Math.Ceiling(share * heads),
        _ => (int)Math.Round(share * heads, MidpointRounding.AwayFromZero),
    });

    /// <summary>Heads in both lists (shared hubs).</summary>
    public static IReadOnlyList<(int Layer, int Head)> Shared(IEnumerable<(int, int)> a, IEnumerable<(int, int)> b) => [.. a.Intersect(b)];

    /// <summary>Share of the sum of positive scores in the top <paramref name="count"/>.</summary>
    public static double ShareOfPositive(IReadOnlyList<double> scores, int count)
    {
        var positive = scores.Where(s => s > 0).OrderDescending().ToList();
        return positive.Count == 0 ? 0 : positive.Take(count).Sum() / positive.Sum();
    }

    /// <summary>
    /// <paramref name="count"/> heads drawn uniformly without replacement from those that are not in <paramref name="excluded"/>.
    /// </summary>
    public static IReadOnlyList<(int Layer, int Head)> Random(
        int count, int layers, int headsPerLayer, IReadOnlySet<(int, int)> excluded, SplitMix random) =>
        Draw(count,
            [.. Enumerable.Range(0, layers * headsPerLayer).Select(i => (i / headsPerLayer, i % headsPerLayer))
                .Where(h => !excluded.Contains(h))], random);

    /// <summary>
    /// For every head of <paramref name="like"/> another one of the same layer that is not in <paramref name="excluded"/>; fewer if a layer
    /// has none left.
    /// </summary>
    public static IReadOnlyList<(int Layer, int Head)> LayerMatched(IEnumerable<(int Layer, int Head)> like, int headsPerLayer,
        IReadOnlySet<(int, int)> excluded, SplitMix random) =>
        [.. like.GroupBy(h => h.Layer).OrderBy(g => g.Key).SelectMany(layer =>
        {
            var pool = Enumerable.Range(0, headsPerLayer).Select(h => (layer.Key, h)).Where(h => !excluded.Contains(h)).ToList();
            return Draw(Math.Min(layer.Count(), pool.Count), pool, random);
        })];

    /// <summary>Spearman's rank correlation; ties get their mean rank.</summary>
    public static double Spearman(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        if (a.Count != b.Count || a.Count < 2) return double.NaN;
        var (x, y) = (Ranks(a), Ranks(b));
        var mean = (a.Count - 1) / 2.0;
        double xy = 0, xx = 0, yy = 0;
        for (var i = 0; i < a.Count; i++)
        {
            xy += (x[i] - mean) * (y[i] - mean);
            xx += (x[i] - mean) * (x[i] - mean);
            yy += (y[i] - mean) * (y[i] - mean);
        }
        return xx > 0 && yy > 0 ? xy / Math.Sqrt(xx * yy) : double.NaN;
    }

    private static List<(int, int)> Draw(int count, List<(int, int)> pool, SplitMix random)
    {
        var drawn = new List<(int, int)>();
        while (drawn.Count < count && pool.Count > 0)
        {
            var i = random.Below(pool.Count);
            drawn.Add(pool[i]);
            pool.RemoveAt(i);
        }
        return drawn;
    }

    private static double[] Ranks(IReadOnlyList<double> values)
    {
        var order = Enumerable.Range(0, values.Count).OrderBy(i => values[i]).ToArray();
        var ranks = new double[values.Count];
        for (var i = 0; i < order.Length;)
        {
            var end = i + 1;
            while (end < order.Length && values[order[end]].Equals(values[order[i]])) end++;
            for (var j = i; j < end; j++) ranks[order[j]] = (i + end - 1) / 2.0;
            i = end;
        }
        return ranks;
    }
}

/// <summary>The layers of a knockout window.</summary>
internal static class LayerWindow
{
    /// <summary>
    /// [max(0, l - size/2), min(L, l + ceil(size/2))): centred on <paramref name="layer"/>, clipped to the model's layers.
    /// </summary>
    public static IEnumerable<int> Centred(int layer, int size, int layers)
    {
        var from = Math.Max(0, layer - size / 2);
        var to = Math.Min(layers, layer + (size + 1) / 2);
        return Enumerable.Range(from, to - from);
    }
}
