using AnchorScope.Interventions;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

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
    /// <summary>Generates up to <paramref name="count"/> tokens.</summary>
    /// <param name="keepLogits">Whether the logits of every step are kept.</param>
    /// <param name="stop">Tokens that end the text (they are the last ones returned); none: always <paramref name="count"/>.</param>
    /// <param name="rules">Applied to the logits before a token is chosen; those that are kept are without them. None: the logits decide
    /// alone.</param>
    public static Generated Run(
        Decoder decoder, Prompt prompt, int count, Compute compute, Intervention? intervention = null, Sampling? sampling = null,
        IReadOnlySet<int>? stop = null, bool keepLogits = false, GenerationRules? rules = null, CancellationToken cancel = default)
    {
        var mark = compute.Arena.Here();
        var options = new SequenceOptions(count)
        {
            Intervention = intervention ?? Intervention.None, Sampling = sampling ?? Sampling.Greedy, KeepLogits = keepLogits,
            Rules = rules ?? GenerationRules.None, Stop = stop ?? new HashSet<int>(),
        };
        using var sequence = new Sequence(decoder, prompt, options, compute.Arena);
        while (sequence.Finished is null)
        {
            cancel.ThrowIfCancellationRequested();
            SequenceBatch.Step(decoder, [sequence], compute);
        }
        compute.Arena.Release(mark);
        return new Generated(sequence.Tokens, sequence.Logits);
    }
}
