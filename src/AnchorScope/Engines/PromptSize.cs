namespace AnchorScope.Engines;

/// <summary>What is known of a prompt before the vision tower has run.</summary>
/// <param name="Positions">As <see cref="Prompt.RotaryLength"/>.</param>
/// <param name="TextTokens">As <see cref="Prompt.TextTokens"/>.</param>
/// <param name="UnknownTokens">As <see cref="Prompt.UnknownTokens"/>.</param>
/// <param name="Warnings">Of the chat template: a content in another form, text that is lost.</param>
public sealed record PromptSize(int Positions, int TextTokens, int UnknownTokens, IReadOnlyList<string> Warnings);
