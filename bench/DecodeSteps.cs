using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Bench;

/// <summary>A prefilled context, followed by decoding steps that each append one token.</summary>
internal sealed class DecodeSteps : IDisposable
{
    private readonly Arena _arena = new();
    private readonly VisionLanguageModel _model;
    private readonly Compute _compute;
    private readonly KeyValues _past;
    private readonly Coordinate[] _coordinates;

    /// <summary>
    /// Prefill: runs the context through every layer, keeps its keys and values, and computes the logits of its last position. Always uses
    /// the panel kernel because it has many rows.
    /// </summary>
    /// <param name="most">Maximum number of decoding steps.</param>
    public DecodeSteps(VisionLanguageModel model, int context, int most, Team team, KernelFamily family)
    {
        var shape = model.Decoder.Shape;
        (_model, _compute) = (model, new Compute(_arena, team, family));
        _past = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, 0, context + most);
        _coordinates = [.. Enumerable.Range(0, context + most).Select(Coordinate.At)];
        var mark = _arena.Here();
        var rows = _arena.Take(context, shape.ModelSize);
        model.Decoder.Embed([.. Enumerable.Range(300, context)], rows);
        var compute = _compute with { Family = KernelFamily.Panel };
        var resid = model.Decoder.Forward(
            new Pass(shape, [new RowBlock(rows, _coordinates.AsMemory(0, context), 0, Intervention.None) { Own = _past }], compute));
        model.Decoder.Unembed(resid.RowRange(context - 1, 1), compute);
        _arena.Release(mark);
    }

    /// <summary>The work of generating one token: embedding, all layers, logits.</summary>
    public void Step()
    {
        var mark = _arena.Here();
        var row = _arena.Take(1, _model.Decoder.Shape.ModelSize);
        _model.Decoder.Embed([1000], row);
        var run = new RowBlock(row, _coordinates.AsMemory(_past.Count, 1), _past.Count, Intervention.None) { Own = _past };
        _model.Decoder.Unembed(_model.Decoder.ForwardLast(new Pass(_model.Decoder.Shape, [run], _compute)), _compute);
        _arena.Release(mark);
    }

    public void Steps(int count)
    {
        for (var i = 0; i < count; i++) Step();
    }

    public void Dispose()
    {
        _past.Dispose();
        _arena.Dispose();
    }
}
