using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// One stretch of positions of one prompt under one intervention: a block of rows in a pass. It starts at a layer, with the
/// residual stream that enters there, and looks back at a frozen past that other runs may share.
/// </summary>
internal sealed class RowBlock
{
    /// <param name="entry">Residual stream [positions, d_model] entering <see cref="FirstLayer"/> at these positions.</param>
    /// <param name="coordinates">Rotary coordinate of each position.</param>
    /// <param name="start">Absolute position of the first row.</param>
    /// <param name="edits">What is changed.</param>
    public RowBlock(Tensor entry, ReadOnlyMemory<Coordinate> coordinates, int start, EditIndex edits)
        : this(entry, coordinates, start, edits.Intervention) => Edits = edits;

    /// <param name="intervention">What is changed; the pass checks that it can be done in the positions up to the last row.</param>
    public RowBlock(Tensor entry, ReadOnlyMemory<Coordinate> coordinates, int start, Intervention intervention)
    {
        if (entry.Rows != coordinates.Length)
            throw new ArgumentException($"{coordinates.Length} rotary coordinates for {entry.Rows} positions", nameof(coordinates));
        (Entry, Coordinates, Start, Intervention) = (entry, coordinates, start, intervention);
    }

    /// <summary>Residual stream entering <see cref="FirstLayer"/>.</summary>
    public Tensor Entry { get; }

    /// <summary>Rotary coordinates of the rows.</summary>
    public ReadOnlyMemory<Coordinate> Coordinates { get; }

    /// <summary>Absolute position of the first row.</summary>
    public int Start { get; }

    /// <summary>Number of rows.</summary>
    public int Count => Entry.Rows;

    /// <summary>What this run changes.</summary>
    public Intervention Intervention { get; }

    /// <summary>Layer at which the run joins the pass.</summary>
    public int FirstLayer { get; init; }

    /// <summary>
    /// A run of the same pass, of the same prompt and with the same edits below <see cref="FirstLayer"/>: this one leaves it there and takes over its residual stream
    /// instead of <see cref="Entry"/>.
    /// </summary>
    public RowBlock? Trunk { get; init; }

    /// <summary>
    /// Recorded head outputs [positions, head x d_head] of <see cref="FirstLayer"/>: the run joins behind that layer's attention, which
    /// its intervention leaves as it was. Null: it joins in front of the layer.
    /// </summary>
    public Tensor? HeadOutputs { get; init; }

    /// <summary>Frozen keys and values of the positions before <see cref="Own"/>, or null when the run starts at 0.</summary>
    public KeyValues? Past { get; init; }

    /// <summary>Where the run keeps its own keys and values; null: forgotten layer by layer.</summary>
    public KeyValues? Own { get; init; }

    /// <summary>What is recorded.</summary>
    public IReadOnlyList<Trace> Traces { get; init; } = [];

    /// <summary>What is recorded on the way back: at each site the derivatives by its values after edits, in rows as a trace has them.</summary>
    public IReadOnlyList<Trace> Derivatives { get; init; } = [];

    /// <summary>Its edits, checked and by layer; a pass makes them where they are not given.</summary>
    public EditIndex? Edits { get; set; }

    /// <summary>Index of the plan that it was made from.</summary>
    public int Index { get; set; }

    internal int FirstRow { get; set; }
}
