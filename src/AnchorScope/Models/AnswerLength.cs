namespace AnchorScope.Models;

/// <summary>Numbers of tokens of an answer to a prompt.</summary>
/// <param name="Most">The model was made for no more; below 1 if the prompt alone is too long.</param>
/// <param name="Usual">The limit where nobody names one.</param>
/// <param name="Source">The file that names <paramref name="Usual"/>; null if none does, which gives <see cref="Default"/>.</param>
public sealed record AnswerLength(int Most, int Usual, string? Source)
{
    /// <summary>The limit where no file names one.</summary>
    public const int Default = 256;
}
