using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>
/// One prompt run without interventions (but those of <see cref="Prompt.Steering"/>) and recorded once: the residual stream entering each layer, the head outputs, and all keys and
/// values. A variant may start from it at the first layer and position that it can change.
/// </summary>
public sealed class Baseline : IDisposable
{
    private readonly DecoderShape _shape;
    private readonly Trace _start;

    private Baseline(Prompt prompt, Decoder decoder, int from)
    {
        (Prompt, From, _shape) = (prompt, from, decoder.Shape);
        KeyValues = new KeyValues(_shape.Layers, _shape.KeyHeads, _shape.HeadSize, 0, prompt.Length);
        _start = new Trace([Site.ResidPre, Site.HeadOut], Enumerable.Range(from, prompt.Length - from));
    }

    /// <summary>Bytes that a recorded run of <paramref name="length"/> positions keeps, those of keys and values included.</summary>
    public static long BytesOf(DecoderShape shape, int length, int from) => shape.Layers * (
        KeyValues.BytesOf(shape.KeyHeads, shape.HeadSize, length) + sizeof(float) * (long)(length - from) * (shape.ModelSize + shape.Width(Site.HeadOut)));

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
    public Tensor ResidPre(int layer, int position) => Rest(_start.Matrix(Site.ResidPre, layer, _shape.ModelSize), position);

    /// <summary>Head outputs of <paramref name="layer"/> from <paramref name="position"/> on [pos, head x d_head].</summary>
    public Tensor HeadOut(int layer, int position) => Rest(_start.Matrix(Site.HeadOut, layer, _shape.Width(Site.HeadOut)), position);

    /// <summary>Runs <paramref name="prompt"/> once and keeps what variants start from.</summary>
    /// <param name="sites">Further sites to record, at <paramref name="positions"/> (null: all).</param>
    /// <param name="from">First position at which a variant will start; nothing is kept of those before it but keys and values.</param>
    public static Baseline Record(Decoder decoder, Prompt prompt, Compute compute, IEnumerable<Site>? sites = null, IEnumerable<int>? positions = null, int from = 0)
    {
        var trace = sites is null ? null : new Trace(sites, positions);
        var baseline = new Baseline(prompt, decoder, from) { Trace = trace };
        prompt.Steering.Validate(decoder.Shape, prompt.Length);
        var mark = compute.Arena.Here();
        var (length, width) = (prompt.Length, decoder.Shape.ModelSize);
        var run = new Run(Tensor.From(compute.Arena, prompt.Embeddings, length, width), prompt.Coordinates, 0, prompt.Steering)
        {
            Own = baseline.KeyValues,
            Traces = trace is null ? [baseline._start] : [baseline._start, trace],
        };
        var resid = decoder.Forward(new Pass(decoder.Shape, [run], compute));
        baseline.LastLogits = decoder.Unembed(resid.RowRange(length - 1, 1), compute).ToArray();
        compute.Arena.Release(mark);
        return baseline;
    }

    private Tensor Rest(Tensor rows, int position) => position >= From
        ? rows.RowRange(position - From, rows.Rows - (position - From))
        : throw new ArgumentOutOfRangeException(nameof(position), position, $"the baseline was recorded from position {From} on");

    /// <inheritdoc/>
    public void Dispose() => KeyValues.Dispose();
}
