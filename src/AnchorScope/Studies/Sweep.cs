using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>One prompt under one intervention: what a sweep runs.</summary>
/// <param name="Baseline">The prompt and its recorded run.</param>
/// <param name="Intervention">What is changed.</param>
public sealed record Variant(Baseline Baseline, Intervention Intervention);

/// <summary>
/// Runs many variants, computing only what each can change: it starts at its corner (first layer, first position), shares the
/// frozen past of its prompt, and is packed with others as rows of one pass, so a weight is read once for all of them.
/// </summary>
/// <remarks>Exact: every variant has the bits of a full run of its own (tests: SweepTests).</remarks>
public static class Sweep
{
    /// <summary>Rows that amortise the turning of weights and still leave activations in cache.</summary>
    public const int DefaultRows = 256;

    /// <summary>Logits at the last position of every variant.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="variants">Any mixture of prompts and interventions, each checked before anything runs.</param>
    /// <param name="compute">Memory, threads, kernel.</param>
    /// <param name="take">Called with the index of the variant and its logits [vocabulary], in the order of the passes.</param>
    /// <param name="rowsPerPass">How many rows a pass may carry; a larger variant gets a pass of its own.</param>
    public static void LastLogits(
        Decoder decoder, IReadOnlyList<Variant> variants, Compute compute, Action<int, ReadOnlySpan<float>> take,
        int rowsPerPass = DefaultRows, CancellationToken cancel = default)
    {
        foreach (var variant in variants) variant.Intervention.Validate(decoder.Shape, variant.Baseline.Prompt.Length);
        var order = Enumerable.Range(0, variants.Count).OrderBy(i => variants[i].Intervention.FirstLayer).ToArray();
        foreach (var (first, count) in Passes([.. order.Select(i => RowsOf(variants[i]))], rowsPerPass))
        {
            cancel.ThrowIfCancellationRequested();
            Pass(decoder, variants, order.AsSpan(first, count), compute, take);
        }
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
        intervention.Validate(decoder.Shape, prompt.Length);
        var mark = compute.Arena.Here();
        var run = new Run(Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, decoder.Shape.ModelSize), prompt.Coordinates, 0, intervention);
        var resid = decoder.Forward(new Pass(decoder.Shape, [run], compute));
        var logits = decoder.Unembed(resid.RowRange(prompt.Length - 1, 1), compute).ToArray();
        compute.Arena.Release(mark);
        return logits;
    }

    private static int RowsOf(Variant variant) => variant.Intervention.Edits.Count == 0 ? 0 : SweepCost.RowsOf(variant.Intervention, variant.Baseline.Prompt.Length);

    private static void Pass(Decoder decoder, IReadOnlyList<Variant> variants, ReadOnlySpan<int> chosen, Compute compute, Action<int, ReadOnlySpan<float>> take)
    {
        var mark = compute.Arena.Here();
        var runs = new List<Run>();
        var owner = new Dictionary<Run, int>();
        foreach (var index in chosen)
        {
            var (baseline, intervention) = variants[index];
            if (RowsOf(variants[index]) == 0)
            {
                take(index, baseline.LastLogits);
                continue;
            }
            var (length, layer) = (baseline.Prompt.Length, intervention.FirstLayer);
            var start = Math.Min(intervention.FirstPosition, length - 1);
            var run = new Run(baseline.ResidPre(layer).RowRange(start, length - start), baseline.Prompt.Coordinates.AsMemory(start), start, intervention)
            {
                FirstLayer = layer,
                Past = baseline.KeyValues,
            };
            runs.Add(run);
            owner.Add(run, index);
        }
        if (runs.Count > 0)
        {
            var pass = new Pass(decoder.Shape, runs, compute);
            var resid = decoder.Forward(pass);
            var last = compute.Arena.Take(runs.Count, decoder.Shape.ModelSize);
            for (var i = 0; i < runs.Count; i++) resid[pass.Runs[i].FirstRow + pass.Runs[i].Count - 1].CopyTo(last[i]);
            var logits = decoder.Unembed(last, compute);
            for (var i = 0; i < runs.Count; i++) take(owner[pass.Runs[i]], logits[i]);
        }
        compute.Arena.Release(mark);
    }
}
