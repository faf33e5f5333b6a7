namespace AnchorScope.Interventions;

/// <summary>The edits of one run, with a name. Without edits it changes nothing and is called the baseline.</summary>
/// <param name="Name">Name in results and messages.</param>
/// <param name="Edits">The edits. Those of the same site are applied in this order.</param>
public sealed record Intervention(string Name, params IReadOnlyList<Edit> Edits)
{
    /// <summary>Maximum number of edge edits per layer. The engine represents them as a bit mask of 64 bits.</summary>
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

    /// <summary>First position whose activations can differ. Earlier ones cannot, because attention is causal.</summary>
    public int FirstPosition => Edits.Count == 0 ? int.MaxValue : Edits.Min(e => e.Positions.First);

    /// <summary>Whether the attention of <see cref="FirstLayer"/> is unchanged, so that a variant may start after it.</summary>
    public bool StartsAfterAttention => Edits.Count > 0 && !ChangesAttention(FirstLayer);

    /// <summary>Whether an edit of <paramref name="layer"/> is before the head outputs.</summary>
    internal bool ChangesAttention(int layer) => Edits.Any(e => e.Layer == layer && e.Site.IsBefore(Site.HeadOut));

    /// <summary>
    /// Removes attention edges from <paramref name="queries"/> to <paramref name="keys"/> in every layer of <paramref name="layers"/>.
    /// </summary>
    /// <param name="heads">Query heads; null for all.</param>
    /// <exception cref="InputException"><paramref name="layers"/> is empty.</exception>
    public static Intervention Knockout(string name, IEnumerable<int> layers, Positions queries, Positions keys,
        IReadOnlyList<int>? heads = null) =>
        Of(name, "layer",
            [.. layers.Select(
                layer => new Edit(Site.AttnScores, layer, Operation.Set) { Positions = queries, Keys = keys, Heads = heads })]);

    /// <summary>
    /// Adds <paramref name="added"/> to the attention scores of edges from <paramref name="queries"/> to <paramref name="keys"/> in every
    /// layer of <paramref name="layers"/>. Before normalisation, the softmax weights of those keys are multiplied by exp(added).
    /// </summary>
    /// <param name="heads">Query heads; null for all.</param>
    /// <exception cref="InputException"><paramref name="layers"/> is empty.</exception>
    public static Intervention AttentionBoost(string name, IEnumerable<int> layers, Positions queries, Positions keys, float added,
        IReadOnlyList<int>? heads = null) =>
        Of(name, "layer",
            [.. layers.Select(
                layer => new Edit(Site.AttnScores, layer, Operation.Add)
                    { Positions = queries, Keys = keys, Heads = heads, Factor = added })]);

    /// <summary>Multiplies the output of one head: 0 blocks it, above 1 amplifies it, 1 changes nothing.</summary>
    /// <param name="at">Positions; null for all.</param>
    public static Intervention HeadGain(int layer, int head, float gain, Positions? at = null) =>
        HeadGain($"L{layer}H{head} x{gain}", [(layer, head)], gain, at);

    /// <summary>Multiplies the outputs of several heads by the same gain.</summary>
    /// <param name="at">Positions; null for all.</param>
    /// <exception cref="InputException"><paramref name="heads"/> is empty.</exception>
    public static Intervention HeadGain(string name, IEnumerable<(int Layer, int Head)> heads, float gain, Positions? at = null) =>
        Of(name, "head", [.. heads.GroupBy(h => h.Layer).OrderBy(g => g.Key).Select(g =>
            new Edit(Site.HeadOut, g.Key, Operation.Scale)
                { Heads = [.. g.Select(h => h.Head).Order()], Factor = gain, Positions = at ?? Positions.All })]);

    private static Intervention Of(string name, string what, IReadOnlyList<Edit> edits) =>
        edits.Count > 0
            ? new Intervention(name, edits)
            : throw new InputException($"{name}: expected at least one {what}, found none: the run would be the baseline");

    /// <summary>Adds <paramref name="vector"/> [d_model] x <paramref name="strength"/> to the residual stream after a layer.</summary>
    /// <param name="at">Positions; null for all.</param>
    public static Intervention Steer(int layer, float[] vector, float strength = 1f, Positions? at = null) =>
        new($"steer L{layer} x{strength}",
            new Edit(Site.ResidPost, layer, Operation.Add) { Vector = vector, Factor = strength, Positions = at ?? Positions.All });

    /// <summary>Replaces the values of a site by a vector recorded in another run (activation patching).</summary>
    /// <param name="vector">As wide as the site or, with <paramref name="heads"/>, as one head.</param>
    /// <param name="heads">Heads; null for the whole site.</param>
    public static Intervention Patch(Site site, int layer, float[] vector, Positions at, IReadOnlyList<int>? heads = null) =>
        new($"patch {SiteNames.Of(site)} L{layer}",
            new Edit(site, layer, Operation.Set) { Vector = vector, Positions = at, Heads = heads });

    /// <summary>
    /// Throws if an edit is impossible or has no effect: layers, heads, neurons and positions out of range, vectors of the wrong size, and
    /// query positions left without any key. It is called before anything is computed.
    /// </summary>
    /// <param name="shape">Sizes of the model.</param>
    /// <param name="length">Positions of the prompt.</param>
    /// <param name="generated">Positions that may be generated after it.</param>
    /// <exception cref="InputException">An edit is impossible or has no effect.</exception>
    public void Validate(DecoderShape shape, int length, int generated = 0)
    {
        ValidateFit(shape, length, generated);
        for (var i = 0; i < Edits.Count; i++)
        {
            if (Edits[i].Idle(length + generated) is { } why) throw Edits[i].Wrong(PlaceOf(i), why);
        }
    }

    /// <summary>The edit that a message is about. If there is only one edit, the name of the intervention.</summary>
    private string PlaceOf(int edit) => Edits.Count == 1 ? Name : $"{Name}: edits[{edit}]";

    /// <summary>Like <see cref="Validate"/>, but accepts edits without effect, because tests assert that they change no bit.</summary>
    internal void ValidateFit(DecoderShape shape, int length, int generated = 0)
    {
        for (var i = 0; i < Edits.Count; i++) Edits[i].Validate(shape, length, generated, PlaceOf(i));
        if (Edits.Where(e => e.IsEdge).GroupBy(e => e.Layer).FirstOrDefault(g => g.Count() > MostEdges) is { } many)
            throw new InputException(
                $"{Name}: expected at most {MostEdges} interchanges along edges in a layer, found {many.Count()} in layer {many.Key}");
        if (Edits.All(LeavesKeys)) return;
        foreach (var layer in Edits.Where(IsCut).GroupBy(e => e.Layer))
        {
            // Only queries of some edit can lose all keys. The first position attends only to itself.
            for (var head = 0; head < shape.Heads; head++)
            {
                var cuts = layer.Where(e => e.Heads is null || e.Heads.Contains(head)).ToList();
                if (cuts.Count == 0) continue;
                for (var query = 0; query < length + generated; query++)
                {
                    var cutting = cuts.Where(e => e.Positions.Contains(query)).ToList();
                    if (cutting.Count == 0) continue;
                    if (cutting.Any(e => e.Keys.IsAll)
                        || (cutting.Sum(e => e.Keys.List.Count) > query
                            && Enumerable.Range(0, query + 1).All(k => cutting.Any(e => e.Keys.Contains(k)))))
                        throw new InputException($"{Name}: the cuts leave query position {query} without any key in layer "
                            + $"{layer.Key}, head {head}; keep at least one");
                }
                if (layer.All(e => e.Heads is null)) break;
            }
        }
    }

    private static bool IsCut(Edit edit) => edit.Site == Site.AttnScores && edit.Operation == Operation.Set;

    /// <summary>
    /// Whether this cut and the others of its layer together remove fewer keys than its first query has. Then every query keeps a key,
    /// whatever the cuts are.
    /// </summary>
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
