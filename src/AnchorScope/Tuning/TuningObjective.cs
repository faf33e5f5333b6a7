using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Studies;
using AnchorScope.Tensors;

namespace AnchorScope.Tuning;

/// <summary>
/// The objective that is minimised: the mean of -log p(first token of the instructed answer) over runs with a conflict, plus the weighted
/// mean of KL(original || tuned) of the next token over runs without one.
/// </summary>
/// <param name="Answer">The first mean.</param>
/// <param name="Kept">The second mean.</param>
/// <param name="Total">Answer + weight * kept.</param>
/// <param name="Follows">Share of the runs with a conflict whose likeliest token begins the instructed answer.</param>
internal sealed record TuningLoss(double Answer, double Kept, double Total, double Follows);

/// <summary>The objective on some items, and its gradient.</summary>
internal static class TuningObjective
{
    /// <summary>An item and its weight.</summary>
    public readonly record struct Share(TuningItem Item, double Weight);

    /// <summary>The loss from measured outcomes.</summary>
    public static TuningLoss Of(IReadOnlyList<TuningItem> items, IReadOnlyList<Outcome> outcomes, double keep)
    {
        var (answer, kept, follows, conflicts) = (0.0, 0.0, 0, 0);
        for (var i = 0; i < items.Count; i++)
        {
            if (!items[i].Conflict)
            {
                kept += outcomes[i].Divergence;
                continue;
            }
            conflicts++;
            answer += outcomes[i].LogSum - (double)outcomes[i].Following;
            if (items[i].Entities.FollowingForms.Contains(outcomes[i].ArgMax)) follows++;
        }
        (answer, kept) = (answer / Math.Max(1, conflicts), kept / Math.Max(1, items.Count - conflicts));
        return new TuningLoss(answer, kept, answer + keep * kept, (double)follows / Math.Max(1, conflicts));
    }

    /// <summary>Forward and backward pass of items in one pass. Adds the gradients to <paramref name="gradients"/>.</summary>
    /// <returns>Their contribution to the loss.</returns>
    public static double Add(Decoder decoder, IReadOnlyList<Share> shares, TapeKind kind, Compute compute, Gradients gradients)
    {
        var mark = compute.Arena.Here();
        var pass = Pass(decoder, [.. shares.Select(s => s.Item)], compute, new Tape(kind));
        var resid = decoder.Forward(pass);
        var last = Last(pass, resid, compute);
        var (logits, loss) = (decoder.Unembed(last, compute), 0.0);
        for (var i = 0; i < shares.Count; i++)
        {
            var (item, weight) = (shares[i].Item, shares[i].Weight);
            loss += item.Original is { } original
                ? Keep(logits[i], original, weight) : CrossEntropy.Row(logits[i], item.Entities.Following, (float)weight);
        }
        var (back, d, row) = (decoder.UnembedBackward(last, logits, compute, null), compute.Arena.TakeZeros(resid.Rows, resid.Columns), -1);
        for (var i = 0; i < shares.Count; i++) back[i].CopyTo(d[row += shares[i].Item.Prompt.Length]);
        decoder.Backward(pass, d, gradients, decoder.LowestRequestedLayer(gradients));
        compute.Arena.Release(mark);
        return loss;
    }

    /// <summary>Logits at the last position of each item [item, vocabulary].</summary>
    public static Tensor LastLogits(Decoder decoder, IReadOnlyList<TuningItem> items, Compute compute) =>
        decoder.Unembed(decoder.ForwardLast(Pass(decoder, items, compute, null)), compute);

    private static Pass Pass(Decoder decoder, IReadOnlyList<TuningItem> items, Compute compute, Tape? tape) => new(
        decoder.Shape,
        items.Select(i => new RowBlock(Tensor.From(compute.Arena, i.Prompt.Embeddings, i.Prompt.Length, decoder.Shape.ModelSize),
            i.Prompt.Coordinates, 0, Intervention.None)), compute) { Tape = tape };

    private static Tensor Last(Pass pass, Tensor resid, Compute compute)
    {
        var (rows, row) = (compute.Arena.Take(pass.Runs.Count, resid.Columns), -1);
        for (var i = 0; i < rows.Rows; i++) resid[row += pass.Runs[i].Count].CopyTo(rows[i]);
        return rows;
    }

    /// <summary>Replaces logits by the gradient of weight * KL(P_original || P) with respect to them: weight * (P - P_original).</summary>
    private static double Keep(Span<float> logits, ReadOnlySpan<float> original, double weight)
    {
        var (sum, before, divergence) = (SampleRunner.LogSum(logits), SampleRunner.LogSum(original), 0.0);
        for (var i = 0; i < logits.Length; i++)
        {
            var (p, q) = (original[i] - before, logits[i] - sum);
            divergence += Math.Exp(p) * (p - q);
            logits[i] = (float)(weight * (Math.Exp(q) - Math.Exp(p)));
        }
        return weight * divergence;
    }
}
