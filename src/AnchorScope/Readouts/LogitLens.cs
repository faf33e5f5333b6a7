using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Readouts;

/// <summary>The logit lens: the model's own final norm and head, applied to the residual stream anywhere.</summary>
public static class LogitLens
{
    /// <summary>Logits [row, vocabulary] of residual rows [row, d_model]; with the final norm, the last layer's are the model's output.</summary>
    public static float[] Logits(Decoder decoder, ReadOnlySpan<float> resid, Compute compute, bool finalNorm = true)
    {
        var width = decoder.Shape.ModelSize;
        var mark = compute.Arena.Here();
        var rows = Tensor.From(compute.Arena, resid, resid.Length / width, width);
        var logits = decoder.Unembed(rows, compute, finalNorm).ToArray();
        compute.Arena.Release(mark);
        return logits;
    }
}
