using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Readouts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>One prompt under one intervention: what a sweep runs.</summary>
/// <param name="Baseline">The prompt and its recorded run.</param>
/// <param name="Intervention">What is changed.</param>
public sealed record Variant(Baseline Baseline, Intervention Intervention);

/// <summary>What was read of one variant: the logits of each readout [tokens, or vocabulary]. Valid during the call.</summary>
/// <param name="variant">Its index.</param>
/// <param name="readouts">In the order of the sweep's readouts, one row each.</param>
public delegate void TakeReadouts(int variant, ReadOnlySpan<Tensor> readouts);

/// <summary>
/// Runs many variants, computing only what each can change and what is read: a variant starts at its corner (first layer, behind attention
/// where that stays as it was; first position), shares the frozen past of its prompt, ends at the last layer and position that are read, and is
/// packed with others as rows of one pass, so a weight is read once for all of them.
/// </summary>
/// <remarks>Exact: every variant has the bits of a full run of its own (tests: LawTests, SweepTests).</remarks>
public static class Sweep
{
    /// <summary>Rows that amortise the turning of weights and still leave activations in cache.</summary>
    public const int DefaultRows = 512;

    /// <summary>Logits at the last position of every variant.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="variants">Any mixture of prompts and interventions, each checked before anything runs.</param>
    /// <param name="compute">Memory, threads, kernel.</param>
    /// <param name="take">Called with the index of the variant and its logits [vocabulary], in the order of the passes.</param>
    /// <param name="rowsPerPass">How many rows a pass may carry; a larger variant gets a pass of its own.</param>
    public static void LastLogits(
        Decoder decoder, IReadOnlyList<Variant> variants, Compute compute, Action<int, ReadOnlySpan<float>> take,
        int rowsPerPass = DefaultRows, CancellationToken cancel = default) =>
        Run(decoder, variants, [Readout.Output], compute, (variant, readouts) => take(variant, readouts[0][0]), rowsPerPass, cancel);

    /// <summary>Reads every one of <paramref name="readouts"/> from every variant.</summary>
    /// <inheritdoc cref="LastLogits"/>
    public static void Run(
        Decoder decoder, IReadOnlyList<Variant> variants, IReadOnlyList<Readout> readouts, Compute compute, TakeReadouts take,
        int rowsPerPass = DefaultRows, CancellationToken cancel = default)
    {
        foreach (var pass in Plan(decoder, variants, readouts, rowsPerPass))
        {
            cancel.ThrowIfCancellationRequested();
            pass.Run(decoder, readouts, compute, take);
        }
    }

    /// <summary>The passes of <see cref="Run"/>, which may be run in any order and on several threads at once, each with memory of its own.</summary>
    /// <exception cref="InputException">An intervention or a readout does not fit the model or the prompt.</exception>
    public static IReadOnlyList<SweepPass> Plan(Decoder decoder, IReadOnlyList<Variant> variants, IReadOnlyList<Readout> readouts, int rowsPerPass = DefaultRows)
    {
        if (readouts.Count == 0) throw new ArgumentException("a sweep that reads nothing", nameof(readouts));
        foreach (var baseline in variants.Select(v => v.Baseline).Distinct())
        {
            foreach (var readout in readouts) readout.Validate(decoder, baseline.Prompt);
        }
        foreach (var variant in variants) variant.Baseline.Prompt.Steered(variant.Intervention).Validate(decoder.Shape, variant.Baseline.Prompt.Length);
        var changes = Change.Of(decoder, variants.Select(v => v.Intervention), i => variants[i].Baseline.Prompt, readouts);
        var together = Change.Together(changes, readouts.Min(r => r.LayerIn(decoder)), rowsPerPass);
        return [.. Passes([.. together.Select(g => g.Sum(c => c.Corner.Rows))], rowsPerPass).Select(p => new SweepPass(
            [.. together.GetRange(p.First, p.Count).SelectMany(g => g).OrderBy(c => c.Corner.Layer).ThenBy(c => c.Corner.BehindAttention).Select(c => new PlannedVariant(variants[c.Variants[0]].Baseline, c))]))];
    }

    /// <summary>Which variants go together: as many as fit, in their order, one at least.</summary>
    /// <param name="rows">Of every variant.</param>
    internal static List<(int First, int Count)> Passes(IReadOnlyList<int> rows, int rowsPerPass)
    {
        var passes = new List<(int First, int Count)>();
        for (int first = 0, next = 0; first < rows.Count; first = next)
        {
            for (var sum = 0; next < rows.Count; next++)
            {
                sum += rows[next];
                if (next > first && sum > rowsPerPass) break;
            }
            passes.Add((first, next - first));
        }
        return passes;
    }

    /// <summary>The slow way, and the oracle of the fast one: a full pass from the embeddings for one intervention, logits of the last position.</summary>
    public static float[] Alone(Decoder decoder, Prompt prompt, Intervention intervention, Compute compute)
    {
        intervention = prompt.Steered(intervention);
        intervention.Validate(decoder.Shape, prompt.Length);
        var mark = compute.Arena.Here();
        var run = new Run(Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, decoder.Shape.ModelSize), prompt.Coordinates, 0, intervention);
        var resid = decoder.Forward(new Pass(decoder.Shape, [run], compute));
        var logits = decoder.Unembed(resid.RowRange(prompt.Length - 1, 1), compute).ToArray();
        compute.Arena.Release(mark);
        return logits;
    }
}
