using AnchorScope.Interventions;

namespace AnchorScope.Models;

/// <summary>
/// The edits of one run, validated against the model and grouped by layer, so that a hook reads only the edits of its own layer. It is
/// built once per run or sequence, whatever the number of passes.
/// </summary>
internal sealed class EditIndex
{
    private readonly Edit[] _edits;
    private readonly int[] _first;

    private EditIndex(Intervention intervention, DecoderShape shape)
    {
        Intervention = intervention;
        // OrderBy is stable: edits of the same layer stay in their given order, in which they are applied.
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

    /// <summary>The intervention that the edits belong to.</summary>
    public Intervention Intervention { get; }

    /// <summary>Validates an intervention and groups its edits by layer.</summary>
    /// <param name="length">Positions of the prompt.</param>
    /// <param name="generated">Positions that may be generated after it.</param>
    /// <exception cref="InputException">An edit does not fit the model or the prompt.</exception>
    public static EditIndex Of(Intervention intervention, DecoderShape shape, int length, int generated = 0)
    {
        if (intervention.Edits.Count == 0) return None;
        intervention.ValidateFit(shape, length, generated);
        return new EditIndex(intervention, shape);
    }

    /// <summary>The edits of <paramref name="layer"/>, in the order in which they are applied.</summary>
    public ReadOnlySpan<Edit> At(int layer) => _first.Length == 0 ? [] : _edits.AsSpan(_first[layer].._first[layer + 1]);
}
