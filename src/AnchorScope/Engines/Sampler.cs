namespace AnchorScope.Engines;

/// <summary>Chooses tokens. The same seed gives the same choices on every machine.</summary>
internal sealed class Sampler(Sampling sampling)
{
    private readonly SplitMix _random = new(sampling.Seed);

    public int Choose(ReadOnlySpan<float> logits)
    {
        if (sampling.Temperature <= 0)
        {
            var likeliest = ArgMax(logits);
            return logits[likeliest] > float.NegativeInfinity ? likeliest : throw NoneLeft();
        }
        var candidates = Probabilities(logits);
        var draw = _random.Uniform();
        foreach (var (token, probability) in candidates)
        {
            draw -= probability;
            if (draw < 0) return token;
        }
        return candidates[^1].Token;
    }

    /// <summary>
    /// The distribution from which a token is drawn, likeliest first: softmax at the temperature, restricted to the k likeliest tokens,
    /// then to the fewest that reach p, then renormalised.
    /// </summary>
    public IReadOnlyList<(int Token, double Probability)> Probabilities(ReadOnlySpan<float> logits)
    {
        var values = logits.ToArray();
        var order = Enumerable.Range(0, values.Length).Where(i => values[i] > float.NegativeInfinity).OrderByDescending(i => values[i])
            .ThenBy(i => i).ToArray();
        if (order.Length == 0) throw NoneLeft();
        // As in the reference, tokens that are as likely as the k-th are kept.
        if (sampling.TopK > 0 && sampling.TopK < order.Length) order =
            [.. order.TakeWhile(i => values[i] >= values[order[sampling.TopK - 1]])];
        var weights = order.Select(i => Math.Exp((values[i] - (double)values[order[0]]) / sampling.Temperature)).ToArray();
        var (total, mass, kept) = (weights.Sum(), 0.0, 0);
        while (kept < weights.Length && (kept == 0 || mass < sampling.TopP * total)) mass += weights[kept++];
        return [.. order.Take(kept).Select((token, i) => (token, weights[i] / mass))];
    }

    private static InputException NoneLeft() =>
        new("no token is left to follow: the rules of generation_config.json forbid all of them");

    /// <summary>Index of the largest logit; of equal ones, the first.</summary>
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
