using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>How a sequence goes on behind its prompt.</summary>
/// <param name="Tokens">Tokens that are generated at most.</param>
public sealed record SequenceOptions(int Tokens)
{
    /// <summary>What is changed, in the prompt and in every step behind it.</summary>
    public Intervention Intervention { get; init; } = Intervention.None;

    /// <summary>How a token is chosen.</summary>
    public Sampling Sampling { get; init; } = Sampling.Greedy;

    /// <summary>Applied to the logits before a token is chosen.</summary>
    public GenerationRules Rules { get; init; } = GenerationRules.None;

    /// <summary>Tokens that end the sequence; they are its last ones. None: it has <see cref="Tokens"/> in any case.</summary>
    public IReadOnlySet<int> Stop { get; init; } = new HashSet<int>();

    /// <summary>Whether the logits of every step are kept, as they are before <see cref="Rules"/>.</summary>
    public bool KeepLogits { get; init; }
}

/// <summary>Why a sequence has no next step.</summary>
public enum FinishReason
{
    /// <summary>Its last token is one that ends it.</summary>
    Stop,

    /// <summary>It has as many tokens as were asked for.</summary>
    Length,
}
