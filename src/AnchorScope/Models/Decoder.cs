using AnchorScope.Checkpoints;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>A decoder-only language model: embeddings, layers, final norm and head. It has only weights; a pass brings all state.</summary>
internal sealed class Decoder(DecoderShape shape, Weight embedding, Rope rope, IReadOnlyList<DecoderLayer> layers, Norm finalNorm, Linear head)
{
    /// <summary>Sizes, to check interventions against.</summary>
    public DecoderShape Shape { get; } = shape;

    /// <summary>Entries of the vocabulary.</summary>
    public int VocabularySize => head.Outputs;

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<DecoderLayer> Layers => layers;

    /// <summary>Rotary angles by coordinate.</summary>
    public Rope Rope => rope;

    /// <summary>
    /// Positions that the model was made for: max_position_embeddings, fewer where its rotary angles hold for fewer; null where the
    /// configuration names none. A prompt
    /// has one more than its highest rotary coordinate (<see cref="Prompt.RotaryLength"/>).
    /// </summary>
    public int? MaximumPositions { get; init; }

    /// <summary>Why a prompt is longer than the model was made for, in one line with both numbers; null where it is not.</summary>
    /// <param name="generated">Tokens behind the prompt that are fed back.</param>
    public string? TooLong(Prompt prompt, int generated = 0) => TooLong(prompt.RotaryLength, generated);

    /// <summary>The same of a prompt of so many positions.</summary>
    internal string? TooLong(int positions, int generated = 0) => positions + generated > MaximumPositions
        ? $"the prompt has {positions} positions{(generated > 0 ? $" and {generated} generated tokens come behind it" : "")}; the model was made for {MaximumPositions} ({(rope.Limit == MaximumPositions ? rope.LimitName : "max_position_embeddings")})"
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

    /// <summary>Takes the runs of <paramref name="pass"/> through the layers, each from the place where it joins.</summary>
    /// <returns>Residual stream leaving the last layer (or <paramref name="endLayer"/> - 1) [row, d_model], in the order of the pass's rows.</returns>
    internal Tensor Forward(Pass pass, int? endLayer = null)
    {
        var resid = Through(pass, endLayer ?? layers.Count);
        foreach (var run in pass.RunsAt(layers.Count)) run.Own?.Advance(run.Count);
        return resid;
    }

    /// <summary>
    /// As <see cref="Forward"/>, for the last row of every run alone: in the last layer the others give their keys and values and nothing else.
    /// Runs cannot be recorded.
    /// </summary>
    /// <returns>Residual stream leaving the last layer (or <paramref name="endLayer"/> - 1) [run, d_model], in the order of the pass's runs.</returns>
    internal Tensor ForwardLast(Pass pass, int? endLayer = null)
    {
        if (pass.Rows == pass.Runs.Count) return Forward(pass, endLayer);
        var (arena, last) = (pass.Compute.Arena, (endLayer ?? layers.Count) - 1);
        var resid = Through(pass, last);
        Enter(pass, last, resid);
        var (earlier, final) = (new List<RowBlock>(), new List<RowBlock>());
        foreach (var run in pass.RunsAt(last))
        {
            if (run.Traces.Count > 0) throw new ArgumentException("a run that is recorded goes through all layers whole", nameof(pass));
            var (rows, before) = (resid.RowRange(run.FirstRow, run.Count), run.Count - 1);
            var behind = run.FirstLayer == last ? run.HeadOutputs : null;
            var own = run.Own ?? (behind is null ? KeyValues.ForOneLayer(arena, Shape.KeyHeads, Shape.HeadSize, run.Start, run.Count) : null);
            if (behind is null && before > 0)
                earlier.Add(new RowBlock(rows.RowRange(0, before), run.Coordinates[..before], run.Start, run.Edits!) { FirstLayer = last, Past = run.Past, Own = own });
            final.Add(new RowBlock(rows.RowRange(before, 1), run.Coordinates[before..], run.Start + before, run.Edits!)
            {
                FirstLayer = last,
                Past = run.Past,
                Own = own,
                HeadOutputs = behind?.RowRange(before, 1),
            });
        }
        if (earlier.Count > 0) KeepEarlier(new Pass(Shape, earlier, pass.Compute), last);
        for (var i = 0; i < final.Count; i++) final[i].Own?.Advance(pass.Runs[i].Count - 1);
        // Still in order: runs that join in front of attention, then those that join behind it.
        return Forward(new Pass(Shape, final, pass.Compute), last + 1);
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
            layers[layer].Forward(resid.RowRange(0, pass.RowsAt(layer)), rope, pass, pass.Tape is { Kind: TapeKind.Store } kept ? kept[layer] : null);
        }
        return resid;
    }

    /// <summary>
    /// Takes derivatives by the residual stream that left the last layer [row, d_model] back to that which entered <paramref name="layer"/>, in place. The pass has been
    /// <see cref="Forward"/>, with a tape; its runs start at layer 0, and what they look back at is frozen.
    /// </summary>
    /// <param name="gradients">What the derivatives by weights are added to, where it asks for them; null for none.</param>
    internal void Backward(Pass pass, Tensor d, Gradients? gradients, int layer = 0)
    {
        var tape = pass.Tape ?? throw new ArgumentException("a pass without a tape has no way back", nameof(pass));
        foreach (var run in pass.Runs)
        {
            if (run.FirstLayer > 0 || run.Own is not null) throw new ArgumentException("on the way back a run starts at layer 0 and keeps no keys", nameof(pass));
        }
        for (var l = layers.Count - 1; l >= layer; l--)
        {
            var mark = pass.Compute.Arena.Here();
            layers[l].Backward(d, Kept(tape, l, pass), rope, pass, gradients);
            pass.Compute.Arena.Release(mark);
        }
    }

    /// <summary>The lowest layer with a tensor that <paramref name="gradients"/> asks for; the number of layers where it asks for none; -1 where it asks for what lies below them.</summary>
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

    /// <summary>Derivatives by the residual stream [row, d_model] from those by the logits [row, vocabulary] of <see cref="Unembed"/>.</summary>
    /// <param name="resid">What the logits were of [row, d_model].</param>
    public Tensor UnembedBackward(Tensor resid, Tensor dLogits, Compute compute, Gradients? gradients)
    {
        var d = compute.Arena.TakeZeros(resid.Rows, resid.Columns);
        var mark = compute.Arena.Here();
        finalNorm.Backward(resid, LinearGradient.Both(head, finalNorm.Forward(resid, compute), dLogits, gradients, compute), d, gradients, compute.Arena);
        compute.Arena.Release(mark);
        return d;
    }

    /// <summary>Adds derivatives by the embeddings of <paramref name="tokens"/> [token, d_model] to those by the embedding matrix.</summary>
    /// <param name="placeholder">A token whose embedding is not read, as image features stand in its place.</param>
    public void EmbedBackward(ReadOnlySpan<int> tokens, Tensor d, Gradients gradients, int? placeholder)
    {
        if (gradients.Of(embedding) is not { } into) return;
        for (var i = 0; i < tokens.Length; i++)
        {
            if (tokens[i] != placeholder) Gradients.Add(into, tokens[i], d[i]);
        }
    }

    /// <summary>Copies the runs that join at <paramref name="layer"/> into their rows.</summary>
    private static void Enter(Pass pass, int layer, Tensor resid)
    {
        foreach (var run in pass.RunsAt(layer))
        {
            if (run.FirstLayer != layer) continue;
            var entry = run.Trunk is { } trunk ? resid.RowRange(trunk.FirstRow + run.Start - trunk.Start, run.Count) : run.Entry;
            for (var i = 0; i < run.Count; i++) entry[i].CopyTo(resid[run.FirstRow + i]);
        }
    }

    /// <summary>Final norm and head, for the output and for the logit lens alike: logits [row, vocabulary].</summary>
    /// <param name="resid">Residual stream [row, d_model].</param>
    /// <param name="normalise">Whether the final norm is applied first.</param>
    /// <param name="tokens">Tokens whose logits are wanted [row, tokens]; null: the vocabulary.</param>
    public Tensor Unembed(Tensor resid, Compute compute, bool normalise = true, IReadOnlyList<int>? tokens = null)
    {
        var x = normalise ? finalNorm.Forward(resid, compute) : resid;
        return tokens is null ? head.Forward(x, compute) : head.Forward(x, compute, tokens);
    }

    /// <summary>The final norm alone [row, d_model].</summary>
    public Tensor FinalNorm(Tensor resid, Compute compute) => finalNorm.Forward(resid, compute);

    /// <summary>
    /// The vector [d_model] whose product with a part of the residual stream is that part's share of logit a - logit b, the final
    /// norm's scale held at that of <paramref name="resid"/>.
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

    /// <summary>Bytes of weights that a pass from <paramref name="layer"/> on reads, final norm and head included.</summary>
    public long WeightBytes(int layer) => head.Weight.Bytes + layers.Skip(layer).Sum(l => l.WeightBytes);

    /// <summary>Keeps all weights ready for passes of many rows, at 4 bytes per parameter.</summary>
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
