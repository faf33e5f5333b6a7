using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>
/// Continues a prompt under many interventions: what lies before a variant's corner is the recorded run's and shared, and every step is one
/// pass of all variants that have not ended. Greedy, token for token what <see cref="Generation"/> gives for each alone.
/// </summary>
public static class SweepGeneration
{
    /// <summary>Generates up to <paramref name="count"/> tokens for each of <paramref name="variants"/>.</summary>
    /// <param name="stop">Tokens that end a text (they are its last); none: always <paramref name="count"/>.</param>
    /// <param name="rowsPerPass">Rows of the prompts that one pass may carry; a larger variant gets a pass of its own.</param>
    /// <returns>Token ids [variant][token].</returns>
    public static IReadOnlyList<IReadOnlyList<int>> Run(
        Decoder decoder, IReadOnlyList<Variant> variants, int count, Compute compute, IReadOnlySet<int>? stop = null,
        int rowsPerPass = Sweep.DefaultRows, CancellationToken cancel = default)
    {
        foreach (var (baseline, intervention) in variants) intervention.Validate(decoder.Shape, baseline.Prompt.Length, count - 1);
        var texts = new IReadOnlyList<int>[variants.Count];
        foreach (var (first, together) in Sweep.Passes([.. variants.Select(v => v.Baseline.Prompt.Length - Start(v))], rowsPerPass))
        {
            var sequences = new List<Sequence>();
            try
            {
                for (var i = first; i < first + together; i++) sequences.Add(Of(decoder, variants[i], count, stop));
                do cancel.ThrowIfCancellationRequested();
                while (SequenceBatch.Step(decoder, sequences, compute) > 0);
                for (var i = 0; i < together; i++) texts[first + i] = sequences[i].Tokens;
            }
            finally
            {
                foreach (var sequence in sequences) sequence.Dispose();
            }
        }
        return texts;
    }

    /// <summary>First position that is computed: below it keys and values are the recorded ones.</summary>
    private static int Start(Variant variant) => Math.Min(variant.Intervention.FirstPosition, variant.Baseline.Prompt.Length - 1);

    /// <summary>A variant as a sequence that begins at its corner.</summary>
    private static Sequence Of(Decoder decoder, Variant variant, int count, IReadOnlySet<int>? stop)
    {
        var (shape, (baseline, intervention), start) = (decoder.Shape, variant, Start(variant));
        var layer = Math.Min(intervention.FirstLayer, shape.Layers - 1);
        var behind = intervention.StartsBehindAttention;
        var own = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, start, baseline.Prompt.Length - start + count);
        try
        {
            for (var below = 0; below < layer + (behind ? 1 : 0); below++) own.TakeOver(below, baseline.KeyValues);
            var first = new Run(
                baseline.ResidPre(layer, start), baseline.Prompt.Coordinates.AsMemory(start), start,
                baseline.Prompt.Steered(intervention, layer, behind))
            {
                FirstLayer = layer,
                HeadOutputs = behind ? baseline.HeadOut(layer, start) : null,
                Past = baseline.KeyValues,
                Own = own,
            };
            var options = new SequenceOptions(count) { Intervention = intervention, Stop = stop ?? new HashSet<int>() };
            return new Sequence(decoder, baseline.Prompt, options, first);
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }
}
