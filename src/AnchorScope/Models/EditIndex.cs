using AnchorScope.Interventions;

namespace AnchorScope.Models;

/// <summary>
/// The edits of one run, checked against the model and in the order of their layers, so that a site looks at those of its own layer alone.
/// It is made once for a run or a sequence, however many passes these go through.
/// </summary>
internal sealed class EditIndex
{
    private readonly Edit[] _edits;
    private readonly int[] _first;

    private EditIndex(Intervention intervention, DecoderShape shape)
    {
        Intervention = intervention;
        // OrderBy keeps the order of edits of one layer: they are applied one after the other.
        _edits = [.. intervention.Edits.OrderBy(e => e.Layer)];
        _first = _edits.Length == 0 ? [] : new int[shape.Layers + 1];
        for (int layer = 0, next = 0; layer < _first.Length; layer++)
        {
            _first[layer] = next;
            while (next < _edits.Length && _edits[next].Layer == layer) next++;
        }
    }

    /// <summary>No edits.</summary>
    public static EditIndex None { get; } = new(Intervention.None, new DecoderShape(0, 0, 0, 0, 0, 0));

    /// <summary>What the edits are of.</summary>
    public Intervention Intervention { get; }

    /// <summary>Checks an intervention and orders its edits.</summary>
    /// <param name="length">Positions of the prompt.</param>
    /// <param name="generated">Positions that may be generated after it.</param>
    /// <exception cref="InputException">An edit cannot be done.</exception>
    public static EditIndex Of(Intervention intervention, DecoderShape shape, int length, int generated = 0)
    {
        if (intervention.Edits.Count == 0) return None;
        intervention.ValidateFit(shape, length, generated);
        return new EditIndex(intervention, shape);
    }

    /// <summary>The edits of <paramref name="layer"/>, in their order.</summary>
    public ReadOnlySpan<Edit> At(int layer) => _first.Length == 0 ? [] : _edits.AsSpan(_first[layer].._first[layer + 1]);
}
