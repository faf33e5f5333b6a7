using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using AnchorScope.Readouts;

namespace AnchorScope.Server.Scheduling;

/// <summary>One prompt under one intervention, and the answers to generate.</summary>
internal sealed record Job
{
    /// <summary>The prompt, with its image features.</summary>
    public required Prompt Prompt { get; init; }

    /// <summary>Applied to the prompt and to every generated token.</summary>
    public Intervention Intervention { get; init; } = Intervention.None;

    /// <summary>How the tokens of each answer are chosen; one answer for each.</summary>
    public IReadOnlyList<Sampling> Answers { get; init; } = [Sampling.Greedy];

    /// <summary>Maximum number of tokens of an answer.</summary>
    public required int Tokens { get; init; }

    /// <summary>Tokens that end an answer.</summary>
    public IReadOnlySet<int> Stop { get; init; } = new HashSet<int>();

    /// <summary>Restrictions on the next token.</summary>
    public GenerationRules Rules { get; init; } = GenerationRules.None;

    /// <summary>Turns the tokens of each answer into text and finds its stop strings; empty: only tokens are given.</summary>
    public IReadOnlyList<AnswerText> Texts { get; init; } = [];

    /// <summary>Number of likeliest tokens to report with every token; null: no probabilities.</summary>
    public int? Likeliest { get; init; }

    /// <summary>Whose kept prefixes may be reused and extended: prefixes are never shared between tenants.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>
    /// Whether it runs only while there is nothing else to do. It is cancelled when another job comes, takes no memory from kept prefixes,
    /// and is not counted.
    /// </summary>
    public bool IsIdle { get; init; }

    /// <summary>When it is given up; null: never.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Sites that are recorded at <see cref="Positions"/> of the prompt.</summary>
    public IReadOnlyCollection<Site> Sites { get; init; } = [];

    /// <summary>Positions of the prompt at which <see cref="Sites"/> are recorded. They are always computed, never reused.</summary>
    public IReadOnlyCollection<int> Positions { get; init; } = [];

    /// <summary>Called on the scheduler's thread once the prompt of the first answer is computed and recorded; null for none.</summary>
    public Action<ISession, Sequence>? Recorded { get; init; }
}

/// <summary>A token of an answer.</summary>
/// <param name="Answer">Index of the answer.</param>
/// <param name="Token">The token.</param>
/// <param name="Likeliest">The likeliest tokens, if the job asks for them.</param>
/// <param name="Probability">Softmax probability of the token; NaN if probabilities are not asked for.</param>
/// <param name="Finished">Why it is the last one; null if it is not.</param>
internal readonly record struct JobToken(
    int Answer, int Token, IReadOnlyList<LensToken> Likeliest, double Probability, FinishReason? Finished)
{
    /// <summary>The text that has become final with it.</summary>
    public string Text { get; init; } = "";
}

/// <summary>What a finished job has used.</summary>
/// <param name="Reused">Positions of the prompt whose keys and values were kept from another job.</param>
/// <param name="LogitsHashes">SHA-256 of the logits of all steps of each answer, as little-endian float32.</param>
/// <param name="Waited">Time in the queue.</param>
/// <param name="Prefill">Time from the start to the first token.</param>
/// <param name="Decode">Time from the first token to the last one.</param>
internal sealed record JobResult(
    int Reused, IReadOnlyList<byte[]> LogitsHashes, TimeSpan Waited, TimeSpan Prefill, TimeSpan Decode);

/// <summary>The queue is full. The same request may succeed later.</summary>
internal sealed class QueueFullException(string message) : Exception(message);

/// <summary>The scheduler takes no new jobs, because it ends.</summary>
internal sealed class DrainingException() : Exception("the server is shutting down and takes no new requests");
