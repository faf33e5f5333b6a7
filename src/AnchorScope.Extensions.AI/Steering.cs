using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Extensions.AI;

/// <summary>What one call changes inside the model, and what is read of it.</summary>
public sealed record Steering
{
    /// <summary>Name under which it is in <see cref="Microsoft.Extensions.AI.ChatOptions.AdditionalProperties"/>.</summary>
    public const string Key = "anchorscope";

    /// <summary>Makes the intervention from the prompt, whose parts it may name; null: the model as it is.</summary>
    public Func<Prompt, Intervention>? Intervention { get; init; }

    /// <summary>
    /// What ranges of characters of text contents are, by message and content as they are given. Without a label of the instruction, it is
    /// the last text of the last message of the user.
    /// </summary>
    public IReadOnlyList<TextLabel> Spans { get; init; } = [];

    /// <summary>What the picture would have the model answer, with other forms; empty: the decision is not read.</summary>
    public IReadOnlyList<string> VisionAnswers { get; init; } = [];

    /// <summary>What the text would have the model answer, with other forms.</summary>
    public IReadOnlyList<string> TextAnswers { get; init; } = [];

    /// <summary>Whether <see cref="ModelAnswer.Logits"/> are kept.</summary>
    public bool KeepLogits { get; init; }
}

/// <summary>Which of two answers the model follows.</summary>
/// <param name="Followed">"vision", "text", or "neither", by the likeliest first token.</param>
/// <param name="Margin">Largest logit of the picture's answer minus that of the text's, where the first token is chosen.</param>
public sealed record AnswerDecision(string Followed, double Margin);

/// <summary>What a response was computed from.</summary>
public sealed record ModelAnswer
{
    /// <summary>The prompt: tokens, and the positions of its parts.</summary>
    public required Prompt Prompt { get; init; }

    /// <summary>What was changed inside the model.</summary>
    public required Intervention Intervention { get; init; }

    /// <summary>How tokens were chosen. With this seed the answer can be drawn again.</summary>
    public required Sampling Sampling { get; init; }

    /// <summary>The generated tokens, one that ends the answer included.</summary>
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>The logits that each token was chosen from [token][vocabulary]; empty unless they are kept.</summary>
    public required IReadOnlyList<float[]> Logits { get; init; }

    /// <summary>Which answer is followed; null: not asked for.</summary>
    public required AnswerDecision? Decision { get; init; }
}
