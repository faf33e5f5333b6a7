using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>The projections of one attention sublayer; biases where the family has them.</summary>
public sealed record AttentionWeights(Linear Query, Linear Key, Linear Value, Linear Output);

/// <summary>The projections of one gated MLP: down(act(gate x) * up x).</summary>
public sealed record MlpWeights(Linear Gate, Linear Up, Linear Down, Activation Activation);

/// <summary>One pre-norm decoder layer: attention, then a gated MLP, each adding to the residual stream.</summary>
/// <remarks>Axes: row = positions of all runs of the pass, head = query heads, kv_head = key/value heads.</remarks>
public sealed class DecoderLayer(int index, DecoderShape shape, Norm attnNorm, AttentionWeights attn, Norm mlpNorm, MlpWeights mlp)
{
    /// <summary>Takes the residual stream [row, d_model] through the layer, in place.</summary>
    public void Forward(Tensor resid, Rope rope, Pass pass)
    {
        var arena = pass.Compute.Arena;
        var mark = arena.Here();
        var attending = pass.At(Site.ResidPre, index, resid.RowRange(0, pass.AttendingAt(index)));
        resid.Add(pass.At(Site.AttnOut, index, Attention(attnNorm.Forward(attending, arena), rope, pass)));
        pass.At(Site.ResidMid, index, resid);
        // The MLP works where attention did: a row takes the larger of both, not their sum.
        arena.Release(mark);
        resid.Add(pass.At(Site.MlpOut, index, Mlp(mlpNorm.Forward(resid, arena), pass)));
        pass.At(Site.ResidPost, index, resid);
        arena.Release(mark);
    }

    /// <summary>Keys and values of the rows, kept where each run keeps them: all that later positions need of this layer.</summary>
    public void Keep(Tensor resid, Rope rope, Pass pass)
    {
        var x = attnNorm.Forward(pass.At(Site.ResidPre, index, resid), pass.Compute.Arena);
        var (k, v) = KeysAndValues(x, rope, pass);
        foreach (var run in pass.RunsAt(index)) run.Own!.Put(index, k.RowRange(run.FirstRow, run.Count), v.RowRange(run.FirstRow, run.Count));
    }

    private Tensor Attention(Tensor x, Rope rope, Pass pass)
    {
        var q = attn.Query.Forward(x, pass.Compute);                      // [row, head x d_head]
        Rotate(q, rope, pass);
        pass.At(Site.Query, index, q);
        var (k, v) = KeysAndValues(x, rope, pass);
        var z = RunAttention.Forward(index, shape, q, k, v, pass);        // [row, head x d_head]
        return attn.Output.Forward(pass.At(Site.HeadOut, index, z), pass.Compute);
    }

    private (Tensor K, Tensor V) KeysAndValues(Tensor x, Rope rope, Pass pass)
    {
        var k = attn.Key.Forward(x, pass.Compute);                        // [row, kv_head x d_head]
        var v = attn.Value.Forward(x, pass.Compute);                      // [row, kv_head x d_head]
        Rotate(k, rope, pass);
        return (pass.At(Site.Key, index, k), pass.At(Site.Value, index, v));
    }

    private Tensor Mlp(Tensor x, Pass pass)
    {
        var neurons = mlp.Gate.Forward(x, pass.Compute);                  // [row, d_mlp]
        var up = mlp.Up.Forward(x, pass.Compute);                         // [row, d_mlp]
        for (var row = 0; row < neurons.Rows; row++)
        {
            Activations.Apply(mlp.Activation, neurons[row]);
            System.Numerics.Tensors.TensorPrimitives.Multiply(neurons[row], up[row], neurons[row]);
        }
        return mlp.Down.Forward(pass.At(Site.NeuronOut, index, neurons), pass.Compute);
    }

    private void Rotate(Tensor heads, Rope rope, Pass pass)
    {
        foreach (var run in pass.RunsAt(index))
        {
            for (var i = 0; i < run.Count && run.FirstRow < heads.Rows; i++) rope.Rotate(heads[run.FirstRow + i], run.Coordinates.Span[i]);
        }
    }

    /// <summary>Keeps the weights ready for passes of many rows (see <see cref="Linear.Pack"/>).</summary>
    public void Pack()
    {
        foreach (var linear in Projections) linear.Pack();
    }

    /// <summary>Bytes of its projections as stored.</summary>
    public long WeightBytes => Projections.Sum(linear => linear.Weight.Bytes);

    private Linear[] Projections => [attn.Query, attn.Key, attn.Value, attn.Output, mlp.Gate, mlp.Up, mlp.Down];

    /// <summary>o_proj [d_model, head x d_head]; the columns of one head turn its z into its part of the attention output.</summary>
    public Linear OutputProjection => attn.Output;
}
