using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>
/// One prompt run without interventions and recorded once: the residual stream entering each layer, the head outputs, and all keys and
/// values. A variant may start from it at the first layer and position that it can change.
/// </summary>
public sealed class Baseline : IDisposable
{
    private readonly Arena _arena = new();
    private readonly Tensor[] _residPre;
    private readonly Tensor[] _headOut;

    private Baseline(Prompt prompt, Decoder decoder, int from)
    {
        (Prompt, From) = (prompt, from);
        KeyValues = new KeyValues(decoder.Shape.Layers, decoder.Shape.KeyHeads, decoder.Shape.HeadSize, 0, prompt.Length);
        (_residPre, _headOut) = (new Tensor[decoder.Shape.Layers], new Tensor[decoder.Shape.Layers]);
    }

    /// <summary>The prompt.</summary>
    public Prompt Prompt { get; }

    /// <summary>First position at which a variant may start.</summary>
    public int From { get; }

    /// <summary>Keys and values of all positions in all layers.</summary>
    public KeyValues KeyValues { get; }

    /// <summary>What was recorded besides, where asked for.</summary>
    public Trace? Trace { get; private init; }

    /// <summary>Logits at the last position [vocabulary].</summary>
    public float[] LastLogits { get; private set; } = [];

    /// <summary>Residual stream entering <paramref name="layer"/> from <paramref name="position"/> on [pos, d_model].</summary>
    public Tensor ResidPre(int layer, int position) => Rest(_residPre[layer], position);

    /// <summary>Head outputs of <paramref name="layer"/> from <paramref name="position"/> on [pos, head x d_head].</summary>
    public Tensor HeadOut(int layer, int position) => Rest(_headOut[layer], position);

    /// <summary>Runs <paramref name="prompt"/> once and keeps what variants start from.</summary>
    /// <param name="sites">Further sites to record, at <paramref name="positions"/> (null: all).</param>
    /// <param name="from">First position at which a variant will start; nothing is kept of those before it but keys and values.</param>
    public static Baseline Record(Decoder decoder, Prompt prompt, Compute compute, IEnumerable<Site>? sites = null, IEnumerable<int>? positions = null, int from = 0)
    {
        var start = new Trace([Site.ResidPre, Site.HeadOut], Enumerable.Range(from, prompt.Length - from));
        var trace = sites is null ? null : new Trace(sites, positions);
        var baseline = new Baseline(prompt, decoder, from) { Trace = trace };
        var mark = compute.Arena.Here();
        var (length, width) = (prompt.Length, decoder.Shape.ModelSize);
        var run = new Run(Tensor.From(compute.Arena, prompt.Embeddings, length, width), prompt.Coordinates, 0, Intervention.None)
        {
            Own = baseline.KeyValues,
            Traces = trace is null ? [start] : [start, trace],
        };
        var resid = decoder.Forward(new Pass(decoder.Shape, [run], compute));
        baseline.LastLogits = decoder.Unembed(resid.RowRange(length - 1, 1), compute).ToArray();
        for (var layer = 0; layer < decoder.Shape.Layers; layer++)
        {
            baseline._residPre[layer] = Tensor.From(baseline._arena, start[Site.ResidPre, layer], length - from, width);
            baseline._headOut[layer] = Tensor.From(baseline._arena, start[Site.HeadOut, layer], length - from, decoder.Shape.Width(Site.HeadOut));
        }
        compute.Arena.Release(mark);
        return baseline;
    }

    private Tensor Rest(Tensor rows, int position) => position >= From
        ? rows.RowRange(position - From, rows.Rows - (position - From))
        : throw new ArgumentOutOfRangeException(nameof(position), position, $"the baseline was recorded from position {From} on");

    /// <inheritdoc/>
    public void Dispose()
    {
        KeyValues.Dispose();
        _arena.Dispose();
    }
}
