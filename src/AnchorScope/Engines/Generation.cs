namespace AnchorScope.Engines;

/// <summary>How the next token is chosen.</summary>
/// <param name="Temperature">0: the arg-max (greedy). Above 0: samples from softmax(logits / temperature).</param>
/// <param name="TopK">Samples only among the k likeliest tokens and those as likely as the k-th; 0 for all.</param>
/// <param name="TopP">Of these, samples among the fewest tokens whose total probability reaches p.</param>
/// <param name="Seed">Seed of the sampler.</param>
public sealed record Sampling(double Temperature = 0, int TopK = 0, double TopP = 1, ulong Seed = 0)
{
    /// <summary>Always the arg-max.</summary>
    public static Sampling Greedy { get; } = new();

    /// <summary>Checks that the numbers are in range.</summary>
    /// <param name="named">Returns the name used for a property in the message.</param>
    /// <exception cref="InputException">A number is out of range, or has no effect because the arg-max is taken.</exception>
    internal void Validate(Func<string, string> named)
    {
        if (!(Temperature >= 0 && double.IsFinite(Temperature))) throw new InputException(
            $"{named(nameof(Temperature))}: expected 0 (the arg-max) or above, found {Temperature}");
        if (TopK < 0) throw new InputException($"{named(nameof(TopK))}: expected 0 (all tokens) or above, found {TopK}");
        if (!(TopP is > 0 and <= 1)) throw new InputException($"{named(nameof(TopP))}: expected above 0 and at most 1, found {TopP}");
        if (Temperature > 0) return;
        var idle = TopK != 0 ? nameof(TopK) : TopP != 1 ? nameof(TopP) : Seed != 0 ? nameof(Seed) : null;
        if (idle is not null) throw new InputException(
            $"{named(idle)}: has no effect with greedy decoding; expected {named(nameof(Temperature))} above 0 beside it");
    }
}

/// <summary>The result of a generation.</summary>
/// <param name="Tokens">Ids of the generated tokens.</param>
/// <param name="Logits">The logits each token was chosen from [token][vocabulary]; empty unless they were kept.</param>
public sealed record Generated(IReadOnlyList<int> Tokens, IReadOnlyList<float[]> Logits);

/// <summary>Continues a prompt token by token with cached keys and values, under an intervention that applies in every step.</summary>
public static class Generation
{
    /// <summary>Generates tokens after <paramref name="prompt"/>.</summary>
    /// <exception cref="InputException">The intervention does not fit the model or the prompt, or does nothing.</exception>
    public static Generated Run(ISession session, Prompt prompt, SequenceOptions options, CancellationToken cancel = default)
    {
        using var sequence = new Sequence(session, prompt, options);
        while (sequence.Finished is null)
        {
            cancel.ThrowIfCancellationRequested();
            SequenceBatch.Step(session, [sequence]);
        }
        return sequence.Error is { } error
            ? throw new InputException(error.Message, error) : new Generated(sequence.Tokens, sequence.Logits);
    }
}
