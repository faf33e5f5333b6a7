using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Optimization;

/// <summary>A target token of the loss.</summary>
/// <param name="Row">Row of the residual stream from which it is predicted.</param>
/// <param name="Token">Id of the token.</param>
/// <param name="Weight">Weight of its loss.</param>
internal readonly record struct Target(int Row, int Token, float Weight);

/// <summary>The cross-entropy loss of a language model: the weighted sum of -log of the probability of each target.</summary>
internal static class CrossEntropy
{
    /// <summary>Number of rows whose logits are in memory at a time.</summary>
    private const int RowsPerBlock = 256;

    /// <summary>The loss and its gradient with respect to the residual stream.</summary>
    /// <param name="resid">Residual stream after the last layer [row, d_model].</param>
    /// <param name="targets">At most one per row.</param>
    /// <param name="gradients">Receives the gradients with respect to head and final norm, if requested.</param>
    /// <returns>The loss, and its gradient [row, d_model] in new memory.</returns>
    public static (double Loss, Tensor Derivatives) Of(Decoder decoder, Tensor resid, IReadOnlyList<Target> targets,
        Compute compute, Gradients? gradients)
    {
        var arena = compute.Arena;
        var d = arena.TakeZeros(resid.Rows, resid.Columns);
        var loss = 0.0;
        for (var first = 0; first < targets.Count; first += RowsPerBlock)
        {
            var mark = arena.Here();
            var rows = arena.Take(Math.Min(RowsPerBlock, targets.Count - first), resid.Columns);
            for (var i = 0; i < rows.Rows; i++) resid[targets[first + i].Row].CopyTo(rows[i]);
            var logits = decoder.Unembed(rows, compute);
            for (var i = 0; i < rows.Rows; i++) loss += Row(logits[i], targets[first + i].Token, targets[first + i].Weight);
            var back = decoder.UnembedBackward(rows, logits, compute, gradients);
            for (var i = 0; i < rows.Rows; i++) back[i].CopyTo(d[targets[first + i].Row]);
            arena.Release(mark);
        }
        return (loss, d);
    }

    /// <summary>Replaces logits by the gradient with respect to them: weight * (probability - 1 at the target).</summary>
    /// <returns>The loss.</returns>
    internal static double Row(Span<float> logits, int target, float weight)
    {
        double highest = System.Numerics.Tensors.TensorPrimitives.Max<float>(logits), sum = 0, wanted = logits[target];
        for (var i = 0; i < logits.Length; i++)
        {
            var e = Math.Exp(logits[i] - highest);
            sum += e;
            logits[i] = (float)e;
        }
        for (var i = 0; i < logits.Length; i++) logits[i] = (float)(weight * (logits[i] / sum));
        logits[target] -= weight;
        return weight * (highest + Math.Log(sum) - wanted);
    }
}
