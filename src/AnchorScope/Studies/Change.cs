using System.Runtime.CompilerServices;
using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Studies;

/// <summary>
/// One or more variants of a sweep that give the same result: they differ at most in their names or in edits that cannot affect the
/// readouts.
/// </summary>
/// <param name="variants">Indices of the variants.</param>
/// <param name="intervention">The edits that can affect the readouts.</param>
/// <param name="corner">The part of the computation that they change.</param>
internal sealed class Change(Prompt prompt, List<int> variants, Intervention intervention, Corner corner)
{
    // Sorted by layer, so that edits shared by two changes form a common prefix.
    private readonly Edit[] _edits = [.. intervention.Edits.OrderBy(e => e.Layer)];

    /// <summary>Indices of the variants.</summary>
    public List<int> Variants => variants;

    /// <summary>The edits that can affect the readouts.</summary>
    public Intervention Intervention => intervention;

    /// <summary>The part that is computed; with a <see cref="Trunk"/>, from the layer where it leaves the trunk.</summary>
    public Corner Corner { get; private set; } = corner;

    /// <summary>
    /// A change in the same pass with the same edits below the corner's layer. The residual stream at that layer is copied from it.
    /// </summary>
    public Change? Trunk { get; private set; }

    /// <summary>
    /// The changes of <paramref name="interventions"/>, each on the prompt of its index, in the order in which they join a pass.
    /// </summary>
    public static List<Change> Of(DecoderShape shape, IEnumerable<Intervention> interventions, Func<int, Prompt> promptOf,
        IReadOnlyList<Readout> readouts)
    {
        var changes = new Dictionary<(Prompt, Intervention), Change>(new SameEdits());
        foreach (var (index, one) in interventions.Index())
        {
            var of = promptOf(index);
            var reaching = Corner.Reaching(one, shape, of, readouts);
            if (changes.TryGetValue((of, reaching), out var change)) change.Variants.Add(index);
            else changes.Add((of, reaching), new Change(of, [index], reaching, Corner.Of(reaching, shape, of, readouts)));
        }
        return [.. changes.Values.OrderBy(c => c.Corner.Layer).ThenBy(c => c.Corner.AfterAttention)];
    }

    /// <summary>
    /// Shares the computation of changes with the same first edits, such as knockout windows that start at one layer: all but one of them
    /// leave a trunk where their edits begin to differ.
    /// </summary>
    /// <param name="changes">In the order in which they join a pass. The corner of a change that leaves a trunk moves to a higher
    /// layer.</param>
    /// <param name="last">First layer of a readout: from there on every change needs its own rows.</param>
    /// <param name="rowsPerPass">Maximum number of rows of changes that must be in one pass.</param>
    /// <returns>Groups of changes that must be in one pass, each in the order in which they join.</returns>
    public static List<List<Change>> GroupByTrunk(IReadOnlyList<Change> changes, int last, int rowsPerPass)
    {
        var (trunks, groups) = (new Dictionary<Beginning, List<Change>>(), new List<List<Change>>());
        foreach (var change in changes)
        {
            var (group, position) = ((List<Change>?)null, change.Corner.Position);
            for (var layer = last; layer > change.Corner.Layer && group is null && change.Corner.Rows > 0; layer--)
            {
                if (!trunks.TryGetValue(change.BeginningBelow(layer), out var found)
                    || found.Sum(c => c.Corner.Rows) + change.Corner.Rows > rowsPerPass)
                    continue;
                var trunk = found.Find(
                    c => c.Corner.Layer < layer && c.Corner.Position <= position
                        && c.BeginningBelow(layer).Equals(change.BeginningBelow(layer)));
                if (trunk is null) continue;
                (group, change.Trunk, change.Corner) = (found, trunk, change.Corner with { Layer = layer, AfterAttention = false });
            }
            if (group is null) groups.Add(group = []);
            group.Add(change);
            for (var layer = change.Corner.Layer + 1; layer <= last; layer++) trunks.TryAdd(change.BeginningBelow(layer), group);
        }
        return groups.ConvertAll(group => group.OrderBy(c => c.Corner.Layer).ThenBy(c => c.Corner.AfterAttention).ToList());
    }

    private Beginning BeginningBelow(int layer)
    {
        var count = 0;
        while (count < _edits.Length && _edits[count].Layer < layer) count++;
        return new Beginning(prompt, layer, _edits, count);
    }

    /// <summary>The edits of a change below a layer.</summary>
    private readonly struct Beginning(Prompt prompt, int layer, Edit[] edits, int count) : IEquatable<Beginning>
    {
        private readonly Prompt _prompt = prompt;
        private readonly int _layer = layer;
        private readonly Edit[] _edits = edits;
        private readonly int _count = count;

        public bool Equals(Beginning other) =>
            ReferenceEquals(_prompt, other._prompt) && _layer == other._layer
                && _edits.AsSpan(0, _count).SequenceEqual(other._edits.AsSpan(0, other._count));

        public override bool Equals(object? obj) => obj is Beginning other && Equals(other);

        public override int GetHashCode()
        {
            var hash = HashCode.Combine(RuntimeHelpers.GetHashCode(_prompt), _layer);
            foreach (var edit in _edits.AsSpan(0, _count)) hash = HashCode.Combine(hash, edit);
            return hash;
        }
    }

    private sealed class SameEdits : IEqualityComparer<(Prompt Prompt, Intervention Intervention)>
    {
        public bool Equals((Prompt Prompt, Intervention Intervention) x, (Prompt Prompt, Intervention Intervention) y) =>
            ReferenceEquals(x.Prompt, y.Prompt) && x.Intervention.Edits.SequenceEqual(y.Intervention.Edits);

        public int GetHashCode((Prompt Prompt, Intervention Intervention) change) =>
            change.Intervention.Edits.Aggregate(RuntimeHelpers.GetHashCode(change.Prompt), HashCode.Combine);
    }
}
