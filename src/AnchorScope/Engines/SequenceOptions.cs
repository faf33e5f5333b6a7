using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>How a sequence continues after its prompt.</summary>
/// <param name="Tokens">Maximum number of generated tokens.</param>
public sealed record SequenceOptions(int Tokens)
{
    /// <summary>Applied to the prompt and to every step after it.</summary>
    public Intervention Intervention { get; init; } = Intervention.None;

    /// <summary>How a token is chosen.</summary>
    public Sampling Sampling { get; init; } = Sampling.Greedy;

    /// <summary>Applied to the logits before a token is chosen.</summary>
    public GenerationRules Rules { get; init; } = GenerationRules.None;

    /// <summary>Tokens that end the sequence, included in it. Empty: the sequence always has <see cref="Tokens"/> tokens.</summary>
    public IReadOnlySet<int> Stop { get; init; } = new HashSet<int>();

    /// <summary>Whether the logits of every step are kept, as they are before <see cref="Rules"/> are applied.</summary>
    public bool KeepLogits { get; init; }

    /// <summary>Called with every chosen token; null for none.</summary>
    public TakeToken? Chosen { get; init; }

    /// <summary>Sites that are recorded at <see cref="Positions"/>, for <see cref="Sequence.Row"/>.</summary>
    public IReadOnlyCollection<Site> Sites { get; init; } = [];

    /// <summary>Positions of the prompt at which <see cref="Sites"/> are recorded.</summary>
    public IReadOnlyCollection<int> Positions { get; init; } = [];
}

/// <summary>Receives a token that a sequence has chosen.</summary>
/// <param name="token">The token.</param>
/// <param name="logits">The logits before rules and sampling [vocabulary]; valid only during the call.</param>
public delegate void TakeToken(int token, ReadOnlySpan<float> logits);

/// <summary>Why a sequence has no next step.</summary>
public enum FinishReason
{
    /// <summary>Its last token is a stop token.</summary>
    Stop,

    /// <summary>It has the requested number of tokens.</summary>
    Length,

    /// <summary>No token could be chosen: <see cref="Sequence.Error"/> says why.</summary>
    Failed,
}
