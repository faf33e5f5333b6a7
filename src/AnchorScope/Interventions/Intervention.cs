namespace AnchorScope.Interventions;

/// <summary>A named list of edits that one run carries. The empty one changes nothing and is called the baseline.</summary>
public sealed record Intervention(string Name, params IReadOnlyList<Edit> Edits)
{
    /// <summary>Edits along edges that a layer may have: one bit each in the attention of an engine.</summary>
    internal const int MostEdges = 64;

    /// <summary>No edits.</summary>
    public static Intervention None { get; } = new("baseline");

    /// <summary>Whether both have the same name and the same edits in the same order.</summary>
    public bool Equals(Intervention? other) => other is not null && Name == other.Name && Edits.SequenceEqual(other.Edits);

    /// <inheritdoc/>
    public override int GetHashCode() => Edits.Aggregate(StringComparer.Ordinal.GetHashCode(Name), HashCode.Combine);

    /// <inheritdoc/>
    public override string ToString() => Edits.Count == 0 ? Name : $"{Name}: {string.Join("; ", Edits)}";

    /// <summary>First layer whose activations can differ from a run without this intervention.</summary>
    public int FirstLayer => Edits.Count == 0 ? int.MaxValue : Edits.Min(e => e.Layer);

    /// <summary>First position whose activations can differ; earlier ones cannot, attention being causal.</summary>
    public int FirstPosition => Edits.Count == 0 ? int.MaxValue : Edits.Min(e => e.Positions.First);

    /// <summary>Whether attention of <see cref="FirstLayer"/> is left as it was, so that a variant may start behind it.</summary>
    public bool StartsAfterAttention => Edits.Count > 0 && !ChangesAttention(FirstLayer);

    /// <summary>Whether an edit of <paramref name="layer"/> comes before the head outputs.</summary>
    internal bool ChangesAttention(int layer) => Edits.Any(e => e.Layer == layer && e.Site.IsBefore(Site.HeadOut));

    /// <summary>Removes attention edges from <paramref name="queries"/> to <paramref name="keys"/> in every layer of <paramref name="layers"/>.</summary>
    public static Intervention Knockout(string name, IEnumerable<int> layers, Positions queries, Positions keys, IReadOnlyList<int>? heads = null) =>
        new(name, [.. layers.Select(layer => new Edit(Site.AttnScores, layer, Operation.Set) { Positions = queries, Keys = keys, Heads = heads })]);

    /// <summary>
    /// Adds <paramref name="added"/> to the attention scores of edges from <paramref name="queries"/> to <paramref name="keys"/> in every layer of <paramref name="layers"/>: before
    /// the softmax is normalised, those keys weigh exp(added) times as much.
    /// </summary>
    public static Intervention AttentionBoost(string name, IEnumerable<int> layers, Positions queries, Positions keys, float added, IReadOnlyList<int>? heads = null) =>
        new(name, [.. layers.Select(layer => new Edit(Site.AttnScores, layer, Operation.Add) { Positions = queries, Keys = keys, Heads = heads, Factor = added })]);

    /// <summary>Multiplies one head's output: 0 blocks it, above 1 amplifies it, 1 changes nothing.</summary>
    public static Intervention HeadGain(int layer, int head, float gain, Positions? at = null) => HeadGain($"L{layer}H{head} x{gain}", [(layer, head)], gain, at);

    /// <summary>Multiplies the outputs of several heads by the same gain.</summary>
    public static Intervention HeadGain(string name, IEnumerable<(int Layer, int Head)> heads, float gain, Positions? at = null) =>
        new(name, [.. heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(g =>
            new Edit(Site.HeadOut, g.Key, Operation.Scale) { Heads = [.. g.Select(h => h.Head).Order()], Factor = gain, Positions = at ?? Positions.All })]);

    /// <summary>Adds <paramref name="vector"/> x <paramref name="strength"/> to the residual stream leaving a layer.</summary>
    public static Intervention Steer(int layer, float[] vector, float strength = 1f, Positions? at = null) =>
        new($"steer L{layer} x{strength}", new Edit(Site.ResidPost, layer, Operation.Add) { Vector = vector, Factor = strength, Positions = at ?? Positions.All });

    /// <summary>Replaces the values of a site by a vector recorded elsewhere.</summary>
    public static Intervention Patch(Site site, int layer, float[] vector, Positions at, IReadOnlyList<int>? heads = null) =>
        new($"patch {SiteNames.Of(site)} L{layer}", new Edit(site, layer, Operation.Set) { Vector = vector, Positions = at, Heads = heads });

    /// <summary>
    /// Refuses what cannot be done or would do nothing, before anything is computed: layers, heads, neurons and positions out of
    /// range, vectors of the wrong size, and query positions left without any key.
    /// </summary>
    /// <param name="shape">Sizes of the model.</param>
    /// <param name="length">Positions of the prompt.</param>
    /// <param name="generated">Positions that may be generated after it.</param>
    /// <exception cref="InputException">An edit cannot be done, or does nothing.</exception>
    public void Validate(DecoderShape shape, int length, int generated = 0)
    {
        ValidateFit(shape, length, generated);
        for (var i = 0; i < Edits.Count; i++)
        {
            if (Edits[i].Idle(length + generated) is { } why) throw Edits[i].Wrong(PlaceOf(i), why);
        }
    }

    /// <summary>Which edit a message is about; an intervention of one edit has its name alone.</summary>
    private string PlaceOf(int edit) => Edits.Count == 1 ? Name : $"{Name}: edits[{edit}]";

    /// <summary>As <see cref="Validate"/>, but edits that change nothing are let through: laws say that they change no bit.</summary>
    internal void ValidateFit(DecoderShape shape, int length, int generated = 0)
    {
        for (var i = 0; i < Edits.Count; i++) Edits[i].Validate(shape, length, generated, PlaceOf(i));
        if (Edits.Where(e => e.IsEdge).GroupBy(e => e.Layer).FirstOrDefault(g => g.Count() > MostEdges) is { } many)
            throw new InputException($"{Name}: expected at most {MostEdges} interchanges along edges in a layer, found {many.Count()} in layer {many.Key}");
        if (Edits.All(LeavesKeys)) return;
        foreach (var layer in Edits.Where(IsCut).GroupBy(e => e.Layer))
        {
            // Only queries that some edit names can lose all keys; the first position sees itself alone.
            for (var head = 0; head < shape.Heads; head++)
            {
                var cuts = layer.Where(e => e.Heads is null || e.Heads.Contains(head)).ToList();
                if (cuts.Count == 0) continue;
                for (var query = 0; query < length + generated; query++)
                {
                    var cutting = cuts.Where(e => e.Positions.Contains(query)).ToList();
                    if (cutting.Count == 0) continue;
                    if (cutting.Any(e => e.Keys.IsAll) || (cutting.Sum(e => e.Keys.List.Count) > query && Enumerable.Range(0, query + 1).All(k => cutting.Any(e => e.Keys.Contains(k)))))
                        throw new InputException($"{Name}: the cuts leave query position {query} without any key in layer {layer.Key}, head {head}; keep at least one");
                }
                if (layer.All(e => e.Heads is null)) break;
            }
        }
    }

    private static bool IsCut(Edit edit) => edit.Site == Site.AttnScores && edit.Operation == Operation.Set;

    /// <summary>Whether a cut and those beside it in its layer remove fewer keys than its first query has, so that every query keeps one however they fall.</summary>
    private bool LeavesKeys(Edit cut)
    {
        if (!IsCut(cut)) return true;
        var removed = 0;
        for (var i = 0; i < Edits.Count; i++)
        {
            var other = Edits[i];
            if (!IsCut(other) || other.Layer != cut.Layer) continue;
            if (other.Keys.IsAll) return false;
            removed += other.Keys.List.Count;
        }
        return removed <= cut.Positions.First;
    }
}
