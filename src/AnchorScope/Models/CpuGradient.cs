using AnchorScope.Engines;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>One batched forward and backward pass of several runs.</summary>
internal static class CpuGradient
{
    /// <summary>Fills the gradient traces of <paramref name="plans"/>.</summary>
    public static void Of(Decoder decoder, IReadOnlyList<GradientPlan> plans, LossGradient loss, int lowestLayer, Compute compute)
    {
        var width = decoder.Shape.ModelSize;
        var pass =
            new Pass(decoder.Shape, plans.Select(plan => RunOf(decoder, plan, compute)), compute) { Tape = new Tape(TapeKind.Store) };
        var resid = decoder.Forward(pass);
        var last = compute.Arena.Take(plans.Count, width);
        for (var i = 0; i < plans.Count; i++) resid[LastRow(pass.Runs[i])].CopyTo(last[i]);
        var logits = loss.ReadsLogits ? decoder.Unembed(last, compute) : compute.Arena.TakeZeros(plans.Count, decoder.VocabularySize);
        for (var i = 0; i < plans.Count; i++) loss.At(i, logits[i]);
        var (gradients, d) = (decoder.UnembedBackward(last, logits, compute, null), compute.Arena.TakeZeros(resid.Rows, width));
        for (var i = 0; i < plans.Count; i++) gradients[i].CopyTo(d[LastRow(pass.Runs[i])]);
        decoder.Backward(pass, d, null, lowestLayer);
    }

    private static int LastRow(RowBlock run) => run.FirstRow + run.Count - 1;

    private static RowBlock RunOf(Decoder decoder, GradientPlan plan, Compute compute)
    {
        var (prompt, width) = (plan.Prompt, decoder.Shape.ModelSize);
        var past = plan.Past is null ? null : RecordedRun.Of(plan.Past, decoder);
        if (plan.Position > 0 && !ReferenceEquals(past?.Prompt, prompt))
            throw new ArgumentException($"a run from position {plan.Position} on needs a recorded run of the same prompt as its past",
                nameof(plan));
        if (plan.Intervention.FirstPosition < plan.Position)
            throw new ArgumentException(
                $"{plan.Intervention.Name} changes position {plan.Intervention.FirstPosition}, before {plan.Position}", nameof(plan));
        var entry = Tensor.From(compute.Arena, prompt.Embeddings.AsSpan(plan.Position * width), prompt.Length - plan.Position, width);
        return new RowBlock(entry, prompt.Coordinates.AsMemory(plan.Position), plan.Position,
            EditIndex.Of(prompt.Steered(plan.Intervention), decoder.Shape, prompt.Length))
        {
            Past = past?.KeyValues,
            Traces = plan.Values is null ? [] : [plan.Values],
            Derivatives = [plan.Gradients],
        };
    }
}
