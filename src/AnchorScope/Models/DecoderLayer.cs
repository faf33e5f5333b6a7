using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>The projections of one attention sublayer, with biases in some families.</summary>
internal sealed record AttentionWeights(Linear Query, Linear Key, Linear Value, Linear Output);

/// <summary>The projections of one gated MLP: down(act(gate x) * up x).</summary>
internal sealed record MlpWeights(Linear Gate, Linear Up, Linear Down, Activation Activation);

/// <summary>One pre-norm decoder layer: attention, then a gated MLP, each adding to the residual stream.</summary>
/// <remarks>Axes: row = positions of all runs of the pass, head = query heads, kv_head = key/value heads.</remarks>
internal sealed class DecoderLayer(int index, DecoderShape shape, Norm attnNorm, AttentionWeights attn, Norm mlpNorm, MlpWeights mlp)
{
    /// <summary>Updates the residual stream [row, d_model] in place.</summary>
    /// <param name="tape">Receives the activations that the backward pass needs; null for none.</param>
    internal void Forward(Tensor resid, Rope rope, Pass pass, LayerTape? tape = null)
    {
        var arena = pass.Compute.Arena;
        var mark = arena.Here();
        var attending = pass.Hook(Site.ResidPre, index, resid.RowRange(0, pass.AttendingAt(index)));
        if (tape is not null) tape.ResidPre = attending.Copy(arena);
        Rows.Add(
            pass.Compute, resid, pass.Hook(Site.AttnOut, index, Attention(attnNorm.Forward(attending, pass.Compute), rope, pass, tape)));
        pass.Hook(Site.ResidMid, index, resid);
        // The MLP reuses the memory of attention: a row needs the larger of both, not their sum.
        if (tape is null) arena.Release(mark);
        else tape.ResidMid = resid.Copy(arena);
        Rows.Add(pass.Compute, resid, pass.Hook(Site.MlpOut, index, Mlp(mlpNorm.Forward(resid, pass.Compute), pass, tape)));
        pass.Hook(Site.ResidPost, index, resid);
        if (tape is null) arena.Release(mark);
    }

    /// <summary>
    /// Backward pass: replaces the gradient with respect to the residual stream after the layer [row, d_model] by the gradient with respect
    /// to the residual stream before it, in place.
    /// </summary>
    internal void Backward(Tensor d, LayerTape tape, Rope rope, Pass pass, Gradients? gradients)
    {
        var arena = pass.Compute.Arena;
        var mark = arena.Here();
        pass.HookBackward(Site.ResidPost, index, d);
        var dMlp = MlpBackward(pass.HookBackward(Site.MlpOut, index, d.Copy(arena)), tape, pass, gradients);
        mlpNorm.Backward(tape.ResidMid, dMlp, d, gradients, arena);
        arena.Release(mark);
        pass.HookBackward(Site.ResidMid, index, d);
        var dAttn = AttentionBackward(pass.HookBackward(Site.AttnOut, index, d.Copy(arena)), tape, rope, pass, gradients);
        attnNorm.Backward(tape.ResidPre, dAttn, d, gradients, arena);
        pass.HookBackward(Site.ResidPre, index, d);
        arena.Release(mark);
    }

    /// <summary>
    /// Computes only keys and values of the rows and stores them with each run. Later positions need nothing else of this layer.
    /// </summary>
    internal void Keep(Tensor resid, Rope rope, Pass pass)
    {
        var x = attnNorm.Forward(pass.Hook(Site.ResidPre, index, resid), pass.Compute);
        var (k, v) = KeysAndValues(x, rope, pass);
        foreach (var run in pass.RunsAt(index))
            run.Own!.Append(index, k.RowRange(run.FirstRow, run.Count), v.RowRange(run.FirstRow, run.Count));
    }

    private Tensor Attention(Tensor x, Rope rope, Pass pass, LayerTape? tape)
    {
        var q = attn.Query.Forward(x, pass.Compute);                      // [row, head x d_head]
        Rotate(pass.Hook(Site.QueryProj, index, q), rope, pass);
        pass.Hook(Site.Query, index, q);
        var (k, v) = KeysAndValues(x, rope, pass);
        var z = RunAttention.Forward(index, shape, q, k, v, pass);        // [row, head x d_head]
        pass.Hook(Site.HeadOut, index, z);
        if (tape is not null) (tape.AttnNormed, tape.Attention, tape.HeadOut) = (x, new AttentionRows(q, k, v), z);
        return attn.Output.Forward(z, pass.Compute);
    }

    private Tensor AttentionBackward(Tensor d, LayerTape tape, Rope rope, Pass pass, Gradients? gradients)
    {
        var compute = pass.Compute;
        // [row, head x d_head]
        var dz = pass.HookBackward(Site.HeadOut, index, LinearGradient.Both(attn.Output, tape.HeadOut, d, gradients, compute));
        var (dq, dk, dv) = RunAttention.Backward(index, shape, tape.Attention, dz, pass);
        Rotate(pass.HookBackward(Site.Query, index, dq), rope, pass, back: true);
        Rotate(pass.HookBackward(Site.Key, index, dk), rope, pass, back: true);
        pass.HookBackward(Site.QueryProj, index, dq);
        pass.HookBackward(Site.KeyProj, index, dk);
        pass.HookBackward(Site.Value, index, dv);
        // [row, d_model]
        return LinearGradient.Both([(attn.Query, dq), (attn.Key, dk), (attn.Value, dv)], tape.AttnNormed, gradients, compute);
    }

    private (Tensor K, Tensor V) KeysAndValues(Tensor x, Rope rope, Pass pass)
    {
        var k = attn.Key.Forward(x, pass.Compute);                        // [row, kv_head x d_head]
        var v = attn.Value.Forward(x, pass.Compute);                      // [row, kv_head x d_head]
        Rotate(pass.Hook(Site.KeyProj, index, k), rope, pass);
        return (pass.Hook(Site.Key, index, k), pass.Hook(Site.Value, index, v));
    }

    private Tensor Mlp(Tensor x, Pass pass, LayerTape? tape)
    {
        var gate = mlp.Gate.Forward(x, pass.Compute);                     // [row, d_mlp]
        var up = mlp.Up.Forward(x, pass.Compute);                         // [row, d_mlp]
        var neurons = tape is null ? gate : gate.Copy(pass.Compute.Arena);
        Activations.Gated(mlp.Activation, neurons, up, pass.Compute);
        pass.Hook(Site.NeuronOut, index, neurons);
        if (tape is not null) (tape.MlpNormed, tape.Gate, tape.Up, tape.Neurons) = (x, gate, up, neurons);
        return mlp.Down.Forward(neurons, pass.Compute);
    }

    private Tensor MlpBackward(Tensor d, LayerTape tape, Pass pass, Gradients? gradients)
    {
        var compute = pass.Compute;
        // [row, d_mlp]
        var dUp = pass.HookBackward(Site.NeuronOut, index, LinearGradient.Both(mlp.Down, tape.Neurons, d, gradients, compute));
        var dGate = Activations.GatedBack(mlp.Activation, tape.Gate, tape.Up, dUp, compute);                 // [row, d_mlp]
        return LinearGradient.Both([(mlp.Gate, dGate), (mlp.Up, dUp)], tape.MlpNormed, gradients, compute);  // [row, d_model]
    }

    private void Rotate(Tensor heads, Rope rope, Pass pass, bool back = false)
    {
        foreach (var run in pass.RunsAt(index))
        {
            if (run.FirstRow < heads.Rows) rope.Rotate(heads.RowRange(run.FirstRow, run.Count), run.Coordinates, pass.Compute, back);
        }
    }

    /// <summary>Keeps the weights packed for passes of many rows (see <see cref="Linear.Pack"/>).</summary>
    public void Pack()
    {
        foreach (var linear in Projections) linear.Pack();
    }

    /// <summary>Bytes of the projections as stored.</summary>
    public long WeightBytes => Projections.Sum(linear => linear.Weight.Bytes);

    /// <summary>Names of the tensors; a fused tensor is listed once for each part.</summary>
    internal IEnumerable<string> Tensors => [attnNorm.GainName, mlpNorm.GainName, .. Projections.Select(p => p.Weight.Name),
        .. Projections.Select(p => p.Bias?.Name).OfType<string>()];

    private Linear[] Projections => [attn.Query, attn.Key, attn.Value, attn.Output, mlp.Gate, mlp.Up, mlp.Down];

    /// <summary>All four projections of attention.</summary>
    internal AttentionWeights AttentionProjections => attn;

    /// <summary>o_proj [d_model, head x d_head]; the columns of one head map its z to its part of the attention output.</summary>
    public Linear OutputProjection => attn.Output;
}
