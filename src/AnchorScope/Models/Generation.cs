using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>How the next token is chosen.</summary>
/// <param name="Temperature">0 takes the arg-max (greedy); above 0 samples from softmax(logits / temperature).</param>
/// <param name="TopK">Samples among the k likeliest only; 0 for all.</param>
/// <param name="TopP">Samples among the fewest tokens whose probability reaches p.</param>
/// <param name="Seed">Of the sampler.</param>
public sealed record Sampling(double Temperature = 0, int TopK = 0, double TopP = 1, ulong Seed = 0)
{
    /// <summary>Always the arg-max.</summary>
    public static Sampling Greedy { get; } = new();
}

/// <summary>What was generated: token ids, and, where they are kept, the logits each was chosen from [token][vocabulary].</summary>
public sealed record Generated(IReadOnlyList<int> Tokens, IReadOnlyList<float[]> Logits);

/// <summary>Continues a prompt token by token with cached keys and values, under an intervention that holds for every step.</summary>
public static class Generation
{
    /// <summary>Generates up to <paramref name="count"/> tokens.</summary>
    /// <param name="keepLogits">Whether the logits of every step are kept.</param>
    /// <param name="stop">Tokens that end the text (they are the last ones returned); none: always <paramref name="count"/>.</param>
    public static Generated Run(
        Decoder decoder, Prompt prompt, int count, Compute compute, Intervention? intervention = null, Sampling? sampling = null,
        IReadOnlySet<int>? stop = null, bool keepLogits = false, CancellationToken cancel = default)
    {
        var edits = prompt.Steered(intervention ?? Intervention.None);
        edits.Validate(decoder.Shape, prompt.Length, count);
        var sampler = new Sampler(sampling ?? Sampling.Greedy);
        var (shape, width) = (decoder.Shape, decoder.Shape.ModelSize);
        var before = compute.Arena.Here();
        var cache = KeyValues.In(compute.Arena, shape.Layers, shape.KeyHeads, shape.HeadSize, 0, prompt.Length + count);
        var (tokens, logits) = (new List<int>(), new List<float[]>());
        var coordinates = After(prompt, count);
        for (var step = 0; step < count; step++)
        {
            cancel.ThrowIfCancellationRequested();
            var mark = compute.Arena.Here();
            Run run;
            if (step == 0)
            {
                run = new Run(Tensor.From(compute.Arena, prompt.Embeddings, prompt.Length, width), prompt.Coordinates, 0, edits) { Own = cache };
            }
            else
            {
                var row = compute.Arena.Take(1, width);
                decoder.Embed([tokens[^1]], row);
                run = new Run(row, coordinates.AsMemory(step - 1, 1), prompt.Length + step - 1, edits) { Own = cache };
            }
            var last = decoder.Unembed(decoder.ForwardLast(new Pass(shape, [run], compute)), compute);
            compute.Arena.Release(mark);
            if (keepLogits) logits.Add(last.ToArray());
            tokens.Add(sampler.Choose(last[0]));
            if (stop?.Contains(tokens[^1]) == true) break;
        }
        compute.Arena.Release(before);
        return new Generated(tokens, logits);
    }

    /// <summary>Rotary coordinates of <paramref name="count"/> generated tokens: text goes on behind the highest of the prompt.</summary>
    internal static Coordinate[] After(Prompt prompt, int count)
    {
        var next = prompt.Coordinates.Max(c => c.Highest) + 1;
        return [.. Enumerable.Range(next, count).Select(Coordinate.At)];
    }
}

/// <summary>Chooses tokens; the same seed gives the same choices on every machine.</summary>
internal sealed class Sampler(Sampling sampling)
{
    private readonly SplitMix _random = new(sampling.Seed);

    public int Choose(ReadOnlySpan<float> logits)
    {
        if (sampling.Temperature <= 0) return ArgMax(logits);
        var values = logits.ToArray();
        var order = Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).ThenBy(i => i).Take(sampling.TopK > 0 ? sampling.TopK : int.MaxValue).ToArray();
        var weights = order.Select(i => Math.Exp((values[i] - values[order[0]]) / sampling.Temperature)).ToArray();
        var total = weights.Sum();
        var kept = 0;
        for (var mass = 0.0; kept < weights.Length && (kept == 0 || mass < sampling.TopP * total); kept++) mass += weights[kept];
        var draw = _random.Uniform() * weights.Take(kept).Sum();
        for (var i = 0; i < kept; i++)
        {
            draw -= weights[i];
            if (draw < 0) return order[i];
        }
        return order[kept - 1];
    }

    /// <summary>The largest; the first of equal ones.</summary>
    public static int ArgMax(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best]) best = i;
        }
        return best;
    }
}
