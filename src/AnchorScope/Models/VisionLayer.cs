using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>The MLP of a vision layer: down(act(up x)), or down(act(gate x) * up x) where there is a gate.</summary>
internal sealed record VisionMlp(Linear? Gate, Linear Up, Linear Down, Activation Activation)
{
    public Tensor Forward(Tensor x, Compute compute)
    {
        var up = Up.Forward(x, compute);                                   // [token, d_mlp]
        var neurons = Gate?.Forward(x, compute) ?? up;                     // [token, d_mlp]
        for (var row = 0; row < neurons.Rows; row++)
        {
            Activations.Apply(Activation, neurons[row]);
            if (Gate is not null) System.Numerics.Tensors.TensorPrimitives.Multiply(neurons[row], up[row], neurons[row]);
        }
        return Down.Forward(neurons, compute);
    }
}

/// <summary>One pre-norm layer of a vision transformer. Tokens attend to all tokens of their own block, a picture or a window.</summary>
internal sealed class VisionLayer(Norm attnNorm, AttentionWeights attn, Norm mlpNorm, VisionMlp mlp, int heads)
{
    /// <summary>Norm of all query heads together, before they are split; null in most families.</summary>
    public Norm? QueryNorm { get; init; }

    /// <summary>The same for keys.</summary>
    public Norm? KeyNorm { get; init; }

    /// <summary>Layer scale: factors [d] of what attention adds; null for ones.</summary>
    public float[]? AttnScale { get; init; }

    /// <summary>Factors [d] of what the MLP adds.</summary>
    public float[]? MlpScale { get; init; }

    /// <summary>Takes <paramref name="stream"/> [token, d] through the layer, in place.</summary>
    /// <param name="blocks">First token and length of each block.</param>
    /// <param name="rotate">Rotates one token's queries or keys [heads x d_head]; null without rotary embedding.</param>
    public void Forward(Tensor stream, IReadOnlyList<(int Start, int Length)> blocks, Compute compute, RowRotation? rotate = null)
    {
        stream.Add(Scaled(Attention(attnNorm.Forward(stream, compute.Arena), blocks, compute, rotate), AttnScale));
        stream.Add(Scaled(mlp.Forward(mlpNorm.Forward(stream, compute.Arena), compute), MlpScale));
    }

    private unsafe Tensor Attention(Tensor x, IReadOnlyList<(int Start, int Length)> blocks, Compute compute, RowRotation? rotate)
    {
        var q = Normed(attn.Query.Forward(x, compute), QueryNorm, compute);  // [token, head x d_head]
        var k = Normed(attn.Key.Forward(x, compute), KeyNorm, compute);      // [token, head x d_head]
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
            kept[i].Put(0, k.RowRange(start, length), v.RowRange(start, length));
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
        return attn.Output.Forward(z, compute);
    }

    private static Tensor Normed(Tensor x, Norm? norm, Compute compute) => norm?.Forward(x, compute.Arena) ?? x;

    private static Tensor Scaled(Tensor x, float[]? factors)
    {
        for (var row = 0; factors is not null && row < x.Rows; row++)
            System.Numerics.Tensors.TensorPrimitives.Multiply(x[row], factors, x[row]);
        return x;
    }
}

/// <summary>Rotates the heads of one token's queries or keys in place.</summary>
internal delegate void RowRotation(Span<float> row, int token);
