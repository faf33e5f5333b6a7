using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>
/// A decoder-only language model: embeddings, layers, final norm and head. It holds only weights; all other state is passed to each method.
/// </summary>
internal sealed class Decoder(DecoderShape shape, Weight embedding, Rope rope, IReadOnlyList<DecoderLayer> layers,
    Norm finalNorm, Linear head)
{
    /// <summary>Sizes of the decoder.</summary>
    public DecoderShape Shape { get; } = shape;

    /// <summary>Number of tokens in the vocabulary.</summary>
    public int VocabularySize => head.Outputs;

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<DecoderLayer> Layers => layers;

    /// <summary>Rotary angles by coordinate.</summary>
    public Rope Rope => rope;

    /// <summary>
    /// Maximum number of positions: max_position_embeddings, or fewer if the rotary angles are valid for fewer; null if the configuration
    /// has neither. The positions of a prompt are its highest rotary coordinate plus one (<see cref="Prompt.RotaryLength"/>).
    /// </summary>
    public int? MaximumPositions { get; init; }

    /// <summary>A one-line message with both numbers if the prompt is longer than <see cref="MaximumPositions"/>; null otherwise.</summary>
    /// <param name="generated">Generated tokens after the prompt that are fed back.</param>
    public string? TooLong(Prompt prompt, int generated = 0) => TooLong(prompt.RotaryLength, generated);

    /// <summary>The same for a prompt of <paramref name="positions"/> positions.</summary>
    internal string? TooLong(int positions, int generated = 0) => positions + generated > MaximumPositions
        ? $"the prompt has {positions} positions{(generated > 0 ? $" and {generated} generated tokens come after it" : "")}; "
            + $"the model was made for {MaximumPositions} ({(rope.Limit == MaximumPositions ? rope.LimitName : "max_position_embeddings")})"
        : null;

    /// <summary>Copies the embeddings of <paramref name="tokens"/> into <paramref name="rows"/> [tokens, d_model].</summary>
    public void Embed(ReadOnlySpan<int> tokens, Tensor rows)
    {
        for (var i = 0; i < tokens.Length; i++) Embed(tokens[i], i, rows[i]);
    }

    /// <summary>Copies the embeddings of <paramref name="tokens"/> into <paramref name="rows"/> [token, d_model].</summary>
    internal void Embed(ReadOnlySpan<int> tokens, Span<float> rows)
    {
        for (var i = 0; i < tokens.Length; i++) Embed(tokens[i], i, rows.Slice(i * Shape.ModelSize, Shape.ModelSize));
    }

    private void Embed(int token, int position, Span<float> row)
    {
        if (token < 0 || token >= embedding.Shape[0])
            throw new InputException($"token {token} at position {position} is outside the vocabulary of {embedding.Shape[0]}");
        embedding.Widen((long)token * Shape.ModelSize, row);
    }

    /// <summary>Runs the blocks of <paramref name="pass"/> through the layers. Each block joins at its first layer.</summary>
    /// <returns>Residual stream after the last layer (or after layer <paramref name="endLayer"/> - 1) [row, d_model], in the order of the
    /// pass's rows.</returns>
    internal Tensor Forward(Pass pass, int? endLayer = null)
    {
        var resid = Through(pass, endLayer ?? layers.Count);
        foreach (var run in pass.RunsAt(layers.Count)) run.Own?.Advance(run.Count);
        return resid;
    }

    /// <summary>
    /// Like <see cref="Forward"/>, but returns only the last row of every run. In the last layer, only keys and values are computed for the
    /// other rows, except for those of runs that are recorded.
    /// </summary>
    /// <returns>Residual stream after the last layer (or after layer <paramref name="endLayer"/> - 1) [run, d_model], in the order of the
    /// pass's runs.</returns>
    internal Tensor ForwardLast(Pass pass, int? endLayer = null)
    {
        if (pass.Rows == pass.Runs.Count) return Forward(pass, endLayer);
        var (arena, last) = (pass.Compute.Arena, (endLayer ?? layers.Count) - 1);
        var resid = Through(pass, last);
        Enter(pass, last, resid);
        var (earlier, final) = (new List<RowBlock>(), new List<RowBlock>());
        foreach (var run in pass.RunsAt(last))
        {
            var (rows, before) = (resid.RowRange(run.FirstRow, run.Count), run.Traces.Count > 0 ? 0 : run.Count - 1);
            var headOutputs = run.FirstLayer == last ? run.HeadOutputs : null;
            var own = run.Own
                ?? (headOutputs is null ? KeyValues.ForOneLayer(arena, Shape.KeyHeads, Shape.HeadSize, run.Start, run.Count) : null);
            if (headOutputs is null && before > 0)
                earlier.Add(new RowBlock(rows.RowRange(0, before), run.Coordinates[..before], run.Start,
                    run.Edits!) { FirstLayer = last, Past = run.Past, Own = own });
            final.Add(new RowBlock(rows.RowRange(before, run.Count - before), run.Coordinates[before..], run.Start + before, run.Edits!)
            {
                FirstLayer = last,
                Past = run.Past,
                Own = own,
                HeadOutputs = headOutputs?.RowRange(before, run.Count - before),
                Traces = run.Traces,
            });
        }
        if (earlier.Count > 0) KeepEarlier(new Pass(Shape, earlier, pass.Compute), last);
        for (var i = 0; i < final.Count; i++) final[i].Own?.Advance(pass.Runs[i].Count - final[i].Count);
        // Still in order: runs that join before attention, then runs that join after it.
        return LastRows(Forward(new Pass(Shape, final, pass.Compute), last + 1), final, arena);
    }

    private static Tensor LastRows(Tensor resid, List<RowBlock> runs, Arena arena)
    {
        if (resid.Rows == runs.Count) return resid;
        var rows = arena.Take(runs.Count, resid.Columns);
        for (var i = 0; i < runs.Count; i++) resid[runs[i].FirstRow + runs[i].Count - 1].CopyTo(rows[i]);
        return rows;
    }

    private void KeepEarlier(Pass pass, int layer)
    {
        var arena = pass.Compute.Arena;
        var mark = arena.Here();
        var rows = arena.Take(pass.Rows, Shape.ModelSize);
        Enter(pass, layer, rows);
        layers[layer].Keep(rows, rope, pass);
        arena.Release(mark);
    }

    private Tensor Through(Pass pass, int endLayer)
    {
        foreach (var run in pass.RunsAt(layers.Count)) rope.Reserve(Highest(run.Coordinates.Span) + 1);
        var resid = pass.Compute.Arena.Take(pass.Rows, Shape.ModelSize);
        for (var layer = pass.FirstLayer; layer < endLayer; layer++)
        {
            Enter(pass, layer, resid);
            if (pass.Tape is { Kind: TapeKind.Recompute } tape) tape[layer].Entry = resid.Copy(pass.Compute.Arena);
            layers[layer].Forward(resid.RowRange(0, pass.RowsAt(layer)), rope, pass,
                pass.Tape is { Kind: TapeKind.Store } kept ? kept[layer] : null);
        }
        return resid;
    }

    /// <summary>
    /// Backward pass: replaces the gradient with respect to the residual stream after the last layer [row, d_model] by the gradient with
    /// respect to the residual stream before <paramref name="layer"/>, in place. Requires a <see cref="Forward"/> of the same pass with a
    /// tape, and runs that start at layer 0. Their key/value prefix is frozen.
    /// </summary>
    /// <param name="gradients">Receives the gradients with respect to the requested weights; null for none.</param>
    internal void Backward(Pass pass, Tensor d, Gradients? gradients, int layer = 0)
    {
        var tape = pass.Tape ?? throw new ArgumentException("Backward needs a pass with a tape", nameof(pass));
        foreach (var run in pass.Runs)
        {
            if (run.FirstLayer > 0 || run.Own is not null)
                throw new ArgumentException("Backward needs runs that start at layer 0 and keep no keys", nameof(pass));
        }
        for (var l = layers.Count - 1; l >= layer; l--)
        {
            var mark = pass.Compute.Arena.Here();
            layers[l].Backward(d, Kept(tape, l, pass), rope, pass, gradients);
            pass.Compute.Arena.Release(mark);
        }
    }

    /// <summary>
    /// The lowest layer with a tensor requested by <paramref name="gradients"/>; the number of layers if there is none; -1 if a tensor
    /// below the layers is requested.
    /// </summary>
    internal int LowestRequestedLayer(Gradients gradients)
    {
        var asked = gradients.Names.ToHashSet(StringComparer.Ordinal);
        var lowest = layers.Count;
        for (var layer = layers.Count - 1; layer >= 0; layer--)
        {
            foreach (var tensor in layers[layer].Tensors)
            {
                if (asked.Remove(tensor)) lowest = layer;
            }
        }
        asked.Remove(finalNorm.GainName);
        if (head.Weight.Name != embedding.Name) asked.Remove(head.Weight.Name);
        return asked.Count > 0 ? -1 : lowest;
    }

    private LayerTape Kept(Tape tape, int layer, Pass pass)
    {
        if (tape.Kind == TapeKind.Store) return tape[layer];
        var again = new LayerTape();
        layers[layer].Forward(tape[layer].Entry.Copy(pass.Compute.Arena), rope, pass, again);
        return again;
    }

    /// <summary>
    /// Gradient with respect to the residual stream [row, d_model], from the gradient with respect to the logits [row, vocabulary] of
    /// <see cref="Unembed"/>.
    /// </summary>
    /// <param name="resid">The residual stream that the logits were computed from [row, d_model].</param>
    public Tensor UnembedBackward(Tensor resid, Tensor dLogits, Compute compute, Gradients? gradients)
    {
        var d = compute.Arena.TakeZeros(resid.Rows, resid.Columns);
        var mark = compute.Arena.Here();
        finalNorm.Backward(resid, LinearGradient.Both(head, finalNorm.Forward(resid, compute), dLogits, gradients, compute), d,
            gradients, compute.Arena);
        compute.Arena.Release(mark);
        return d;
    }

    /// <summary>
    /// Adds the gradient with respect to the embeddings of <paramref name="tokens"/> [token, d_model] to the gradient of the embedding
    /// matrix.
    /// </summary>
    /// <param name="placeholder">A token whose embedding is not used, because image features replace it.</param>
    public void EmbedBackward(ReadOnlySpan<int> tokens, Tensor d, Gradients gradients, int? placeholder)
    {
        if (gradients.Of(embedding) is not { } into) return;
        for (var i = 0; i < tokens.Length; i++)
        {
            if (tokens[i] != placeholder) Gradients.Add(into, tokens[i], d[i]);
        }
    }

    /// <summary>Copies the entry of each run that joins at <paramref name="layer"/> into its rows.</summary>
    private static void Enter(Pass pass, int layer, Tensor resid)
    {
        foreach (var run in pass.RunsAt(layer))
        {
            if (run.FirstLayer != layer) continue;
            var entry = run.Trunk is { } trunk ? resid.RowRange(trunk.FirstRow + run.Start - trunk.Start, run.Count) : run.Entry;
            for (var i = 0; i < run.Count; i++) entry[i].CopyTo(resid[run.FirstRow + i]);
        }
    }

    /// <summary>Final norm and head, for the output and for the logit lens: logits [row, vocabulary].</summary>
    /// <param name="resid">Residual stream [row, d_model].</param>
    /// <param name="normalise">Whether the final norm is applied first.</param>
    /// <param name="tokens">Tokens whose logits are computed [row, tokens]; null for the whole vocabulary.</param>
    public Tensor Unembed(Tensor resid, Compute compute, bool normalise = true, IReadOnlyList<int>? tokens = null)
    {
        var x = normalise ? finalNorm.Forward(resid, compute) : resid;
        return tokens is null ? head.Forward(x, compute) : head.Forward(x, compute, tokens);
    }

    /// <summary>Applies only the final norm [row, d_model].</summary>
    public Tensor FinalNorm(Tensor resid, Compute compute) => finalNorm.Forward(resid, compute);

    /// <summary>
    /// The direction [d_model] whose dot product with a component of the residual stream is that component's contribution to logit a -
    /// logit b, with the scale of the final norm fixed at that of <paramref name="resid"/>.
    /// </summary>
    public float[] MarginDirection(ReadOnlySpan<float> resid, int tokenA, int tokenB)
    {
        var (a, b) = (new float[Shape.ModelSize], new float[Shape.ModelSize]);
        head.Weight.Widen((long)tokenA * Shape.ModelSize, a);
        head.Weight.Widen((long)tokenB * Shape.ModelSize, b);
        var scale = finalNorm.Scale(resid);
        for (var i = 0; i < a.Length; i++) a[i] = (a[i] - b[i]) * finalNorm.Gain[i] * scale;
        return a;
    }

    /// <summary>A direction of the residual stream [d_model] mapped back through a layer's o_proj [head x d_head].</summary>
    public double[] ThroughOutput(int layer, ReadOnlySpan<float> direction)
    {
        var width = Shape.Width(Site.HeadOut);
        var (through, line, weight) = (new double[width], new float[width], layers[layer].OutputProjection.Weight);
        for (var d = 0; d < direction.Length; d++)
        {
            weight.Widen((long)d * width, line);
            for (var i = 0; i < width; i++) through[i] += (double)line[i] * direction[d];
        }
        return through;
    }

    /// <summary>Bytes of weights read by a pass from <paramref name="layer"/> on, including final norm and head.</summary>
    public long WeightBytes(int layer) => head.Weight.Bytes + layers.Skip(layer).Sum(l => l.WeightBytes);

    /// <summary>Keeps all weights packed for passes of many rows (see <see cref="Linear.Pack"/>), at 4 bytes per parameter.</summary>
    public void Pack()
    {
        foreach (var layer in layers) layer.Pack();
        head.Pack();
    }

    private static int Highest(ReadOnlySpan<Coordinate> coordinates)
    {
        var highest = -1;
        foreach (var coordinate in coordinates) highest = Math.Max(highest, coordinate.Highest);
        return highest;
    }
}
