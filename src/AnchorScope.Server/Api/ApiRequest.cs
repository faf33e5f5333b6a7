using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>A request for text, as the client wrote it. What the client left out is null.</summary>
internal sealed record ApiRequest
{
    /// <summary>Whether it is a chat; otherwise a text is continued.</summary>
    public required bool IsChat { get; init; }

    /// <summary>The name of the model.</summary>
    public required string Model { get; init; }

    /// <summary>The conversation; empty if a text is continued.</summary>
    public IReadOnlyList<ChatMessage> Messages { get; init; } = [];

    /// <summary>The text to continue; null in a chat.</summary>
    public string? Text { get; init; }

    /// <summary>The pictures, in the order of the parts: <c>data:</c> or http addresses, with their place in the request.</summary>
    public IReadOnlyList<(string Address, string Place)> Pictures { get; init; } = [];

    public int? MaxTokens { get; init; }

    public double? Temperature { get; init; }

    public double? TopP { get; init; }

    public ulong? Seed { get; init; }

    /// <summary>Number of answers.</summary>
    public int Answers { get; init; } = 1;

    /// <summary>Texts that end an answer and are not part of it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Number of likeliest tokens to report with each token; null: no probabilities.</summary>
    public int? Likeliest { get; init; }

    public bool Stream { get; init; }

    /// <summary>Whether a stream ends with a count of tokens.</summary>
    public bool StreamUsage { get; init; }

    /// <summary>Members that were accepted and change nothing here.</summary>
    public IReadOnlyList<string> Ignored { get; init; } = [];

    /// <summary>The member <c>anchorscope</c>.</summary>
    public SteeringRequest Steering { get; init; } = new();
}
