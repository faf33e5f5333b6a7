using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>
/// One prompt run without interventions and recorded once: the residual stream entering each layer, and all keys and values.
/// A variant may start from it at the first layer and position that it can change.
/// </summary>
public sealed class Baseline : IDisposable
{
    private readonly Arena _arena = new();
    private readonly Tensor[] _residPre;

    private Baseline(Prompt prompt, Decoder decoder)
    {
        Prompt = prompt;
        KeyValues = new KeyValues(decoder.Shape.Layers, decoder.Shape.KeyHeads, decoder.Shape.HeadSize, 0, prompt.Length);
        _residPre = new Tensor[decoder.Shape.Layers];
    }

    /// <summary>The prompt.</summary>
    public Prompt Prompt { get; }

    /// <summary>Keys and values of all positions in all layers.</summary>
    public KeyValues KeyValues { get; }

    /// <summary>What was recorded besides, where asked for.</summary>
    public Trace? Trace { get; private init; }

    /// <summary>Logits at the last position [vocabulary].</summary>
    public float[] LastLogits { get; private set; } = [];

    /// <summary>Residual stream entering <paramref name="layer"/> [pos, d_model].</summary>
    public Tensor ResidPre(int layer) => _residPre[layer];

    /// <summary>Runs <paramref name="prompt"/> once and keeps what variants start from.</summary>
    /// <param name="sites">Further sites to record, at <paramref name="positions"/> (null: all).</param>
    public static Baseline Record(Decoder decoder, Prompt prompt, Compute compute, IEnumerable<Site>? sites = null, IEnumerable<int>? positions = null)
    {
        var everywhere = new Trace([Site.ResidPre]);
        var trace = sites is null ? null : new Trace(sites, positions);
        var baseline = new Baseline(prompt, decoder) { Trace = trace };
        var mark = compute.Arena.Here();
        var (length, width) = (prompt.Length, decoder.Shape.ModelSize);
        var run = new Run(Tensor.From(compute.Arena, prompt.Embeddings, length, width), prompt.Coordinates, 0, Intervention.None)
        {
            Own = baseline.KeyValues,
            Traces = trace is null ? [everywhere] : [everywhere, trace],
        };
        var resid = decoder.Forward(new Pass(decoder.Shape, [run], compute));
        baseline.LastLogits = decoder.Unembed(resid.RowRange(length - 1, 1), compute).ToArray();
        for (var layer = 0; layer < decoder.Shape.Layers; layer++)
            baseline._residPre[layer] = Tensor.From(baseline._arena, everywhere[Site.ResidPre, layer], length, width);
        compute.Arena.Release(mark);
        return baseline;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        KeyValues.Dispose();
        _arena.Dispose();
    }
}
