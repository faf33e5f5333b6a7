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
        foreach (var (baseline, intervention) in variants) intervention.Validate(decoder.Shape, baseline.Prompt.Length, count);
        var texts = variants.Select(variant => new Text(decoder.Shape, variant, count)).ToList();
        try
        {
            foreach (var (first, together) in Sweep.Passes([.. texts.Select(t => t.Rows)], rowsPerPass))
            {
                var going = texts.GetRange(first, together);
                for (var step = 0; step < count && going.Count > 0; step++)
                {
                    cancel.ThrowIfCancellationRequested();
                    Step(decoder, going, step, compute);
                    going.RemoveAll(text => stop?.Contains(text.Tokens[^1]) == true);
                }
                texts.GetRange(first, together).ForEach(text => text.Dispose());
            }
            return [.. texts.Select(t => t.Tokens)];
        }
        finally
        {
            foreach (var text in texts) text.Dispose();
        }
    }

    private static void Step(Decoder decoder, List<Text> texts, int step, Compute compute)
    {
        var mark = compute.Arena.Here();
        var owner = texts.ToDictionary(text => step == 0 ? text.Start() : text.Next(decoder, step, compute.Arena));
        var pass = new Pass(decoder.Shape, owner.Keys, compute);
        var logits = decoder.Unembed(decoder.ForwardLast(pass), compute);
        for (var i = 0; i < pass.Runs.Count; i++) owner[pass.Runs[i]].Tokens.Add(Sampler.ArgMax(logits[i]));
        compute.Arena.Release(mark);
    }

    /// <summary>One variant on its way: keys and values from its corner on, and the tokens so far.</summary>
    private sealed class Text(DecoderShape shape, Variant variant, int count) : IDisposable
    {
        private readonly Coordinate[] _after = Generation.After(variant.Baseline.Prompt, count);
        private readonly int _start = Math.Min(variant.Intervention.FirstPosition, variant.Baseline.Prompt.Length - 1);
        private KeyValues? _own;

        public List<int> Tokens { get; } = [];

        public int Rows => variant.Baseline.Prompt.Length - _start;

        /// <summary>The rest of the prompt, from the corner on; below it keys and values are the recorded ones.</summary>
        public Run Start()
        {
            var (baseline, intervention) = variant;
            var layer = Math.Min(intervention.FirstLayer, shape.Layers - 1);
            var behind = intervention.StartsBehindAttention;
            _own = new KeyValues(shape.Layers, shape.KeyHeads, shape.HeadSize, _start, Rows + count);
            for (var below = 0; below < layer + (behind ? 1 : 0); below++) _own.TakeOver(below, baseline.KeyValues);
            return new Run(baseline.ResidPre(layer, _start), baseline.Prompt.Coordinates.AsMemory(_start), _start, baseline.Prompt.Steered(intervention, layer, behind))
            {
                FirstLayer = layer,
                HeadOutputs = behind ? baseline.HeadOut(layer, _start) : null,
                Past = baseline.KeyValues,
                Own = _own,
            };
        }

        /// <summary>The token that was chosen last.</summary>
        public Run Next(Decoder decoder, int step, Arena arena)
        {
            var row = arena.Take(1, shape.ModelSize);
            decoder.Embed([Tokens[^1]], row);
            return new Run(row, _after.AsMemory(step - 1, 1), variant.Baseline.Prompt.Length + step - 1, variant.Baseline.Prompt.Steered(variant.Intervention)) { Past = variant.Baseline.KeyValues, Own = _own };
        }

        public void Dispose() => _own?.Dispose();
    }
}
