namespace AnchorScope.Engines;

/// <summary>How the next token is chosen.</summary>
/// <param name="Temperature">0 takes the arg-max (greedy); above 0 samples from softmax(logits / temperature).</param>
/// <param name="TopK">Samples among the k likeliest only, and those as likely as the last of them; 0 for all.</param>
/// <param name="TopP">Of what that leaves, samples among the fewest tokens whose probability reaches p.</param>
/// <param name="Seed">Of the sampler.</param>
public sealed record Sampling(double Temperature = 0, int TopK = 0, double TopP = 1, ulong Seed = 0)
{
    /// <summary>Always the arg-max.</summary>
    public static Sampling Greedy { get; } = new();

    /// <exception cref="InputException">A number out of range, or one that changes nothing as the arg-max is taken.</exception>
    /// <param name="named">What to call each in the message.</param>
    public void Validate(Func<string, string> named)
    {
        if (!(Temperature >= 0 && double.IsFinite(Temperature))) throw new InputException(
            $"{named(nameof(Temperature))}: expected 0 (the arg-max) or above, found {Temperature}");
        if (TopK < 0) throw new InputException($"{named(nameof(TopK))}: expected 0 (all tokens) or above, found {TopK}");
        if (!(TopP is > 0 and <= 1)) throw new InputException($"{named(nameof(TopP))}: expected above 0 and at most 1, found {TopP}");
        if (Temperature > 0) return;
        var idle = TopK != 0 ? nameof(TopK) : TopP != 1 ? nameof(TopP) : Seed != 0 ? nameof(Seed) : null;
        if (idle is not null) throw new InputException(
            $"{named(idle)}: changes nothing where the arg-max is taken; expected {named(nameof(Temperature))} above 0 beside it");
    }
}

/// <summary>What was generated: token ids, and, where they are kept, the logits each was chosen from [token][vocabulary].</summary>
public sealed record Generated(IReadOnlyList<int> Tokens, IReadOnlyList<float[]> Logits);

/// <summary>Continues a prompt token by token with cached keys and values, under an intervention that holds for every step.</summary>
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
        return new Generated(sequence.Tokens, sequence.Logits);
    }
}
