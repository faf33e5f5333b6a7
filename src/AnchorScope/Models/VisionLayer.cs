using AnchorScope.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace AnchorScope.Models;

/// <summary>The MLP of a vision layer: down(act(up x)), or with a gate down(act(gate x) * up x).</summary>
internal sealed record VisionMlp(Linear? Gate, Linear Up, Linear Down, Activation Activation)
{
    public Tensor Forward(Tensor x, Compute compute, VisionLayerTape? tape)
    {
        var up = Up.Forward(x, compute);                                   // [token, d_mlp]
        var before = Gate?.Forward(x, compute) ?? up;                      // [token, d_mlp]
        var neurons = tape is null ? before : before.Copy(compute.Arena);
        if (Gate is null) Activations.Apply(Activation, neurons, compute);
        else Activations.Gated(Activation, neurons, up, compute);
        if (tape is not null) (tape.MlpNormed, tape.Before, tape.Up, tape.Neurons) = (x, before, up, neurons);
        return Down.Forward(neurons, compute);
    }

    public Tensor Backward(Tensor d, VisionLayerTape tape, Compute compute, Gradients gradients)
    {
        var dUp = LinearGradient.Both(Down, tape.Neurons, d, gradients, compute);       // [token, d_mlp]
        if (Gate is null)
        {
            var dBefore = tape.Before.Copy(compute.Arena);                               // [token, d_mlp]
            for (var row = 0; row < d.Rows; row++)
            {
                Activations.Derive(Activation, dBefore[row]);
                TensorPrimitives.Multiply(dBefore[row], dUp[row], dBefore[row]);
            }
            return LinearGradient.Both(Up, tape.MlpNormed, dBefore, gradients, compute);
        }
        var dGate = Activations.GatedBack(Activation, tape.Before, tape.Up, dUp, compute);
        return LinearGradient.Both([(Gate, dGate), (Up, dUp)], tape.MlpNormed, gradients, compute);
    }
}

/// <summary>
/// One pre-norm layer of a vision transformer. Tokens attend to all tokens of their own block, which is a picture or a window.
/// </summary>
internal sealed class VisionLayer(Norm attnNorm, AttentionWeights attn, Norm mlpNorm, VisionMlp mlp, int heads)
{
    /// <summary>Norm over all query heads together, before they are split; null in most families.</summary>
    public Norm? QueryNorm { get; init; }

    /// <summary>The same for keys.</summary>
    public Norm? KeyNorm { get; init; }

    /// <summary>Layer scale: factors [d] of the attention output; null for none.</summary>
    public Vector? AttnScale { get; init; }

    /// <summary>Layer scale: factors [d] of the MLP output; null for none.</summary>
    public Vector? MlpScale { get; init; }

    /// <summary>Updates <paramref name="stream"/> [token, d] in place.</summary>
    /// <param name="blocks">First token and length of each block.</param>
    /// <param name="rotate">Rotates one token's queries or keys [heads x d_head]; null without rotary embedding.</param>
    /// <param name="tape">Receives the activations that the backward pass needs; null for none.</param>
    public void Forward(Tensor stream, IReadOnlyList<(int Start, int Length)> blocks, Compute compute, RowRotation? rotate = null,
        VisionLayerTape? tape = null)
    {
        if (tape is not null) tape.Entry = stream.Copy(compute.Arena);
        var attention = Attention(attnNorm.Forward(stream, compute), blocks, compute, rotate, tape);
        if (tape is not null) tape.AttnOut = attention.Copy(compute.Arena);
        Rows.Add(compute, stream, Scaled(attention, AttnScale));
        if (tape is not null) tape.Middle = stream.Copy(compute.Arena);
        var added = mlp.Forward(mlpNorm.Forward(stream, compute), compute, tape);
        if (tape is not null) tape.MlpOut = added.Copy(compute.Arena);
        Rows.Add(compute, stream, Scaled(added, MlpScale));
    }

    /// <summary>
    /// Backward pass: replaces the gradient with respect to the stream after the layer [token, d] by the gradient with respect to the
    /// stream before it, in place.
    /// </summary>
    /// <param name="rotateBack">Rotates by the negative angles.</param>
    public void Backward(Tensor d, VisionLayerTape tape, IReadOnlyList<(int Start, int Length)> blocks, Compute compute,
        Gradients gradients, RowRotation? rotateBack = null)
    {
        var dMlp = mlp.Backward(ScaledBack(d, tape.MlpOut, MlpScale, gradients, compute), tape, compute, gradients);
        mlpNorm.Backward(tape.Middle, dMlp, d, gradients, compute.Arena);
        var dAttn = AttentionBackward(ScaledBack(d, tape.AttnOut, AttnScale, gradients, compute), tape, blocks,
            compute, gradients, rotateBack);
        attnNorm.Backward(tape.Entry, dAttn, d, gradients, compute.Arena);
    }

    private unsafe Tensor Attention(Tensor x, IReadOnlyList<(int Start, int Length)> blocks, Compute compute,
        RowRotation? rotate, VisionLayerTape? tape)
    {
        var (projectedQ, projectedK) = (attn.Query.Forward(x, compute), attn.Key.Forward(x, compute));
        var q = Normed(projectedQ, QueryNorm, compute);                      // [token, head x d_head]
        var k = Normed(projectedK, KeyNorm, compute);                        // [token, head x d_head]
        var v = attn.Value.Forward(x, compute);                              // [token, head x d_head]
        for (var row = 0; rotate is not null && row < q.Rows; row++)
        {
            rotate(q[row], row);
            rotate(k[row], row);
        }
        var z = compute.Arena.Take(x.Rows, q.Columns);                       // [token, head x d_head]
        var size = q.Columns / heads;
        var kept = new KeyValues[blocks.Count];
        for (var i = 0; i < kept.Length; i++)
        {
            var (start, length) = blocks[i];
            kept[i] = KeyValues.ForOneLayer(compute.Arena, heads, size, 0, length);
            kept[i].Append(0, k.RowRange(start, length), v.RowRange(start, length));
        }
        var longest = blocks.Max(b => b.Length);
        var scratchFloats = AttentionKernel.ScratchFloats(longest);
        var scratch = compute.Arena.TakeFloats(scratchFloats * compute.Team.Size);
        compute.Team.For(blocks.Count * heads, 4L * longest * longest * size, (item, member) =>
        {
            var (block, head) = (item / heads, item % heads);
            var (start, length) = blocks[block];
            var rows = new QueryRow[AttentionKernel.Rows];
            for (var from = 0; from < length; from += rows.Length)
            {
                var count = Math.Min(rows.Length, length - from);
                for (var i = 0; i < count; i++)
                {
                    var at = (long)(start + from + i) * q.Columns + head * size;
                    rows[i] = new QueryRow { Query = q.Data + at, Output = z.Data + at, Seen = length, Own = kept[block] };
                }
                AttentionKernel.Attend(rows.AsSpan(0, count), 0, head, null, 0, scratch + scratchFloats * member);
            }
        });
        if (tape is not null)
            (tape.AttnNormed, tape.Projected, tape.Attention, tape.HeadOut) = (x, new AttentionRows(projectedQ, projectedK, v),
                new AttentionRows(q, k, v), z);
        return attn.Output.Forward(z, compute);
    }

    private unsafe Tensor AttentionBackward(Tensor d, VisionLayerTape tape, IReadOnlyList<(int Start, int Length)> blocks, Compute compute,
        Gradients gradients, RowRotation? rotateBack)
    {
        var arena = compute.Arena;
        var dz = LinearGradient.Both(attn.Output, tape.HeadOut, d, gradients, compute);      // [token, head x d_head]
        var derivatives = new AttentionRows(arena.Take(d.Rows, dz.Columns), arena.Take(d.Rows, dz.Columns), arena.Take(d.Rows, dz.Columns));
        var (size, longest) = (dz.Columns / heads, blocks.Max(b => b.Length));
        var scratchFloats = AttentionGradient.ScratchFloats(longest, 0, size);
        var scratch = arena.TakeFloats(scratchFloats * compute.Team.Size);
        compute.Team.For(blocks.Count * heads, 10L * longest * longest * size, (item, member) =>
        {
            var (start, length) = blocks[item / heads];
            AttentionGradient.Of(tape.Attention, dz, derivatives, new AttentionStretch(start, length, item % heads, Causal: false), size, 1,
                AttentionPast.None, null, null, scratch + scratchFloats * member);
        });
        for (var row = 0; rotateBack is not null && row < d.Rows; row++)
        {
            rotateBack(derivatives.Query[row], row);
            rotateBack(derivatives.Key[row], row);
        }
        var dq = NormedBack(tape.Projected.Query, derivatives.Query, QueryNorm, gradients, arena);
        var dk = NormedBack(tape.Projected.Key, derivatives.Key, KeyNorm, gradients, arena);
        return LinearGradient.Both([(attn.Query, dq), (attn.Key, dk), (attn.Value, derivatives.Value)],
            tape.AttnNormed, gradients, compute);
    }

    private static Tensor NormedBack(Tensor x, Tensor d, Norm? norm, Gradients gradients, Arena arena)
    {
        if (norm is null) return d;
        var dx = arena.TakeZeros(d.Rows, d.Columns);
        norm.Backward(x, d, dx, gradients, arena);
        return dx;
    }

    private static Tensor ScaledBack(Tensor d, Tensor x, Vector? factors, Gradients gradients, Compute compute)
    {
        if (factors is null) return d;
        var scaled = d.Copy(compute.Arena);
        var sums = compute.Arena.TakeZeros(1, d.Columns)[0];
        for (var row = 0; row < d.Rows; row++)
        {
            TensorPrimitives.MultiplyAdd(d[row], x[row], sums, sums);
            TensorPrimitives.Multiply(scaled[row], factors.Values, scaled[row]);
        }
        factors.Add(gradients, 0, sums);
        return scaled;
    }

    private static Tensor Normed(Tensor x, Norm? norm, Compute compute) => norm?.Forward(x, compute) ?? x;

    private static Tensor Scaled(Tensor x, Vector? factors)
    {
        for (var row = 0; factors is not null && row < x.Rows; row++) TensorPrimitives.Multiply(x[row], factors.Values, x[row]);
        return x;
    }
}

/// <summary>Rotates the heads of one token's queries or keys in place.</summary>
internal delegate void RowRotation(Span<float> row, int token);
