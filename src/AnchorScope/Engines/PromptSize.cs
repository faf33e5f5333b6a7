namespace AnchorScope.Engines;

/// <summary>Properties of a prompt that are known before the vision tower has run.</summary>
/// <param name="Positions">As <see cref="Prompt.RotaryLength"/>.</param>
/// <param name="TextTokens">As <see cref="Prompt.TextTokens"/>.</param>
/// <param name="UnknownTokens">As <see cref="Prompt.UnknownTokens"/>.</param>
/// <param name="Warnings">Warnings of the chat template: content that was converted or lost.</param>
public sealed record PromptSize(int Positions, int TextTokens, int UnknownTokens, IReadOnlyList<string> Warnings);
