namespace AnchorScope.Tests;

/// <summary>Third-party files that are too large for this repository. tools/fetch-test-files.sh downloads them; no test does.</summary>
internal static class PublishedFiles
{
    /// <summary>A trained language model of 15 million parameters, trained on short stories.</summary>
    public const string Stories = "llama2c/llama2.data";

    /// <summary>The vocabularies of Llama-2 and Qwen2.5, a folder each.</summary>
    public const string Vocabularies = "vocabularies";

    /// <summary>The package openai of npm, unpacked.</summary>
    public const string OpenAiPackage = "npm/openai";

    private const string Script = "tools/fetch-test-files.sh";

    // CI sets the folder. Then the files must exist, so that no test is skipped there unnoticed.
    private static readonly string? Required = Environment.GetEnvironmentVariable("ASCOPE_TEST_FILES");
    private static readonly string Folder = Required ?? System.IO.Path.Combine(Fixtures.Root, ".test-files");

    /// <summary>Why tests of the file are skipped, or null if they run.</summary>
    public static string? Skip(string name) =>
        Required is not null || System.IO.Path.Exists(Under(name)) ? null : $"no {name} in .test-files: {Script} fetches it";

    public static string Path(string name) =>
        System.IO.Path.Exists(Under(name))
            ? Under(name) : throw new FileNotFoundException($"{Under(name)} is missing: {Script} fetches it");

    private static string Under(string name) => System.IO.Path.Combine(Folder, name);
}

/// <summary>A test of a published file, skipped where it was not fetched.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PublishedFactAttribute : FactAttribute
{
    public PublishedFactAttribute(string file) => Skip = PublishedFiles.Skip(file);
}

/// <summary>A test with rows of a published file, skipped where it was not fetched.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PublishedTheoryAttribute : TheoryAttribute
{
    public PublishedTheoryAttribute(string file) => Skip = PublishedFiles.Skip(file);
}
