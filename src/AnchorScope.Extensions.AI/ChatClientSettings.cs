namespace AnchorScope.Extensions.AI;

/// <summary>How an <see cref="AnchorScopeChatClient"/> runs its model. None of it changes a bit of an answer.</summary>
public sealed record ChatClientSettings
{
    /// <summary>The name of the model in responses; null: the name of the checkpoint's folder.</summary>
    public string? ModelId { get; init; }

    /// <summary>Threads of a pass.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Rows of a pass: one for each answer in progress, the rest for pieces of prompts.</summary>
    public int Rows { get; init; } = 256;

    /// <summary>Answers that are computed at once; further calls wait. Each needs memory for its keys and values.</summary>
    public int Answers { get; init; } = 16;

    internal ChatClientSettings Validated()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Rows, 1, nameof(Rows));
        ArgumentOutOfRangeException.ThrowIfLessThan(Answers, 1, nameof(Answers));
        return this;
    }
}
