namespace AnchorScope.Tests.Prompts;

/// <summary>The vocabularies of Llama-2 and Qwen2.5, fetched once with npm and kept beside the tests' output.</summary>
internal static class RealVocabularies
{
    private static readonly Lazy<string?> Fetched = new(() => NpmPackage.Fetch("@plurnk/plurnk-mimetypes-tokenizers@1.4.0", "tokenizers", Folder));

    public static string Folder => Path.Combine(AppContext.BaseDirectory, "real-vocabularies");

    /// <summary>Why they are not there, or null.</summary>
    public static string? Missing => Fetched.Value;
}

/// <summary>A test of the real vocabularies, skipped with a message where they cannot be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RealVocabularyTheoryAttribute : TheoryAttribute
{
    public RealVocabularyTheoryAttribute() => Skip = RealVocabularies.Missing;
}
