using System.Runtime.InteropServices;

namespace AnchorScope.Interventions;

/// <summary>
/// One change to one site of one layer: which slice, and whether it is scaled, added to or set. An edit is data, so it can be hashed,
/// logged and used by the planner.
/// </summary>
public sealed record Edit(Site Site, int Layer, Operation Operation)
{
    /// <summary>
    /// The factor of <see cref="Operation.Scale"/>, or of the vector of <see cref="Operation.Add"/>. At <see cref="Site.AttnScores"/> it is
    /// the number added to q k^T / sqrt(d_head).
    /// </summary>
    public float Factor { get; init; } = 1f;

    /// <summary>
    /// The vector of Add and Set, as wide as the site. With heads or components it is as wide as one of them. It is copied, so that the
    /// edit stays what it is.
    /// </summary>
    public float[]? Vector
    {
        get;
        init => field = value is null ? null : [.. value];
    }

    /// <summary>
    /// Values of a donor run, instead of <see cref="Vector"/>: one row for each of <see cref="Positions"/> in order or, along an edge, for
    /// each of <see cref="Keys"/>. A row has one block for each named head. At <see cref="Site.AttnPattern"/> a block has the probability
    /// of every key of the prompt.
    /// </summary>
    public DonorRows? Rows { get; init; }

    /// <summary>
    /// Query heads; null for all. At <see cref="Site.KeyProj"/>, <see cref="Site.Key"/> and <see cref="Site.Value"/> they are key/value
    /// heads, but along an edge query heads.
    /// </summary>
    public IReadOnlyList<int>? Heads { get; init; }

    /// <summary>
    /// Neurons of <see cref="Site.NeuronOut"/>, or components of <see cref="Site.HeadOut"/> as head x d_head + component; null for all.
    /// </summary>
    public IReadOnlyList<int>? Components { get; init; }

    /// <summary>Positions that are changed. At <see cref="Site.AttnScores"/> and along an edge these are the queries.</summary>
    public Positions Positions { get; init; } = Positions.All;

    /// <summary>
    /// Key positions of <see cref="Site.AttnScores"/>. If given at <see cref="Site.Key"/> or <see cref="Site.Value"/>, the edit is an
    /// interchange along an edge (path patching): the queries at <see cref="Positions"/> attend to <see cref="Rows"/> at these key
    /// positions, while every other query attends to the run's own keys or values.
    /// </summary>
    public Positions Keys { get; init; } = Positions.All;

    /// <summary>Whether the edit replaces keys or values along an edge, that is for some queries only.</summary>
    public bool IsEdge => Site is Site.Key or Site.Value && !Keys.IsAll;

    /// <summary>
    /// Whether the edit changes what other positions attend to. At such a site it can have an effect even if its own position is not read.
    /// </summary>
    internal bool ReachesOthers => Site is Site.ResidPre or Site.KeyProj or Site.Key or Site.Value && !IsEdge;

    /// <summary>The edit of the gradient in the backward pass: Scale keeps its factor, Set makes the gradient zero.</summary>
    internal Edit Backward() =>
        this with { Operation = Operation.Scale, Factor = Operation == Operation.Scale ? Factor : 0f, Vector = null, Rows = null };

    /// <summary>Whether both change the same values in the same way.</summary>
    public bool Equals(Edit? other) =>
        other is not null && (Site, Layer, Operation) == (other.Site, other.Layer, other.Operation) && Positions.Equals(other.Positions)
            && Keys.Equals(other.Keys)
        && Same(Heads, other.Heads) && Same(Components, other.Components) && SameBits([Factor], [other.Factor])
            && (Vector is null) == (other.Vector is null) && SameBits(Vector, other.Vector) && Equals(Rows, other.Rows);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(HashCode.Combine(Site, Layer, Operation, Rows), Factor, Positions, Keys,
        Heads?.Count, Heads is { Count: > 0 } ? Heads[0] : Components is { Count: > 0 } ? Components[0] : -1);

    /// <summary>As a line: <c>layer 3, z of heads 1, 5 at positions 12-14: x0</c>.</summary>
    public override string ToString()
    {
        string Named(string one, IReadOnlyList<int>? parts) =>
            parts is null ? "" : $" of {one}{(parts.Count == 1 ? "" : "s")} {string.Join(", ", parts)}";
        var keys = Site == Site.AttnScores || IsEdge ? $", keys {Keys}" : "";
        var vector = Rows is not null ? "donor rows" : "a vector";
        var change = (Site, Operation) switch
        {
            (Site.AttnScores, Operation.Set) => "cut",
            (Site.AttnScores, _) => FormattableString.Invariant($"{Factor:+0.###;-0.###}"),
            (_, Operation.Scale) => FormattableString.Invariant($"x{Factor}"),
            (_, Operation.Add) => FormattableString.Invariant($"+ {Factor} x {vector}"),
            _ => $"set to {vector}",
        };
        return $"layer {Layer}, "
            + $"{SiteNames.Of(Site)}{Named("head", Heads)}{Named(Site == Site.NeuronOut ? "neuron" : "component", Components)} at "
            + $"positions {Positions}{keys}: {change}";
    }

    private static bool Same(IReadOnlyList<int>? a, IReadOnlyList<int>? b) =>
        ReferenceEquals(a, b) || (a is not null && b is not null && a.SequenceEqual(b));

    // 0 and -0 are equal numbers, but different edits.
    private static bool SameBits(ReadOnlySpan<float> a, ReadOnlySpan<float> b) =>
        MemoryMarshal.AsBytes(a).SequenceEqual(MemoryMarshal.AsBytes(b));

    /// <summary>Throws if the edit does not fit the model or the prompt.</summary>
    /// <param name="length">Positions of the prompt.</param>
    /// <param name="generated">Positions that may be generated after it.</param>
    internal void Validate(DecoderShape shape, int length, int generated, string name)
    {
        if (!Enum.IsDefined(Site)) throw new InputException($"{name}: site: expected one of {nameof(Interventions.Site)}, found {Site}");
        if (!Enum.IsDefined(Operation))
            throw new InputException($"{name}: operation: expected one of {nameof(Interventions.Operation)}, found {Operation}");
        Check("layer", Layer, shape.Layers, name);
        if (Site == Site.AttnPattern && (Operation != Operation.Set || Rows is null))
            throw Wrong(name, "attention probabilities can only be replaced by those of a donor run: cut edges at attn_scores instead");
        if (Site == Site.AttnScores && Operation == Operation.Scale)
            throw Wrong(name, "attention scores can be cut (set to minus infinity) or added to, not scaled");
        if (Site == Site.AttnScores && Operation == Operation.Add && Keys.IsAll)
            throw Wrong(name, "keys: expected a list; the same number added to every key changes nothing");
        if (float.IsNaN(Factor) || float.IsInfinity(Factor)) throw Wrong(name, $"factor must be a finite number, not {Factor}");
        var heads = Site is Site.KeyProj or Site.Key or Site.Value && !IsEdge ? shape.KeyHeads : shape.Heads;
        if (Heads is not null)
        {
            if (Site is Site.ResidPre or Site.AttnOut or Site.ResidMid or Site.NeuronOut or Site.MlpOut or Site.ResidPost)
                throw Wrong(name, "this site has no heads");
            if (Heads.Count == 0) throw Wrong(name, "an edit without heads does nothing");
            foreach (var head in Heads) Check("head", head, heads, name);
            Once("head", Heads, name);
        }
        if (Components is not null)
        {
            if (Site is not (Site.NeuronOut or Site.HeadOut)) throw Wrong(name, "only neuron_out has neurons, and only z has components");
            if (Heads is not null) throw Wrong(name, "expected heads or their components, found both");
            if (Components.Count == 0)
                throw Wrong(name, Site == Site.HeadOut ? "expected at least one component" : "expected at least one neuron");
            foreach (var neuron in Components) Check(Site == Site.HeadOut ? "component" : "neuron", neuron, shape.Width(Site), name);
            Once(Site == Site.HeadOut ? "component" : "neuron", Components, name);
        }
        foreach (var (what, positions) in new[] { ("position", Positions), ("key", Keys) })
        {
            if (!positions.IsAll) Check(what, positions.Last, length + (Site == Site.AttnPattern ? 0 : generated), name);
        }
        if (!Keys.IsAll && Site is not (Site.AttnScores or Site.Key or Site.Value))
            throw Wrong(name, "only attn_scores, and k and v along an edge, have keys");
        if (Vector is not null && (Operation == Operation.Scale || Site == Site.AttnScores))
            throw Wrong(name, "expected a factor alone, found a vector");
        if (Operation == Operation.Set && Factor != 1)
            throw Wrong(name, $"what is set replaces the values; expected no factor, found {Factor}");
        if (IsEdge && Rows is null) throw Wrong(name, "along an edge keys and values can only be replaced by those of a donor run");
        if (Rows is not null) ValidateRows(Rows, shape, length, name);
        else if (Operation is Operation.Add or Operation.Set && Site != Site.AttnScores)
        {
            var width = Components?.Count ?? (Heads is null ? shape.Width(Site) : shape.HeadSize);
            if (Vector is null) throw Wrong(name, $"{Operation.ToString().ToLowerInvariant()} needs a vector of {width} values");
            if (Vector.Length != width) throw Wrong(name, $"vector: expected {width} values, found {Vector.Length}");
            if (Vector.Any(v => !float.IsFinite(v))) throw Wrong(name, "vector: expected finite values");
        }
        if ((Site == Site.AttnScores || IsEdge) && !Positions.IsAll && !Keys.IsAll && Keys.First > Positions.Last)
            throw Wrong(name, $"all keys {Keys} come after the queries {Positions}: attention never looks ahead, so the edit does nothing");
    }

    /// <summary>Why the edit has no effect, or null if it has one.</summary>
    /// <param name="length">Positions of the prompt and of what may be generated.</param>
    internal string? Idle(int length)
    {
        static bool AreZeros(ReadOnlySpan<float> values) => !values.ContainsAnyExcept(0f);
        if (Operation == Operation.Scale && Factor == 1) return "times 1 changes nothing";
        if (Operation != Operation.Add) return null;
        if (Factor == 0) return Site == Site.AttnScores ? "adding 0 changes nothing" : "adding 0 times a vector changes nothing";
        if (Site == Site.AttnScores)
        {
            // Softmax is invariant to a constant added to every key that a query attends to.
            var last = Positions.IsAll ? length - 1 : Positions.Last;
            return Keys.List.Count > last && Enumerable.Range(0, last + 1).All(Keys.Contains)
                ? "the same number added to every key changes nothing" : null;
        }
        var isZero = Vector is not null
            ? AreZeros(Vector) : Rows is { } rows && Enumerable.Range(0, rows.Count).All(i => AreZeros(rows[i]));
        return isZero ? "adding zeros changes nothing" : null;
    }

    private void Once(string what, IReadOnlyList<int> list, string name)
    {
        if (list.Distinct().Count() < list.Count)
            throw Wrong(name, $"{what}: expected each once, found {list.GroupBy(i => i).First(g => g.Count() > 1).Key} twice");
    }

    private void ValidateRows(DonorRows rows, DecoderShape shape, int length, string name)
    {
        if (Operation == Operation.Scale || Site == Site.AttnScores) throw Wrong(name, "only add and set take the values of a donor run");
        if (Vector is not null) throw Wrong(name, "expected a vector or rows of a donor run, found both");
        if (IsEdge && Operation != Operation.Set) throw Wrong(name, "along an edge keys and values can only be replaced");
        var (positions, what) = IsEdge ? (Keys, "keys") : (Positions, "positions");
        if (positions.IsAll) throw Wrong(name, $"{what}: expected a list, since a donor run has a row for each");
        if (rows.Count != positions.List.Count)
            throw Wrong(name, $"rows: expected {positions.List.Count}, one for each of {what} {positions}, found {rows.Count}");
        var width = IsEdge ? shape.Width(Site)
            : Site == Site.AttnPattern ? (Heads?.Count ?? shape.Heads) * length
            : Components?.Count ?? (Heads is null ? shape.Width(Site) : Heads.Count * shape.HeadSize);
        if (rows.Width != width) throw Wrong(name, $"rows: expected rows of {width} values, found {rows.Width}");
        if (Site == Site.AttnPattern) ValidatePattern(rows, length, name);
    }

    private void ValidatePattern(DonorRows rows, int length, string name)
    {
        for (var i = 0; i < rows.Count; i++)
        {
            for (var block = 0; block < rows.Width; block += length)
            {
                var ahead = rows[i].Slice(block, length)[(Positions.List[i] + 1)..];
                if (ahead.ContainsAnyExcept(0f))
                    throw Wrong(name, $"donor: expected no probability after position {Positions.List[i]}, found some at key "
                        + $"{Positions.List[i] + 1 + ahead.IndexOfAnyExcept(0f)}: attention never looks ahead");
            }
        }
    }

    private void Check(string what, int value, int count, string name)
    {
        var owner = what is "position" or "key" ? "prompt" : "model";
        if (value < 0 || value >= count) throw Wrong(name, $"{what}: expected one that the {owner} has, 0 to {count - 1}, found {value}");
    }

    internal InputException Wrong(string name, string why) => new($"{name}: edit at layer {Layer}, {SiteNames.Of(Site)}: {why}");
}

/// <summary>Sizes of a decoder.</summary>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Heads">Query heads per layer.</param>
/// <param name="KeyHeads">Key/value heads per layer.</param>
/// <param name="HeadSize">Width of a head (d_head).</param>
/// <param name="ModelSize">Width of the residual stream (d_model).</param>
/// <param name="MlpSize">Neurons per layer (d_mlp).</param>
public sealed record DecoderShape(int Layers, int Heads, int KeyHeads, int HeadSize, int ModelSize, int MlpSize)
{
    /// <summary>Throws if the model does not have a head.</summary>
    /// <param name="file">Path, for the message.</param>
    /// <param name="place">Prefix of "layer" and "head" in the message.</param>
    /// <exception cref="InputException">There is no such layer, or no such head in it.</exception>
    public void Check(int layer, int head, string file, string place = "")
    {
        if (layer < 0 || layer >= Layers)
            throw InputException.At(file, place + "layer", $"one that the model has, 0 to {Layers - 1}", $"{layer}");
        if (head < 0 || head >= Heads)
            throw InputException.At(file, place + "head", $"one that the model has, 0 to {Heads - 1}", $"{head}");
    }

    /// <summary>Number of columns of <paramref name="site"/>.</summary>
    public int Width(Site site) => site switch
    {
        Site.QueryProj or Site.Query or Site.HeadOut => Heads * HeadSize,
        Site.KeyProj or Site.Key or Site.Value => KeyHeads * HeadSize,
        Site.NeuronOut => MlpSize,
        Site.AttnScores or Site.AttnPattern => throw new ArgumentOutOfRangeException(nameof(site), site, "has no fixed width"),
        Site.ResidPre or Site.AttnOut or Site.ResidMid or Site.MlpOut or Site.ResidPost => ModelSize,
        _ => throw new ArgumentOutOfRangeException(nameof(site), site, "this site has no known width"),
    };
}

/// <summary>Names of sites in JSON.</summary>
public static class SiteNames
{
    /// <summary>snake_case name of a site.</summary>
    public static string Of(Site site) => site switch
    {
        Site.ResidPre => "resid_pre",
        Site.QueryProj => "q_proj",
        Site.Query => "q",
        Site.KeyProj => "k_proj",
        Site.Key => "k",
        Site.Value => "v",
        Site.AttnScores => "attn_scores",
        Site.AttnPattern => "attn",
        Site.HeadOut => "z",
        Site.AttnOut => "attn_out",
        Site.ResidMid => "resid_mid",
        Site.NeuronOut => "neuron_out",
        Site.MlpOut => "mlp_out",
        Site.ResidPost => "resid_post",
        _ => throw new ArgumentOutOfRangeException(nameof(site), site, "this site has no name"),
    };

    /// <summary>All names, in the order of computation.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Enum.GetValues<Site>().OrderBy(SiteOrder.Of).Select(Of)];

    /// <summary>The site with this name, or null.</summary>
    public static Site? Parse(string name) => Enum.GetValues<Site>().Where(s => Of(s) == name).Select(s => (Site?)s).FirstOrDefault();
}
