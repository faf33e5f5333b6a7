using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// One run in a pass: a range of positions of one prompt under one intervention, as a block of rows. It joins the pass at a layer, with the
/// residual stream before that layer, and attends to a frozen key/value prefix that other runs may share.
/// </summary>
internal sealed class RowBlock
{
    /// <param name="entry">Residual stream [positions, d_model] before <see cref="FirstLayer"/> at these positions.</param>
    /// <param name="coordinates">Rotary coordinate of each position.</param>
    /// <param name="start">Absolute position of the first row.</param>
    /// <param name="edits">The edits of the run.</param>
    public RowBlock(Tensor entry, ReadOnlyMemory<Coordinate> coordinates, int start, EditIndex edits)
        : this(entry, coordinates, start, edits.Intervention) => Edits = edits;

    /// <param name="intervention">The intervention; the pass validates it for the positions up to the last row.</param>
    public RowBlock(Tensor entry, ReadOnlyMemory<Coordinate> coordinates, int start, Intervention intervention)
    {
        if (entry.Rows != coordinates.Length)
            throw new ArgumentException($"{coordinates.Length} rotary coordinates for {entry.Rows} positions", nameof(coordinates));
        (Entry, Coordinates, Start, Intervention) = (entry, coordinates, start, intervention);
    }

    /// <summary>Residual stream before <see cref="FirstLayer"/>.</summary>
    public Tensor Entry { get; }

    /// <summary>Rotary coordinates of the rows.</summary>
    public ReadOnlyMemory<Coordinate> Coordinates { get; }

    /// <summary>Absolute position of the first row.</summary>
    public int Start { get; }

    /// <summary>Number of rows.</summary>
    public int Count => Entry.Rows;

    /// <summary>The intervention of this run.</summary>
    public Intervention Intervention { get; }

    /// <summary>Layer at which the run joins the pass.</summary>
    public int FirstLayer { get; init; }

    /// <summary>
    /// Another run of the same pass and prompt, with the same edits below <see cref="FirstLayer"/>. This run copies the trunk's residual
    /// stream at that layer instead of using <see cref="Entry"/>.
    /// </summary>
    public RowBlock? Trunk { get; init; }

    /// <summary>
    /// Recorded head outputs [positions, head x d_head] of <see cref="FirstLayer"/>. With them the run joins after that layer's attention,
    /// which its intervention does not change. Null: it joins before the layer.
    /// </summary>
    public Tensor? HeadOutputs { get; init; }

    /// <summary>Frozen keys and values of the positions before <see cref="Own"/>; null if the run starts at 0.</summary>
    public KeyValues? Past { get; init; }

    /// <summary>Storage for the run's own keys and values; null: each layer's are discarded after use.</summary>
    public KeyValues? Own { get; init; }

    /// <summary>Traces that record activations.</summary>
    public IReadOnlyList<Trace> Traces { get; init; } = [];

    /// <summary>
    /// Traces that record gradients in the backward pass: at each site, the gradient with respect to its values after edits, in the layout
    /// of an activation trace.
    /// </summary>
    public IReadOnlyList<Trace> Derivatives { get; init; } = [];

    /// <summary>The validated edits, grouped by layer; if null, the pass creates them.</summary>
    public EditIndex? Edits { get; set; }

    /// <summary>Index of the plan from which the run was made.</summary>
    public int Index { get; set; }

    internal int FirstRow { get; set; }
}
